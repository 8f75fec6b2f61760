"""Packing as the commands show it: a bar for each bot while it runs on a terminal, a line for each in the end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from factory_cdk.cli.output.report import coloured
from factory_cdk.home import find_home, pack_cache
from factory_cdk.pack import Lock, PackedBot, PackReport, Progress, pack
from factory_cdk.pack.report import OnProgress
from factory_cdk.plain_text import printable
from factory_cdk.plan.model import Bot, Plan

PACK_DIR = "FACTORY_PACK_DIR"
"""Names the folder for the unpacked trees that `pack --no-delete` leaves."""


def pack_folder() -> Path:
    """Where unpacked trees go: FACTORY_PACK_DIR, else `packed` in FACTORY_CDK_HOME."""
    named = os.environ.get(PACK_DIR)
    return Path(named).absolute() if named else find_home() / "packed"


def packed(
    plan: Plan,
    bots: Sequence[Bot],
    lock: Lock | None = None,
    *,
    fresh: Collection[str] = (),
    keep: Path | None = None,
    quiet: bool = False,
) -> PackReport:
    """Pack `bots` into the cache, with progress on a terminal; SIGTERM ends it as cleanly as Ctrl-C does."""
    with _progress(bots, quiet=quiet) as on_progress, _ended_cleanly():
        return pack(plan, bots, cache=pack_cache(), on_progress=on_progress, keep=keep, lock=lock, fresh=fresh)


def print_packed(report: PackReport, *, quiet: bool = False) -> None:
    """One line for every bot on stdout, then on stderr what a user should know, then every failure."""
    width = max((len(made.bot) for made in report.bots), default=0)
    for made in report.bots if not quiet else ():
        click.echo(f"{printable(made.bot).ljust(width)}  {_line(made)}")
    for file in report.files if not quiet else ():
        click.echo(printable(f"for offline sectors: {file}"))
    for made in report.bots if not quiet else ():
        for note in made.notes:
            label = coloured("warning", to_stderr=True, fg="yellow", bold=True)
            click.echo(f"{label}: {printable(f'{made.bot}: {note}')}", err=True)
    report.refuse_failures()


def _line(made: PackedBot) -> str:
    return printable(str(made.summary)) if made.summary else coloured("failed", fg="red", bold=True)


@contextmanager
def _progress(bots: Sequence[Bot], *, quiet: bool) -> Iterator[OnProgress | None]:
    """Bars on stderr where that is a terminal; else nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that only a terminal pays
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {bot.name: bars.add_task(escape(bot.name), total=None, step="waiting") for bot in bots}

        def show(progress: Progress) -> None:
            over = progress.step in ("done", "failed")
            share = 1.0 if over else progress.share
            first_line = printable(progress.detail).partition("\n")[0][:60]
            bars.update(
                tasks[progress.bot],
                step=escape(progress.step if over else f"{progress.step} {first_line}"),
                total=None if share is None else 1.0,
                completed=share or 0.0,
            )

        yield show


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """SIGTERM raises SystemExit, so that what was begun is taken back."""

    def end(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
