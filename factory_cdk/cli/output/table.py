"""Tables of plain text: as wide as what is in them, and on a terminal no wider than that, if it can be."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence

import click

from factory_cdk.cli.output.fitting import GAP, Column, columns_of, fitting, width_of
from factory_cdk.cli.output.report import cells_of, coloured


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
    for number, row in enumerate(zip(*((one.name, *one.cells) for one in columns), strict=True)):
        cells = [_lines(cell, one.width) for cell, one in zip(row, columns, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            padded = [
                _padding(part, one.width) + part if one.on_right else part + _padding(part, one.width)
                for part, one in zip(parts, columns, strict=True)
            ]
            line = (" " * GAP).join(padded).rstrip()
            click.echo(coloured(line, bold=True) if number == 0 else line)


def _lines(cell: str, width: int) -> list[str]:
    if cells_of(cell) <= width and "\n" not in cell:
        return [cell]
    from rich.console import Console  # noqa: PLC0415 - 60 ms that only a narrow terminal pays
    from rich.text import Text  # noqa: PLC0415

    return [str(line).rstrip() for line in Text(cell).wrap(Console(), width, overflow="fold")]


def _padding(cell: str, width: int) -> str:
    return " " * (width - cells_of(cell))


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
