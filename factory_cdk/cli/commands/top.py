"""`factory-cdk top`: everything that is built here, live, on the whole screen."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.output.top_rows import COLUMNS, LEAST_WANTED, cells, failures, title
from factory_cdk.cli.shared_options import StageSearch, factory_names, format_option, search_options, stage_names
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.instances import runners_of
from factory_cdk.state.stages import Factory
from factory_cdk.views.overview import Overview, StageView
from factory_cdk.views.plain import as_json

EXAMPLES = """\b
Examples:
  factory-cdk top
  factory-cdk top --name works --interval 0.5
  factory-cdk top --once
  factory-cdk top --format json | jq '.[].bots[] | select(.dead > 0)'
"""


@click.command(epilog=EXAMPLES, short_help="Monitor bots, queues, rates and the last failures, live.")
@click.option("--name", metavar="NAME", shell_complete=factory_names, help="Only this factory.")
@click.option("--stage", metavar="NAME", shell_complete=stage_names, help="Only this stage.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="Time between two refreshes.",
)
@click.option("--once", is_flag=True, help="Print once and exit; the default where stdout is no terminal.")
@search_options
@format_option
def command(
    name: str | None, stage: str | None, interval: float, once: bool, search: StageSearch, format_: str
) -> None:
    """Monitor bots, queues, rates and the last failures; q or Ctrl-C quits.

    Waiting jobs are ready or delayed. Rates are attempts per second over the last ten seconds. A narrow screen
    shows fewer columns. JSON is printed once.

    Workers of instances are among them, as they were said to be within the last minute. AWS is asked for stages that
    are not built here with --aws, --aws-profile or --region, and for a --name that is not built here.
    """
    home, backends = find_home(), search.backends(name, stage)
    if name is not None and not verbs.matches(home, name, stage, backends=backends):
        verbs.find(home, name, stage, backends=backends)  # says what is built instead

    def found() -> list[Factory]:
        if name is None:
            return verbs.list_factories(home, backends=backends)
        return verbs.matches(home, name, stage, backends=backends)

    overview = Overview(home, name, stage, find=found, runners=runners_of)
    if format_ == "json":
        print_json([as_json(view) for view in overview.look()])
    elif once or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        print_once(overview.look())
    else:
        watch(overview, interval)


def print_once(stages: tuple[StageView, ...]) -> None:
    """How everything stands, as plain tables."""
    if not stages:
        click.echo("nothing is built here", err=True)
    for stage in stages:
        click.echo(f"{title(stage)}")
        print_table(COLUMNS, [cells(bot) for bot in stage.bots], folds=("status",), spare=LEAST_WANTED)
        for line in failures(stage):
            click.echo(f"  {line}")


def watch(overview: Overview, interval: float) -> None:
    """Show `overview` on the whole screen until somebody presses q."""
    from rich.console import Console  # noqa: PLC0415 - 60 ms that only this pays
    from rich.live import Live  # noqa: PLC0415

    from factory_cdk.cli.output.screen import draw  # noqa: PLC0415

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live, _keys() as pressed:
        while True:
            try:
                live.update(draw(overview.look(), console.size), refresh=True)
            except FactoryError as error:  # queues that vanish while we look: say so, look again
                live.update(f"{error.message}\n{error.remedy or ''}", refresh=True)
            if pressed(interval) in ("q", "Q"):
                return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits so many seconds for a key and answers it, or an empty text."""
    if not sys.stdin.isatty():
        yield lambda seconds: "q" if threading.Event().wait(seconds) else ""  # nobody sets it
        return
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)

    def pressed(seconds: float) -> str:
        return sys.stdin.read(1) if select.select([sys.stdin], [], [], seconds)[0] else ""

    try:
        tty.setcbreak(sys.stdin)
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
