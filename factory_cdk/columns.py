"""Columns of plain text, which a line has room for, how wide each, and their lines: for tables and for `top`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from factory_cdk.plain_text import cells_of, printable

GAP = 2
"""Cells of a terminal between two columns."""

LEAST_FOLDED = 12
"""Cells that a column has at least whose text goes on in further lines."""

_NUMBER = re.compile(r"-|\d[\d,]*(\.\d+)?s?")
"""A number, a time in seconds, or that there is none."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its cells, how many cells of a terminal it takes; numbers are aligned to the right."""

    name: str
    cells: tuple[str, ...]
    width: int
    on_right: bool

    @property
    def narrow(self) -> Column:
        """The column with the words of its name below each other, if it takes less then."""
        return replace(self, width=max(map(cells_of, (*self.name.split(), *self.cells))))


def columns_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[Column]:
    """The columns of a table, each as wide as what is in it; None is shown as a dash."""
    table = [[printable(str(cell)) if cell is not None else "-" for cell in row] for row in rows]
    found = []
    for name, *cells in zip(header, *table, strict=True):
        on_right = bool(cells) and all(map(_NUMBER.fullmatch, cells))
        found.append(Column(name, tuple(cells), max(map(cells_of, (name, *cells))), on_right))
    return found


def width_of(columns: Sequence[Column]) -> int:
    """How many cells a line of the table takes."""
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def fitting(
    columns: Sequence[Column],
    room: int,
    *,
    shrinks: Collection[str] = (),
    spare: Sequence[str] = (),
    last: Collection[str] = (),
    least: int = LEAST_FOLDED,
    least_of_last: int = LEAST_FOLDED,
) -> list[Column]:
    """The columns in the widths that `room` cells have room for.

    Columns of `shrinks` become narrower, down to `least`; where that is not enough, those of `spare` are left out, the
    first of them first; at last those of `last` become narrower, down to `least_of_last`. What is returned is wider
    than `room` where all of this is not enough.
    """
    kept = list(columns)
    shrunk = _shrunk(kept, room, shrinks, least)
    for name in spare:
        if width_of(shrunk) <= room:
            return shrunk
        kept = [column for column in kept if column.name != name]
        shrunk = _shrunk(kept, room, shrinks, least)
    return _shrunk(shrunk, room, last, least_of_last)


def _shrunk(columns: Sequence[Column], room: int, names: Collection[str], least: int) -> list[Column]:
    """`columns` with those of `names`, the widest first, as narrow as need be, but no narrower than `least`."""
    found = {column.name: column for column in columns}
    while width_of(list(found.values())) > room:
        wide = [column for column in found.values() if column.name in names and column.width > least]
        if not wide:
            break
        widest = max(wide, key=lambda column: column.width)
        found[widest.name] = replace(widest, width=widest.width - 1)
    return list(found.values())


def lines_of(columns: Sequence[Column]) -> Iterator[tuple[int, str]]:
    """The lines of the table, each with the number of its row, 0 for the header: a cell takes as many lines as its
    column makes it take.
    """
    for number, row in enumerate(zip(*((one.name, *one.cells) for one in columns), strict=True)):
        cells = [_lines(cell, one.width) for cell, one in zip(row, columns, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            padded = [
                _padding(part, one.width) + part if one.on_right else part + _padding(part, one.width)
                for part, one in zip(parts, columns, strict=True)
            ]
            yield number, (" " * GAP).join(padded).rstrip()


def _lines(cell: str, width: int) -> list[str]:
    if cells_of(cell) <= width and "\n" not in cell:
        return [cell]
    from rich.console import Console  # noqa: PLC0415 - 60 ms that only a narrow terminal pays
    from rich.text import Text  # noqa: PLC0415

    return [str(line).rstrip() for line in Text(cell).wrap(Console(), width, overflow="fold")]


def _padding(cell: str, width: int) -> str:
    return " " * (width - cells_of(cell))
