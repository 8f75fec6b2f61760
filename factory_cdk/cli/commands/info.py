"""`factory-cdk info`: everything about one built stage."""

from __future__ import annotations

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import (
    StageSearch,
    built_stage_option,
    format_option,
    name_option,
    say,
    say_problems,
    search_options,
)
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.instances import runners_or_why_not
from factory_cdk.views.plain import as_json
from factory_cdk.views.stages import StageDetail, stage_detail

EXAMPLES = """\b
Examples:
  factory-cdk info --name works --stage test
"""


@click.command(epilog=EXAMPLES, short_help="Show a built stage: bots, queues, where its files are.")
@name_option
@built_stage_option
@search_options
@format_option
def command(name: str, stage: str | None, search: StageSearch, format_: str) -> None:
    """Show a built stage: its state, its bots and their queues, and where its files are."""
    found = verbs.find_any(find_home(), name, stage, backends=search.backends(name, stage))
    runners = [one for _, several in runners_or_why_not([found], say) for one in several]
    detail = stage_detail(found, runners)
    if format_ == "json":
        print_json(as_json(detail))
        return
    _print(detail)
    say_problems([found])


def _print(detail: StageDetail) -> None:
    for key in ("factory", "stage", "state", "runner", "built", "plan", "folder", "logs"):
        value = getattr(detail, key)
        click.echo(f"{key:9} {value if value is not None else '-'}")
    if detail.bots:
        click.echo()
        print_table(
            ("sector", "bot", "takes jobs", "workers", "next", "queue", "ready", "delayed", "leased", "dead"),
            [
                (
                    *(bot.sector, bot.bot, "yes" if bot.open else "no", bot.workers),
                    *(", ".join(bot.next) or "-", bot.queue),
                    *(bot.depth.ready, bot.depth.delayed, bot.depth.leased, bot.depth.dead),
                )
                for bot in detail.bots
            ],
            folds=("next",),
            then="queue",
            again=2,
        )
    if detail.stacks:
        click.echo()
        print_table(("stack", "region", "status"), [(one.name, one.region, one.status) for one in detail.stacks])
    if detail.instances:
        click.echo()
        print_table(
            ("sector", "region", "instance", "state", "workers", "last word", "silent since", "trouble"),
            [
                (
                    *(one.sector, one.region, one.instance, one.state, one.workers),
                    *(one.said, one.silent_since or "-", one.trouble or "-"),
                )
                for one in detail.instances
            ],
            folds=("trouble",),
        )
