"""`factory-cdk list`: what is built here."""

from __future__ import annotations

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import format_option, say, say_problems, shown_path
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.views.plain import as_json
from factory_cdk.views.stages import stage_row

EXAMPLES = """\b
Examples:
  factory-cdk list
  factory-cdk list --format json
"""


@click.command(epilog=EXAMPLES)
@format_option
def command(format_: str) -> None:
    """List the stages that are built on this machine.

    States: running, stopping, stopped (`resume` continues), ended or killed (the runner does not run: `resume` starts
    it again), building, unfinished (a build was killed), damaged, outdated (built by another version of factory-cdk).
    Problems, and what to do about them, are on stderr.
    """
    found = verbs.list_factories(find_home())
    rows = [stage_row(one) for one in found]
    if format_ == "json":
        print_json([as_json(row) for row in rows])
    elif rows:
        print_table(
            ("factory", "stage", "state", "runner", "workers", "built", "plan"),
            [
                (row.factory, row.stage, row.state, row.runner, row.workers, row.built, shown_path(row.plan))
                for row in rows
            ],
            folds=("plan",),
            spare=("runner", "workers"),
        )
    else:
        say("nothing is built here")
    say_problems(found)
