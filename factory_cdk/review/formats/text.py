"""A report as plain text, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from factory_cdk.columns import columns_of, fitting, lines_of
from factory_cdk.plain_text import on_one_line
from factory_cdk.review.formats.blocks import (
    Block,
    Bullets,
    Details,
    Diagram,
    Heading,
    Line,
    Link,
    Mark,
    Paragraph,
    Piece,
    Said,
    Sign,
    Table,
    Value,
)
from factory_cdk.review.formats.document import document
from factory_cdk.review.model import Report, Verdict

_SIGNS = {
    Verdict.REMOVED: "-",
    Verdict.REPLACED: "-/+",
    Verdict.RESTARTED: "!",
    Verdict.ADDED: "+",
    Verdict.CHANGED: "~",
    Verdict.UNCHANGED: "=",
}
_COLOURS = {
    Verdict.REMOVED: "red",
    Verdict.REPLACED: "red",
    Verdict.RESTARTED: "yellow",
    Verdict.ADDED: "green",
    Verdict.CHANGED: "cyan",
    Verdict.UNCHANGED: "green",
}


def as_text(report: Report, *, width: int | None, colour: bool, brief: bool = False) -> str:
    """The report as text; its tables fit into `width` cells of a terminal (None: they are as wide as what is in them).

    Nothing is coloured unless `colour` says so. `brief` leaves out the resources of the templates.
    """
    parts = ["\n".join(_block(block, width, colour)) for block in document(report, brief=brief)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block, width: int | None, colour: bool) -> Iterator[str]:
    match block:
        case Heading(_, line):
            yield _styled(_line(line), colour, bold=True)
        case Paragraph(line):
            yield _line(line)
        case Bullets(lines, title):
            if title:
                yield f"{title}:"
            yield from (f"  {_coloured_marks(line, colour)}" for line in lines)
        case Table(header, rows, _, _):
            yield from _table(header, rows, width, colour)
        case Diagram():
            return  # the edges are listed
        case Details(title, blocks):
            shown = [part for inner in blocks if (part := list(_block(inner, width, colour)))]
            if shown:
                yield _styled(f"{title}:", colour, bold=True)
                yield from (line for part in shown for line in part)


def _table(header: Sequence[str], rows: Sequence[Sequence[Line]], width: int | None, colour: bool) -> Iterator[str]:
    columns = columns_of(header, [[_line(cell) for cell in row] for row in rows])
    if width is not None:
        columns = fitting(columns, width, shrinks=header[2:], last=header[1:])
    for number, line in lines_of(columns):
        mark = rows[number - 1][0][:1] if number else ()
        if not number:
            yield _styled(line, colour, bold=True)
        elif mark and isinstance(mark[0], Mark) and line.startswith(label := _piece(mark[0])):
            yield _styled(label, colour, fg=_COLOURS[mark[0].verdict]) + line[len(label) :]
        else:
            yield line


def _coloured_marks(line: Line, colour: bool) -> str:
    return "".join(
        _styled(_piece(piece), colour, fg=_COLOURS[piece.verdict]) if isinstance(piece, Mark) else _piece(piece)
        for piece in line
    )


def _line(line: Line) -> str:
    return "".join(map(_piece, line))


def _piece(piece: Piece) -> str:
    match piece:
        case Value(text) | Said(text):
            return on_one_line(text)
        case Link(url):
            return on_one_line(url)
        case Mark(verdict, words):
            return f"{_SIGNS[verdict]} {words}"
        case Sign(_, words):
            return words
        case str():
            return piece


def _styled(text: str, colour: bool, *, fg: str | None = None, bold: bool = False) -> str:
    return click.style(text, fg=fg, bold=bold or None) if colour else text
