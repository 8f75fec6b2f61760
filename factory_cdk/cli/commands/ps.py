"""`factory-cdk ps`: the workers of what is built here."""

from __future__ import annotations

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import duration, print_table
from factory_cdk.cli.shared_options import (
    StageSearch,
    factory_names,
    format_option,
    say,
    say_problems,
    search_options,
    stage_names,
)
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.instances import runners_or_why_not
from factory_cdk.views.plain import as_json
from factory_cdk.views.stages import WorkerRow, remote_worker_rows, worker_rows

COLUMNS = (
    "factory", "stage", "sector", "bot", "worker", "pid", "state", "uptime", "restarts", "done", "failed", "in hand",
)  # fmt: skip

REMOTE_COLUMNS = ("region", "instance", "silent since")
"""What a stage with instances has beside COLUMNS."""

EXAMPLES = """\b
Examples:
  factory-cdk ps
  factory-cdk ps --name works --format json | jq '.[] | select(.state == "broken")'
"""


@click.command(epilog=EXAMPLES, short_help="Show the workers: one row for each.")
@click.option("--name", metavar="NAME", shell_complete=factory_names, help="Only workers of this factory.")
@click.option("--stage", metavar="NAME", shell_complete=stage_names, help="Only workers of this stage.")
@search_options
@format_option
def command(name: str | None, stage: str | None, search: StageSearch, format_: str) -> None:
    """Show one row per worker: its process, state, uptime, restarts, jobs done, failed and in hand.

    States: starting, ready, stopped (takes no jobs), busy, waiting (to be restarted), stopping, broken (a crash
    loop), ended, gone (its runner does not run). During an update a bot has old and new workers. JSON lists workers
    only; problems are on stderr.

    A stage with sectors on AWS shows the workers of its instances, too, with region and instance, as they were said
    to be within the last minute; `stopped answering` after three minutes without a word, and since when. AWS is asked
    for other stages with --aws, --aws-profile or --region, and for a --name that is not built here.
    """
    home, backends = find_home(), search.backends(name, stage)
    if name is not None:
        found = verbs.matches(home, name, stage, backends=backends)
        found = found or [verbs.find(home, name, stage, backends=backends)]
    else:
        found = [one for one in verbs.list_factories(home, backends=backends) if stage in (None, one.stage)]
    rows = worker_rows(found)
    for factory, runners in runners_or_why_not(found, say):
        rows += remote_worker_rows(factory, runners)
    if format_ == "json":
        print_json([as_json(row) for row in rows])
    elif rows:
        spare = ("in hand", "restarts", "uptime", "done", "failed")
        if any(row.instance is not None for row in rows):
            cells = [(*_cells(row), row.region or "-", row.instance or "-", row.silent_since or "-") for row in rows]
            print_table((*COLUMNS, *REMOTE_COLUMNS), cells, spare=("pid", *spare))
        else:
            print_table(COLUMNS, map(_cells, rows), spare=spare)
    elif not found:
        say("nothing is built here")
    say_problems(found)


def _cells(row: WorkerRow) -> tuple[object, ...]:
    """A worker as a row under COLUMNS."""
    return (
        row.factory, row.stage, row.sector, row.bot, row.worker, row.pid, row.state, duration(row.uptime), row.restarts,
        row.done, row.failed, row.in_hand,
    )  # fmt: skip
