"""What a pack tells while it runs, and what it made in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from factory_cdk.bundle import Bundle
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.left_out import LeftOut
from factory_cdk.pack.lockfile import LockedBot

Step = Literal["waiting", "asking", "fetching", "reading", "locking", "checking", "storing", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One bot came a step further. `detail` says what of it, `share` how far it is from 0 to 1, where known."""

    bot: str
    step: Step
    detail: str = ""
    share: float | None = None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class PackedBot:
    """What became of one bot: `bundle`, or `error`.

    `locked` is what plan.lock should hold of it. `fetched` says whether anything came from its source or from
    an index (False: the cache had it all). `notes` are warnings for people; `seconds` is how long it took.
    `read` are the files of the source that were read for what it requires, `left_out` what ignore files kept out.
    """

    bot: str
    bundle: Bundle | None = None
    error: FactoryError | None = None
    locked: LockedBot | None = None
    fetched: bool = False
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    read: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class PackReport:
    """What became of every bot, in the order in which they were asked for."""

    bots: tuple[PackedBot, ...]

    @property
    def bundles(self) -> dict[str, Bundle]:
        """The bundles by the names of their bots, of those that were packed."""
        return {packed.bot: packed.bundle for packed in self.bots if packed.bundle is not None}

    @property
    def failures(self) -> tuple[tuple[str, FactoryError], ...]:
        """The bots that could not be packed, with the reasons."""
        return tuple((packed.bot, packed.error) for packed in self.bots if packed.error is not None)

    def refuse_failures(self) -> None:
        """FactoryError that shows every failure, if there is one."""
        if self.failures:
            said = [
                f"{bot}: {error.message}" + (f"\n  help: {error.remedy}" if error.remedy else "")
                for bot, error in self.failures
            ]
            raise FactoryError("\n".join([f"{len(said)} of {len(self.bots)} bots could not be packed", *said]))
