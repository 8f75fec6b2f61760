"""What sectors cost a month before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factory_cdk.review.formats.blocks import Block, Bullets, Details, Line, Said, Table, Value
from factory_cdk.review.formats.grouping import alike
from factory_cdk.review.formats.job_section import capped
from factory_cdk.review.formats.values import money, money_change, names
from factory_cdk.review.model import Cost, CostReport, SectorReport, StageReport

_NONE = Cost(None)

MOST_ROWS = 100
"""Rows of sectors in the table."""


def money_blocks(stage: StageReport) -> Iterator[Block]:
    """The costs in details: the head has said the difference."""
    cost = stage.cost
    if cost is None:
        return
    changed = [one for one in stage.sectors if one.cost_before != one.cost_after]
    if not changed and not cost.unknown and cost.before == cost.after:
        return
    rows = [_row(same) for same in alike(changed, _key)]
    blocks: list[Bullets | Table] = []
    if rows:
        blocks.append(Table(("sector", "before", "after", "for"), tuple(rows[:MOST_ROWS])))
    blocks.append(Bullets(capped(list(_lines(cost, changed)), "more line")))
    yield Details("Cost", tuple(blocks))


def _key(sector: SectorReport) -> str:
    return repr((sector.cost_before, sector.cost_after))


def _row(same: list[SectorReport]) -> tuple[Line, ...]:
    before, after = same[0].cost_before, same[0].cost_after
    return (names([one.name for one in same], "sector"), _dollars(before), _dollars(after), _items(after or before))


def _dollars(cost: Cost | None) -> Line:
    if cost is None:
        return ("none",)
    return (money(cost.dollars) if cost.dollars is not None else "no price known",)


def _items(cost: Cost | None) -> Line:
    line: list[str | Value] = []
    for name, dollars in (cost.items if cost is not None else {}).items():
        line += [", "] if line else []
        line += [Value(name), f" {dollars:,.2f}"]
    return tuple(line)


def _lines(cost: CostReport, changed: Sequence[SectorReport]) -> Iterator[Line]:
    yield (money_change(cost.before, cost.after), ", at on-demand prices of ", Value(cost.date))
    unknown = [(one.name, name) for one in changed for name in (one.cost_after or one.cost_before or _NONE).unknown]
    for same in alike(unknown, lambda one: one[1]):
        yield ("no price known in ", *names([sector for sector, _ in same], "sector"), ": ", Said(same[0][1]))
    named = {sector for sector, _ in unknown}
    if others := [name for name in cost.unknown if name not in named]:
        yield ("no price known for something in ", *names(others, "sector"))
    for name, dollars in cost.per_million_jobs.items():
        yield ("a million jobs: ", Value(name), f" {money(dollars)}")
    for note in cost.notes:
        yield (Said(note),)
