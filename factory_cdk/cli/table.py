"""Tables of plain text: as wide as what is in them, whatever the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from factory_cdk.cli.report import cells_of, coloured, printable


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print `rows` under `header` on stdout; columns that hold only numbers are aligned to the right."""
    cells = [[printable(str(cell)) if cell is not None else "-" for cell in row] for row in rows]
    columns = list(zip(header, *cells, strict=True))
    right = [all(_is_number(cell) for cell in column[1:]) and len(column) > 1 for column in columns]
    widths = [max(map(cells_of, column)) for column in columns]
    for number, row in enumerate([list(header), *cells]):
        padded = [
            _padding(cell, width) + cell if on_right else cell + _padding(cell, width)
            for cell, width, on_right in zip(row, widths, right, strict=True)
        ]
        line = "  ".join(padded).rstrip()
        click.echo(coloured(line, bold=True) if number == 0 else line)


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


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.isdecimal()
