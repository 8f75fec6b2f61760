"""A stage as text: who feeds whom, then what runs where. Laid out for 80 columns; no name is ever cut."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory_cdk.picture.escaping import printable
from factory_cdk.picture.model import Arrow, Picture
from factory_cdk.picture.steps import steps_as_text

COLUMNS = 80


def as_text(picture: Picture) -> str:
    """The picture as lines of text for a terminal or a log, longer than COLUMNS only where a single name is."""
    lines = [
        printable(picture.title),
        printable(picture.summary),
        "",
        *_workflow(picture),
        "",
        *(line for part in picture.workflows for line in (*steps_as_text(part), "")),
        *_sectors(picture),
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Step:
    """A line of the workflow that is still to be written: a card, what is before its name and before the names
    below it, and what is to be said of the arrow that leads to it.
    """

    number: int
    lead: str = "    "
    below: str = "    "
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A step with its branch and name, what is said of it, and what is before a line below it that is its own."""

    name: str
    said: str
    below: str

    @property
    def fits(self) -> bool:
        """Whether name and remark fit on one line."""
        return len(self.name) + 3 + len(self.said) <= COLUMNS


def _workflow(picture: Picture) -> Iterator[str]:
    """Every card once, with its queue if that has another name, under what feeds it; where it is fed again, its name,
    and its queue only if the bot has several.
    """
    ahead: dict[int, list[Arrow]] = defaultdict(list)
    for arrow in picture.arrows:
        ahead[arrow.source].append(arrow)
    cards_of = Counter(card.bot for card in picture.cards)
    fed = {arrow.target for arrow in picture.arrows}
    numbers = range(len(picture.cards))
    rows: list[_Row] = []
    shown: set[int] = set()
    # Bots that only a cycle feeds come last.
    for start in (
        *(number for number in numbers if number not in fed),
        *(number for number in numbers if number in fed),
    ):
        stack = [] if start in shown else [_Step(start)]
        while stack:
            step = stack.pop()
            card = picture.cards[step.number]
            lead = f"{step.lead[:-2]}▶ " if card.root and step.lead.isspace() else step.lead
            name = f"{lead}{printable(card.bot)}"
            again = step.number in shown
            needless = card.queue == card.bot or (again and cards_of[card.bot] == 1)
            queue = "" if needless else f"queue {printable(card.queue)}"
            said = "  ".join(part for part in (queue, step.label) if part)
            if again:
                rows.append(_Row(f"{name} ↑", said, f"{step.below}    "))
                continue
            shown.add(step.number)
            bar = "│   " if len(ahead[step.number]) > 1 else "    "
            rows.append(_Row(name, said, step.below + bar))
            stack += reversed(_ahead(step, ahead[step.number]))
    width = max((len(row.name) for row in rows if row.said and row.fits), default=0)
    yield "workflow (jobs start at ▶; what has an ↑ is shown above)"
    for row in rows:
        aligned = row.name.ljust(width) if width + 3 + len(row.said) <= COLUMNS else row.name
        yield f"{aligned}   {row.said}" if row.said and row.fits else row.name
        if row.said and not row.fits:
            yield f"{row.below}{row.said}"


def _ahead(step: _Step, arrows: Sequence[Arrow]) -> list[_Step]:
    """The steps that follow `step`: a single one is below it, several branch off."""
    steps = []
    for arrow in arrows:
        label = f"(only from {', '.join(printable(sector) for sector in arrow.sectors)})" if arrow.sectors else ""
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
            bots = [f"{printable(bot)} ×{processes}" for bot, processes in sector.bots]
            start = f"    {printable(sector.name).ljust(width)}   "
            windows = ["(windows)"] if sector.windows else []
            parts = [*(f"{bot}," for bot in bots[:-1]), *bots[-1:], *windows]
            if len(start) + max(map(len, parts), default=0) > COLUMNS:
                yield f"    {printable(sector.name)}"
                start = " " * 8
            yield from _filled(start, parts)


def _filled(start: str, parts: Sequence[str]) -> Iterator[str]:
    """`parts` behind `start`, on as many lines as they need."""
    line = start
    for part in parts:
        if line != start and len(line) + len(part) > COLUMNS:
            yield line[:-1]
            line = start = " " * len(start)
        line += f"{part} "
    yield line[:-1]
