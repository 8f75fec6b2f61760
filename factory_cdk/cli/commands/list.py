"""`factory-cdk list`: what is built here."""

from __future__ import annotations

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import StageSearch, format_option, say, say_problems, search_options, shown_path
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.views.plain import as_json
from factory_cdk.views.stages import stage_row

COLUMNS = ("factory", "stage", "state", "runner", "workers", "built", "plan")

EXAMPLES = """\b
Examples:
  factory-cdk list
  factory-cdk list --format json
  factory-cdk list --aws --aws-profile works
"""


@click.command(epilog=EXAMPLES, short_help="List the stages that are built here, or deployed.")
@search_options
@format_option
def command(search: StageSearch, format_: str) -> None:
    """List the stages that are built on this machine, and with --aws those that are deployed.

    States: running, stopping, stopped (`resume` continues), ended or killed (the runner does not run: `resume` starts
    it again), building, unfinished (a build was killed, or a stack failed), damaged, outdated (built by another version
    of factory-cdk), silent (no runner of its instances answers). Problems, and what to do about them, are on stderr.

    AWS is asked with --aws, --aws-profile or --region alone: in every region that is enabled for the account.
    """
    found = verbs.list_factories(find_home(), backends=search.backends())
    rows = [stage_row(one) for one in found]
    if format_ == "json":
        print_json([as_json(row) for row in rows])
    elif rows:
        columns = [
            (row.factory, row.stage, row.state, row.runner, row.workers, row.built, shown_path(row.plan))
            for row in rows
        ]
        if any(row.regions for row in rows):
            cells = [(*one, ", ".join(row.regions) or "-") for one, row in zip(columns, rows, strict=True)]
            print_table((*COLUMNS, "regions"), cells, folds=("plan", "regions"), spare=("runner", "workers"))
        else:
            print_table(COLUMNS, columns, folds=("plan",), spare=("runner", "workers"))
    else:
        say("nothing is built here")
    say_problems(found)
