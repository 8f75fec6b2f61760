"""`factory-cdk info`: everything about one built stage."""

from __future__ import annotations

from typing import Any

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import built_stage_option, format_option, name_option, say, warning
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs as factory

EXAMPLES = """\b
Examples:
  factory-cdk info --name works --stage test
"""


@click.command(epilog=EXAMPLES, short_help="Show a built stage: bots, queues, where its files are.")
@name_option
@built_stage_option
@format_option
def command(name: str, stage: str | None, format_: str) -> None:
    """Show a built stage: how it is, its bots and their queues, what it runs, and where its files are."""
    found = factory.find_any(find_home(), name, stage)
    about = factory.describe(found)
    if format_ == "json":
        print_json(about)
        return
    _print(about)
    if note := warning(found):
        say(note)


def _print(about: dict[str, Any]) -> None:
    for key in ("factory", "stage", "state", "runner", "built", "plan", "folder", "logs"):
        click.echo(f"{key:9} {about[key] if about[key] is not None else '-'}")
    if about["bots"]:
        click.echo()
        print_table(
            ("sector", "bot", "takes jobs", "workers", "next", "queue", "ready", "delayed", "leased", "dead"),
            [
                (
                    bot["sector"],
                    bot["bot"],
                    "yes" if bot["open"] else "no",
                    bot["workers"],
                    ", ".join(bot["next"]) or "-",
                    bot["queue"],
                    *(bot["depth"][kind] for kind in ("ready", "delayed", "leased", "dead")),
                )
                for bot in about["bots"]
            ],
            folds=("next",),
            then="queue",
            again=2,
        )
