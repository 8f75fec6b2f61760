"""What happens to a run, as frozen data; each event is an entry of its log. `now` is in seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

from factory_cdk.runs.state import Key, Pools


@dataclass(frozen=True, slots=True)
class Begin:
    """The run begins."""

    now: float
    pools: Pools = field(default_factory=Pools)


@dataclass(frozen=True, slots=True)
class Finished:
    """What was started is over: `failure` says why it failed, None when it succeeded. One that is not the `attempt` in
    hand is no news.
    """

    now: float
    key: Key
    attempt: int
    failure: str | None = None
    pools: Pools = field(default_factory=Pools)


@dataclass(frozen=True, slots=True)
class Look:
    """Time has passed, or pools have become free."""

    now: float
    pools: Pools = field(default_factory=Pools)


@dataclass(frozen=True, slots=True)
class Cancel:
    """The run is to end at once."""

    now: float
    reason: str = "cancelled"
    pools: Pools = field(default_factory=Pools)


@dataclass(frozen=True, slots=True)
class Recover:
    """The run begins once more, and what its steps say of a recovery decides what is left as it is.

    `rerun` are paths of steps that are started anew whatever they say. `only` (None: no such limit) are the steps,
    items and iterations that are: all others that have ended stay as they are.
    """

    now: float
    rerun: frozenset[str] = frozenset()
    only: frozenset[Key] | None = None
    pools: Pools = field(default_factory=Pools)


Event = Begin | Finished | Look | Cancel | Recover
