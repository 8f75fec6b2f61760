"""What a picture of a stage shows: cards (a bot and the queue it reads), arrows between them, sectors by region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from factory_cdk.design.model import StageDesign
from factory_cdk.picture.steps import StepsPart, steps_parts
from factory_cdk.plan.model import Platform, SectorType

HERE = "this machine"
"""Where the bots of local sectors run, in the place of a region."""


@dataclass(frozen=True, slots=True)
class Place:
    """A sector in which a card's bot runs: its region (HERE for `local`) and how many worker processes it has."""

    sector: str
    region: str
    processes: int


@dataclass(frozen=True, slots=True)
class Card:
    """A bot and one queue that it reads, with every sector in which it does; `root` when jobs start here."""

    bot: str
    queue: str
    places: tuple[Place, ...]
    root: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """Jobs go from card number `source` to card number `target`.

    `sectors` are those of the source that send them there; empty when all of them do.
    """

    source: int
    target: int
    sectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SectorPart:
    """A sector and what runs on it: bots and their worker processes; `windows` when its instance is one."""

    name: str
    bots: tuple[tuple[str, int], ...]
    windows: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A stage as it is drawn: everything in the order of the plan. `regions` hold their sectors, HERE included, and
    `workflows` are those of steps.
    """

    factory: str
    stage: str
    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]
    regions: Mapping[str, tuple[SectorPart, ...]]
    home_region: str | None = None
    workflows: tuple[StepsPart, ...] = ()

    @property
    def title(self) -> str:
        """The factory and the stage."""
        return f"{self.factory} / {self.stage}"

    @property
    def summary(self) -> str:
        """How many bots, queues, sectors and regions there are, in words."""
        regions = [region for region in self.regions if region != HERE]
        parts = [
            _count(len({card.bot for card in self.cards}), "bot"),
            _count(len(self.cards), "queue"),
            _count(sum(len(sectors) for sectors in self.regions.values()), "sector"),
        ]
        if regions:
            home = f" (queues in {self.home_region})" if self.home_region else ""
            parts.append(_count(len(regions), "region") + home)
        return ", ".join(parts)


MAX_PLACES = 6
"""Up to so many sectors a card names each; of more it tells how many there are in each region."""


def place_lines(card: Card) -> tuple[tuple[str, str], ...]:
    """Where a card's bot runs, a line for each: its region and what it says."""
    if len(card.places) <= MAX_PLACES:
        return tuple((place.region, f"{place.sector} · {place.region} · ×{place.processes}") for place in card.places)
    by_region: dict[str, list[Place]] = defaultdict(list)
    for place in card.places:
        by_region[place.region].append(place)
    return tuple(
        (region, f"{len(places)} sectors · {region} · ×{sum(place.processes for place in places)}")
        for region, places in by_region.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def picture_of(design: StageDesign) -> Picture:
    """The picture of a stage's design."""
    numbers: dict[tuple[str, str], int] = {}
    places: dict[int, list[Place]] = defaultdict(list)
    feeding: dict[tuple[int, int], list[str]] = defaultdict(list)
    regions: dict[str, list[SectorPart]] = defaultdict(list)
    for sector in design.sectors:
        region = sector.region or HERE
        shown = tuple((bot.name, bot.arguments.processes) for bot in sector.bots)
        windows = sector.type is SectorType.AWS and sector.platform is Platform.WINDOWS
        regions[region].append(SectorPart(sector.name, shown, windows))
        for bot in sector.bots:
            number = numbers.setdefault((bot.name, bot.queue), len(numbers))
            places[number].append(Place(sector.name, region, bot.arguments.processes))
    for sector in design.sectors:
        for bot in sector.bots:
            for successor in bot.successors:
                target = numbers.get((successor.bot, successor.queue))
                if target is not None:
                    feeding[numbers[bot.name, bot.queue], target].append(sector.name)
    cards = tuple(
        Card(bot, queue, tuple(places[number]), root=bot in design.roots) for (bot, queue), number in numbers.items()
    )
    arrows = tuple(
        Arrow(source, target, () if len(sectors) == len(places[source]) else tuple(sectors))
        for (source, target), sectors in sorted(feeding.items(), key=lambda item: item[0][0])
    )
    return Picture(
        factory=design.factory,
        stage=design.stage,
        cards=cards,
        arrows=arrows,
        regions={region: tuple(sectors) for region, sectors in regions.items()},
        home_region=design.home_region,
        workflows=steps_parts(design.runs),
    )
