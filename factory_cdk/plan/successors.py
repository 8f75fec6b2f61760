"""Which queue a bot's finished jobs go to, when the next bot runs in several sectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from factory_cdk.plan.model import Sector, SectorBot, SectorType, Successor, Workflow


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sector in which a bot runs, and the queue that it reads there."""

    sector: str
    type: SectorType
    queue: str


Candidates = Mapping[str, Sequence[Candidate]]
"""Where every bot of a stage runs, in the order of the plan."""


def queue_of(bot: SectorBot) -> str:
    """The queue that a bot reads on a sector: its `queue-name`, else its own name."""
    return bot.arguments.queue_name or bot.name


def candidates(sectors: Iterable[Sector]) -> Candidates:
    """Where every bot of a stage runs, in the order of the plan."""
    found: dict[str, list[Candidate]] = defaultdict(list)
    for sector in sectors:
        for bot in sector.bots:
            found[bot.name].append(Candidate(sector.name, sector.type, queue_of(bot)))
    return dict(found)


def choose(sector: str, type_: SectorType, where: Sequence[Candidate]) -> Candidate:
    """The candidate whose queue gets the jobs that a bot on `sector` finishes.

    The same sector, else the first sector of the same type, else the first in the order of the plan. `where`
    is not empty.
    """
    same_sector = next((candidate for candidate in where if candidate.sector == sector), None)
    same_type = next((candidate for candidate in where if candidate.type is type_), None)
    return same_sector or same_type or where[0]


def following(bot: SectorBot, workflow: Workflow | None) -> tuple[str, ...]:
    """The names of the bots that get `bot`'s jobs next: its own `workflow` argument, else the stage's edges."""
    if bot.arguments.workflow is not None:
        return bot.arguments.workflow
    return tuple(edge.child for edge in workflow.edges if edge.parent == bot.name) if workflow else ()


def successors(bot: SectorBot, sector: Sector, workflow: Workflow | None, where: Candidates) -> tuple[Successor, ...]:
    """Where the jobs that `bot` finishes on `sector` go; bots that are not on the stage are left out."""
    chosen = (
        (name, choose(sector.name, sector.type, where[name])) for name in following(bot, workflow) if name in where
    )
    return tuple(Successor(name, candidate.queue, candidate.sector) for name, candidate in chosen)
