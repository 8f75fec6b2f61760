"""`factory-cdk ps`: the workers of what is built here."""

from __future__ import annotations

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import duration, print_table
from factory_cdk.cli.shared_options import factory_names, format_option, say, stage_names, warning
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs as factory

EXAMPLES = """\b
Examples:
  factory-cdk ps
  factory-cdk ps --name works --format json | jq '.[] | select(.state == "broken")'
"""


@click.command(epilog=EXAMPLES, short_help="Show the workers: one row for each.")
@click.option("--name", metavar="NAME", shell_complete=factory_names, help="The workers of this factory alone.")
@click.option("--stage", metavar="NAME", shell_complete=stage_names, help="The workers of this stage alone.")
@format_option
def command(name: str | None, stage: str | None, format_: str) -> None:
    """Show one row per worker: its process, state, uptime, restarts, jobs done, failed and in hand.

    States: starting, ready, stopped (takes no jobs), busy, waiting (to be restarted), stopping, broken (a crash
    loop), ended, gone (its runner is). A bot that is being reloaded has workers of both its codes. JSON lists workers
    only; what is wrong is said on stderr.
    """
    home = find_home()
    if name is not None:
        found = factory.matches(home, name, stage) or [factory.find(home, name, stage)]
    else:
        found = [one for one in factory.list_factories(home) if stage in (None, one.stage)]
    rows = factory.workers(found)
    if format_ == "json":
        print_json(rows)
    elif rows:
        columns = ("factory", "stage", "sector", "bot", "worker", "pid", "state", "uptime", "restarts", "done")
        print_table(
            (*columns, "failed", "in hand"),
            [
                (
                    *(row[column] if column != "uptime" else duration(row["uptime"]) for column in columns),
                    row["failed"],
                    row["in_hand"],
                )
                for row in rows
            ],
            spare=("in hand", "restarts", "uptime", "done", "failed"),
        )
    elif not found:
        say("nothing is built here")
    for one in found:
        if note := warning(one):
            say(note)
