"""What the verbs answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory_cdk.design.model import BotDesign, StageDesign
    from factory_cdk.runner.launch import Launch


@dataclass(frozen=True, slots=True)
class Built:
    """A stage that was built: its design, and its runner if that runs in the foreground."""

    design: StageDesign
    launch: Launch | None = None

    @property
    def stage(self) -> str:
        """The factory and the stage."""
        return f"{self.design.factory}/{self.design.stage}"

    @property
    def bots(self) -> tuple[BotDesign, ...]:
        """Its bots, once for each sector that runs them."""
        return tuple(bot for sector in self.design.sectors for bot in sector.bots)

    @property
    def processes(self) -> int:
        """How many worker processes its bots have."""
        return sum(bot.arguments.processes for bot in self.bots)


@dataclass(frozen=True, slots=True)
class Updated:
    """A stage that runs its new design: the bots whose workers were replaced, and how many jobs the workers from before
    are finishing.
    """

    stage: str
    bots: tuple[str, ...] = ()
    in_hand: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stage that takes no jobs: the process of its runner here, None when that has ended or it has none. With
    `on_instances` it has sectors on AWS.
    """

    stage: str
    runner: int | None
    on_instances: bool = False


@dataclass(frozen=True, slots=True)
class Resumed:
    """A stage that takes jobs again, and whether its runner had to be started for that."""

    stage: str
    started: bool


@dataclass(frozen=True, slots=True)
class Left:
    """What is in the queues of a stage: jobs that are not done, and dead letters; or why they cannot be read."""

    jobs: int
    dead: int
    unread: str | None = None

    def __bool__(self) -> bool:
        return bool(self.jobs or self.dead or self.unread)

    def __str__(self) -> str:
        if self.unread:
            return f"jobs that cannot be counted ({self.unread})"
        jobs = f"{self.jobs} {'job' if self.jobs == 1 else 'jobs'}"
        return f"{jobs} and {self.dead} dead {'letter' if self.dead == 1 else 'letters'}"


@dataclass(frozen=True, slots=True)
class Demolished:
    """What became of a stage that was to be demolished: whether it is gone, and what was left in its queues: it was
    deleted with the stage, or is the reason why the stage is still there.
    """

    stage: str
    gone: bool
    left: Left
