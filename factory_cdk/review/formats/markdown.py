"""A report as Markdown for a comment on a pull request (GitHub) or merge request (GitLab)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

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
from factory_cdk.review.formats.cutting import cut
from factory_cdk.review.formats.document import document
from factory_cdk.review.formats.escaping import code, fenced, for_comment, is_plain_mermaid, link_host, prose
from factory_cdk.review.formats.values import shortened
from factory_cdk.review.model import Report, Verdict

LONGEST = 600
"""Characters of a name or a sentence; nobody reads more in a comment, and the JSON has all of it."""

_SIGNS = {
    Verdict.REMOVED: "❌",
    Verdict.REPLACED: "♻️",
    Verdict.RESTARTED: "🔄",
    Verdict.ADDED: "➕",
    Verdict.CHANGED: "✏️",
    Verdict.UNCHANGED: "✔️",
}


def marker(plan: str, about: str = "") -> str:
    """The first line of the Markdown, by which the comment on `plan` (and `about`, e.g. a stage) is found again."""
    name = for_comment(posixpath.normpath(plan)[-200:])
    return f"<!-- factory-cdk review: {name}{' ' + for_comment(about[:80]) if about else ''} -->"


def as_markdown(report: Report, *, limit: int | None = None, full_report_url: str | None = None) -> str:
    """The report as Markdown that GitHub and GitLab render, at most `limit` characters of it; where it is cut,
    `full_report_url` says where the whole is.
    """
    parts = [marker(report.plan), *("\n".join(_block(block)) for block in document(report))]
    text = "\n\n".join(parts) + "\n"
    return text if limit is None else cut(text, limit, full_report_url)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(level, line):
            yield f"{'#' * (level + 2)} {_line(line)}"
        case Paragraph(line):
            yield _line(line)
        case Bullets(lines, title):
            if title:
                yield from (f"**{title}**", "")
            yield from (f"- {_line(line)}" for line in lines)
        case Table(header, rows, (), ()):
            yield from _table(header, rows)
        case Table(_, rows, joined, header):
            yield from _table(header, [[_joined(row[one] for one in cells) for cells in joined] for row in rows])
        case Diagram(title, mermaid):
            yield from (f"**{title}**", "", fenced(mermaid, "mermaid" if is_plain_mermaid(mermaid) else "text"))
        case Details(title, blocks):
            yield f"<details><summary>{title}</summary>"
            for inner in blocks:
                yield ""
                yield from _block(inner)
            yield from ("", "</details>")


def _table(header: Sequence[str], rows: Sequence[Sequence[Line]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(_line(cell, in_table=True) for cell in row)} |"


def _joined(cells: Iterable[Line]) -> Line:
    """Cells as one: a verdict before its sector, what differs before its values."""
    line: list[Piece] = []
    for cell in cells:
        if line and cell:
            line.append(" " if isinstance(line[-1], Mark) else ": ")
        line += cell
    return tuple(line)


def _line(line: Line, *, in_table: bool = False) -> str:
    return "".join(_piece(piece, in_table, first=not number) for number, piece in enumerate(line))


def _piece(piece: Piece, in_table: bool, first: bool) -> str:
    match piece:
        case Value(text):
            return code(shortened(text, LONGEST), in_table=in_table)
        case Said(text):
            return prose(shortened(text, LONGEST), in_table=in_table, first=first)
        case Link(url):
            host = link_host(url)
            return code(shortened(url, LONGEST), in_table=in_table) if host is None else f"[{code(host)}]({url})"
        case Mark(verdict, words):
            return f"{_SIGNS[verdict]} {words}"
        case Sign(icon, words):
            return f"{icon} {words}"
        case str():
            return piece
