"""What a report consists of, whoever shows it: blocks of pieces. What came from users is marked as such.

A piece that is a plain `str` is in our own words, and may hold letters, digits and harmless marks only: it is written
as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from factory_cdk.review.model import Verdict


@dataclass(frozen=True, slots=True)
class Value:
    """A name or a value that a user chose; it is shown as code."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in which there may be names and values that a user chose."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A page on the web; it is only linked where its address is harmless."""

    url: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict, shown as a sign and `words`."""

    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class Sign:
    """Words of our own that stand out by an icon where one can be shown."""

    icon: str
    words: str


Piece: TypeAlias = str | Value | Said | Link | Mark | Sign
Line: TypeAlias = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of what follows; level 1 is the report's."""

    level: int
    line: Line


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One line that stands for itself."""

    line: Line


@dataclass(frozen=True, slots=True)
class Bullets:
    """Lines of a list, under a title in our own words (empty: none)."""

    lines: tuple[Line, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header in our own words. Where a page is narrow, cells are `joined`: the numbers of the
    columns that become one, in order (empty: every column stays), under `joined_header`.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    joined: tuple[tuple[int, ...], ...] = ()
    joined_header: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagram:
    """A Mermaid flowchart under a title in our own words."""

    title: str
    mermaid: str


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that are closed until a reader opens them, where that can be; `title` is in our own words."""

    title: str
    blocks: tuple[Bullets | Table | Diagram | Paragraph, ...]


Block: TypeAlias = Heading | Paragraph | Bullets | Table | Diagram | Details
