"""A stage's workflow before and after, as Mermaid flowcharts in which what differs is coloured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factory_cdk.picture.escaping import for_mermaid
from factory_cdk.review.model import WorkflowReport
from factory_cdk.review.sides.side import StageSide

_GONE = "fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:4"
_NEW = "fill:#dafbe1,stroke:#1a7f37,color:#1f2328"

Edge = tuple[str, str]


def workflow_report(before: StageSide | None, after: StageSide | None) -> WorkflowReport | None:
    """The two workflows; None where neither side has one."""
    old, new = (side.edges if side else () for side in (before, after))
    if not old and not new:
        return None
    added = tuple(edge for edge in new if edge not in set(old))
    removed = tuple(edge for edge in old if edge not in set(new))
    bots_before, bots_after = (_bots(side) for side in (before, after))
    return WorkflowReport(
        _flowchart(bots_before, old, bots_after, set(new), _GONE) if old else None,
        _flowchart(bots_after, new, bots_before, set(old), _NEW) if new else None,
        added,
        removed,
    )


def _bots(side: StageSide | None) -> tuple[str, ...]:
    """The bots of a side that are in its workflow, in the order of the plan."""
    if side is None:
        return ()
    in_it = {bot for edge in side.edges for bot in edge}
    return tuple(dict.fromkeys(bot for bot in (*side.code, *in_it) if bot in in_it))


def _flowchart(bots: Sequence[str], edges: Sequence[Edge], other: Sequence[str], kept: set[Edge], colour: str) -> str:
    return "\n".join(_lines(bots, edges, set(other), kept, colour))


def _lines(bots: Sequence[str], edges: Sequence[Edge], other: set[str], kept: set[Edge], colour: str) -> Iterator[str]:
    numbers = {bot: number for number, bot in enumerate(bots)}
    yield "flowchart LR"
    for bot, number in numbers.items():
        differs = "" if bot in other else ":::differs"
        yield f'  bot{number}["{for_mermaid(bot)}"]{differs}'
    changed = []
    for at, (source, target) in enumerate(edges):
        yield f"  bot{numbers[source]} --> bot{numbers[target]}"
        if (source, target) not in kept:
            changed.append(str(at))
    yield f"  classDef differs {colour}"
    if changed:
        stroke = "#cf222e" if colour == _GONE else "#1a7f37"
        yield f"  linkStyle {','.join(changed)} stroke:{stroke},stroke-width:3px"
