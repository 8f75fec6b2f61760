"""Tables of plain text: as wide as what is in them, and on a terminal no wider than that, if it can be."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence

import click

from factory_cdk.cli.output.report import coloured
from factory_cdk.columns import Column, columns_of, fitting, lines_of, width_of


def print_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    folds: Collection[str] = (),
    spare: Sequence[str] = (),
    whole: Collection[str] = (),
    then: str | None = None,
    again: int = 1,
) -> None:
    """Print `rows` under `header` on stdout; columns that hold only numbers are aligned to the right.

    Where a terminal is too narrow, the columns from `then` on become a second table, which begins with the first
    `again` columns once more. Where it still is, columns of `folds` go on in further lines, those of `spare` are left
    out, the first of them first, and at last all others go on in further lines, too, but for numbers and those of
    `whole`, which are to be copied.
    """
    columns = columns_of(header, rows)
    room = _room()
    if room is None or width_of(columns) <= room:
        _print(columns)
        return
    cut = len(columns) if then is None else header.index(then)
    parts = [columns[:cut], *([[*columns[:again], *columns[cut:]]] if then else [])]
    left_out = []
    for number, part in enumerate(parts):
        if number:
            click.echo()
        last = [one.name for one in part if not one.on_right and one.name not in whole]
        kept = fitting([one.narrow for one in part], room, shrinks=folds, spare=spare, last=last)
        left_out += [one.name for one in part if one.name not in {column.name for column in kept}]
        _print(kept)
    if left_out:
        click.echo(coloured(f"a wider terminal also shows: {', '.join(left_out)}", to_stderr=True, dim=True), err=True)


def _room() -> int | None:
    """How many cells a line of the terminal has; None where stdout is none: that is never wrapped or cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _print(columns: Sequence[Column]) -> None:
    """Every cell in as many lines as its column makes it take."""
    for number, line in lines_of(columns):
        click.echo(coloured(line, bold=True) if number == 0 else line)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `42s`, `3m 7s`, `5h 2m`, `3d 4h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"
