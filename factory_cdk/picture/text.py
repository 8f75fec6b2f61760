"""A stage as text: who feeds whom, then what runs where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory_cdk.picture.escaping import printable
from factory_cdk.picture.model import Arrow, Picture


def as_text(picture: Picture) -> str:
    """The picture as lines of text for a terminal or a log; long lines are not cut."""
    lines = [
        f"{printable(picture.title)}: {printable(picture.summary)}",
        "",
        *_workflow(picture),
        "",
        *_sectors(picture),
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Step:
    """A line of the workflow that is still to be written: a card, what stands before its name and before the names
    below it, and what is to be said of the arrow that leads to it.
    """

    number: int
    lead: str = "    "
    below: str = "    "
    label: str = ""


def _workflow(picture: Picture) -> Iterator[str]:
    """Every card once with its queue, under what feeds it; where it is fed again, only its name."""
    ahead: dict[int, list[Arrow]] = defaultdict(list)
    for arrow in picture.arrows:
        ahead[arrow.source].append(arrow)
    fed = {arrow.target for arrow in picture.arrows}
    numbers = range(len(picture.cards))
    rows: list[tuple[str, str]] = []
    shown: set[int] = set()
    # What only a circle feeds comes last.
    for start in (
        *(number for number in numbers if number not in fed),
        *(number for number in numbers if number in fed),
    ):
        stack = [] if start in shown else [_Step(start)]
        while stack:
            step = stack.pop()
            card = picture.cards[step.number]
            name = f"{step.lead}{printable(card.bot)}"
            if step.number in shown:
                rows.append((f"{name} ↑", f"queue {printable(card.queue)}{step.label}"))
                continue
            shown.add(step.number)
            root = "  (jobs start here)" if card.root else ""
            rows.append((name, f"queue {printable(card.queue)}{step.label}{root}"))
            stack += reversed(_ahead(step, ahead[step.number]))
    width = max((len(left) for left, _ in rows), default=0)
    yield "workflow"
    yield from (f"{left.ljust(width)}   {right}" for left, right in rows)


def _ahead(step: _Step, arrows: Sequence[Arrow]) -> list[_Step]:
    """The steps that follow `step`: a single one stands below it, several branch off."""
    steps = []
    for arrow in arrows:
        label = f"  (only from {', '.join(printable(sector) for sector in arrow.sectors)})" if arrow.sectors else ""
        if len(arrows) == 1:
            steps.append(_Step(arrow.target, f"{step.below[:-2]}↓ ", step.below, label))
        elif arrow is arrows[-1]:
            steps.append(_Step(arrow.target, f"{step.below}└─▶ ", f"{step.below}    ", label))
        else:
            steps.append(_Step(arrow.target, f"{step.below}├─▶ ", f"{step.below}│   ", label))
    return steps


def _sectors(picture: Picture) -> Iterator[str]:
    yield "sectors"
    names = [printable(sector.name) for sectors in picture.regions.values() for sector in sectors]
    width = max((len(name) for name in names), default=0)
    for region, sectors in picture.regions.items():
        yield f"  {printable(region)}"
        for sector in sectors:
            bots = ", ".join(f"{printable(bot)} ×{processes}" for bot, processes in sector.bots)
            windows = "  (windows)" if sector.windows else ""
            yield f"    {printable(sector.name).ljust(width)}   {bots}{windows}"
