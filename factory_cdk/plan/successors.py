"""Which queue a bot's finished jobs go to, when the next bot runs in several sectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from factory_cdk.plan.model import Sector, SectorBot, SectorType, Successor, Workflow


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sector in which a bot runs, and the queue that it reads there."""

    sector: str
    type: SectorType
    queue: str


@dataclass(slots=True)
class Places:
    """Where one bot of a stage runs, in the order of the plan. `queues` are the distinct queues it reads."""

    by_sector: dict[str, Candidate] = field(default_factory=dict)
    by_type: dict[SectorType, Candidate] = field(default_factory=dict)
    queues: dict[str, None] = field(default_factory=dict)

    def add(self, candidate: Candidate) -> None:
        """Add the next sector in which the bot runs."""
        self.by_sector[candidate.sector] = candidate
        self.by_type.setdefault(candidate.type, candidate)
        self.queues[candidate.queue] = None


Candidates = Mapping[str, Places]
"""Where every bot of a stage runs, bots in the order of the plan."""

Feeds = Mapping[str, tuple[str, ...]]
"""The bots that a workflow passes each bot's jobs to."""


def queue_of(bot: SectorBot) -> str:
    """The queue that a bot reads on a sector: its `queue-name`, else its own name."""
    return bot.arguments.queue_name or bot.name


def candidates(sectors: Iterable[Sector]) -> Candidates:
    """Where every bot of a stage runs, in the order of the plan."""
    found: dict[str, Places] = defaultdict(Places)
    for sector in sectors:
        for bot in sector.bots:
            found[bot.name].add(Candidate(sector.name, sector.type, queue_of(bot)))
    return dict(found)


def choose(sector: str, type_: SectorType, places: Places) -> Candidate:
    """The candidate whose queue gets the jobs that a bot on `sector` finishes.

    The same sector, else the first sector of the same type, else the first in the order of the plan. `places`
    is not empty.
    """
    return places.by_sector.get(sector) or places.by_type.get(type_) or next(iter(places.by_sector.values()))


def feeds(workflow: Workflow | None) -> Feeds:
    """The edges of a workflow by the bot that they start at, in the order of the plan."""
    found: dict[str, list[str]] = defaultdict(list)
    for edge in workflow.edges if workflow else ():
        found[edge.parent].append(edge.child)
    return {parent: tuple(children) for parent, children in found.items()}


def following(bot: SectorBot, edges: Feeds) -> tuple[str, ...]:
    """The names of the bots that get `bot`'s jobs next: its own `workflow` argument, else the stage's edges."""
    own = bot.arguments.workflow
    return own if own is not None else edges.get(bot.name, ())


def successors(bot: SectorBot, sector: Sector, edges: Feeds, where: Candidates) -> tuple[Successor, ...]:
    """Where the jobs that `bot` finishes on `sector` go; bots that are not on the stage are left out."""
    chosen = ((name, choose(sector.name, sector.type, where[name])) for name in following(bot, edges) if name in where)
    return tuple(Successor(name, candidate.queue, candidate.sector) for name, candidate in chosen)
