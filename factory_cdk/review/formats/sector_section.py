"""Sectors and settings of a stage that differ, in what, and why that matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factory_cdk.review.formats.blocks import Block, Details, Line, Mark, Piece, Said, Table, Value
from factory_cdk.review.formats.grouping import SectorGroup, sector_groups
from factory_cdk.review.formats.values import change, counted, names
from factory_cdk.review.model import Difference, StageReport

MOST_GROUPS = 20
"""Rows of sectors that are open; further ones are in the details."""

MOST_DIFFERENCES = 5
"""Differences of a sector that are open."""

_WHOLE_VALUE = 400
"""Characters of a value in the details."""

_HEADER = ("verdict", "sector", "what", "before → after", "why")


def sector_blocks(stage: StageReport) -> Iterator[Block]:
    """The table of sectors, and in details what it has no room for."""
    groups = sector_groups(stage.sectors)
    if not groups:
        return
    shown = groups[:MOST_GROUPS]
    yield _table(shown)
    if len(groups) > MOST_GROUPS:
        more = groups[MOST_GROUPS:]
        number = sum(len(group.names) for group in more)
        yield Details(
            f"{counted(number, 'more sector')} in which something changes",
            (_table(more),),
        )
    for group in shown:
        if len(group.why) > MOST_DIFFERENCES:
            title = f"All {len(group.why)} differences of {counted(len(group.names), 'sector')}: {group.words}"
            rows = tuple(_difference(one, _WHOLE_VALUE) for one in group.why)
            yield Details(title, (Table(("sector", *_HEADER[2:]), ((names(group.names, "sector"), *rows[0]),
                                        *(((), *row) for row in rows[1:]))),))  # fmt: skip


def _table(groups: Sequence[SectorGroup]) -> Table:
    rows = tuple(row for group in groups for row in _rows(group))
    return Table(_HEADER, rows, ((0, 1), (2, 3), (4,)), ("sector", "what: before → after", "why"))


def _rows(group: SectorGroup) -> Iterator[tuple[Line, ...]]:
    first: tuple[Line, ...] = ((Mark(group.verdict, group.words),), names(group.names, "sector"))
    many = len(group.why) > MOST_DIFFERENCES
    shown = group.why[: MOST_DIFFERENCES - 1] if many else group.why
    for one in shown:
        yield (*first, *_difference(one))
        first = ((), ())
    if not shown:
        yield (*first, (), (), ())
    if many:
        yield (*first, (f"and {len(group.why) - len(shown)} more",), (), ())


def _difference(found: Difference, most: int | None = None) -> tuple[Line, Line, Line]:
    values = change(found.before, found.after) if most is None else change(found.before, found.after, most)
    why: list[Piece] = [Said(found.why)] if found.why else [str(found.effect)]
    if found.line is not None:
        why.append(f" (line {found.line})")
    return ((Value(found.what),), values, tuple(why))


def setting_blocks(stage: StageReport) -> Iterator[Block]:
    """What differs in the stage itself."""
    if stage.settings:
        yield _settings(stage.settings)


def _settings(found: Sequence[Difference]) -> Table:
    return Table(("stage’s setting", *_HEADER[3:]), tuple(_difference(one) for one in found))
