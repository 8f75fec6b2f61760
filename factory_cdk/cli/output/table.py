"""Tables of plain text: as wide as what is in them, and on a terminal no wider than that, if it can be."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import click

from factory_cdk.cli.output.report import cells_of, coloured, printable

_GAP = 2
LEAST_FOLDED = 12
"""Cells that a column has at least whose text goes on in further lines."""

_NUMBER = re.compile(r"-|\d[\d,]*(\.\d+)?s?")
"""A number, a time in seconds, or that there is none."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its cells, how many cells of a terminal it takes; numbers stand on the right."""

    name: str
    cells: tuple[str, ...]
    width: int
    on_right: bool

    @property
    def narrow(self) -> Column:
        """The column with the words of its name below each other, if it takes less then."""
        return replace(self, width=max(map(cells_of, (*self.name.split(), *self.cells))))


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
    columns = _columns(header, rows)
    room = _room()
    if room is None or _width(columns) <= room:
        _print(columns)
        return
    cut = len(columns) if then is None else header.index(then)
    parts = [columns[:cut], *([[*columns[:again], *columns[cut:]]] if then else [])]
    left_out = []
    for number, part in enumerate(parts):
        if number:
            click.echo()
        fitting = _fitting([one.narrow for one in part], room, folds, spare, whole)
        left_out += [one.name for one in part if one.name not in {kept.name for kept in fitting}]
        _print(fitting)
    if left_out:
        click.echo(coloured(f"a wider terminal also shows: {', '.join(left_out)}", to_stderr=True, dim=True), err=True)


def _columns(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[Column]:
    table = [[printable(str(cell)) if cell is not None else "-" for cell in row] for row in rows]
    found = []
    for name, *cells in zip(header, *table, strict=True):
        on_right = bool(cells) and all(map(_NUMBER.fullmatch, cells))
        found.append(Column(name, tuple(cells), max(map(cells_of, (name, *cells))), on_right))
    return found


def _room() -> int | None:
    """How many cells a line of the terminal has; None where stdout is none: that is never wrapped or cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _width(columns: Sequence[Column]) -> int:
    return sum(one.width for one in columns) + _GAP * (len(columns) - 1)


def _fitting(
    columns: Sequence[Column], room: int, folds: Collection[str], spare: Sequence[str], whole: Collection[str]
) -> list[Column]:
    """What there is room for; more than that where a column can neither be left out nor folded."""
    kept = list(columns)
    folded = _folded(kept, room, folds)
    for name in spare:
        if _width(folded) <= room:
            break
        kept = [one for one in kept if one.name != name]
        folded = _folded(kept, room, folds)
    if _width(folded) > room:
        return _folded(kept, room, [one.name for one in kept if not one.on_right and one.name not in whole])
    return folded


def _folded(columns: Sequence[Column], room: int, folds: Collection[str]) -> list[Column]:
    """`columns` with those of `folds`, the widest first, as narrow as need be and as is readable."""
    found = {one.name: one for one in columns}
    while _width(list(found.values())) > room:
        wide = [one for one in found.values() if one.name in folds and one.width > LEAST_FOLDED]
        if not wide:
            break
        widest = max(wide, key=lambda one: one.width)
        found[widest.name] = replace(widest, width=widest.width - 1)
    return list(found.values())


def _print(columns: Sequence[Column]) -> None:
    """Every cell in as many lines as its column makes it take."""
    for number, row in enumerate(zip(*((one.name, *one.cells) for one in columns), strict=True)):
        cells = [_lines(cell, one.width) for cell, one in zip(row, columns, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            padded = [
                _padding(part, one.width) + part if one.on_right else part + _padding(part, one.width)
                for part, one in zip(parts, columns, strict=True)
            ]
            line = (" " * _GAP).join(padded).rstrip()
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
