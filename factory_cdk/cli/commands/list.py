"""`factory-cdk list`: what is built here."""

from __future__ import annotations

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import format_option, say, shown_path, warning
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs as factory

EXAMPLES = """\b
Examples:
  factory-cdk list
  factory-cdk list --format json
"""


@click.command(epilog=EXAMPLES)
@format_option
def command(format_: str) -> None:
    """List the stages that are built on this machine.

    They are running, stopping, stopped (resume goes on), ended or killed (the runner is gone: resume starts it
    again), building, unfinished (a build was killed), damaged, or outdated (another version of factory-cdk has built
    it). What helps is said on stderr.
    """
    found = factory.list_factories(find_home())
    rows = [factory.summary(one) for one in found]
    if format_ == "json":
        print_json(rows)
    elif rows:
        columns = ("factory", "stage", "state", "runner", "workers", "built", "plan")
        lines = [[{**row, "plan": shown_path(row["plan"])}[column] for column in columns] for row in rows]
        print_table(columns, lines, folds=("plan",), spare=("runner", "workers"))
    else:
        say("nothing is built here")
    for one in found:
        if note := warning(one):
            say(note)
