"""What a run has come to: a row for each step and iteration, and the indexes over them that `advancing.py` reads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeVar

from factory_cdk.runs.conditions import Atom, Truth, Wanted
from factory_cdk.runs.graph import FIRST, ROOT, Amounts, Graph, Step

Value = TypeVar("Value")


class Status(StrEnum):
    """The status of a step, an item or an iteration. `waiting` is before what it needs is decided, or due."""

    WAITING = "waiting"
    READY = "ready"
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.SKIPPED})


class RunState(StrEnum):
    """How a run is doing. `new` is before its first event."""

    NEW = "new"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """What a row is of. `step`: a step that is started itself. `group`: one that has units, which are a `unit` each, or
    a `scope` each where the step is a container.
    """

    STEP = "step"
    GROUP = "group"
    UNIT = "unit"
    SCOPE = "scope"


Claim = tuple[bool, Amounts]
"""What a start takes: whether one of the run's places, and what of which pools."""


class Key(NamedTuple):
    """Which step, and in which iterations of its containers and of its own (`1.2.2`)."""

    path: str
    sequence: str


class Row(NamedTuple):
    """A step, item or iteration. Times are seconds since the epoch on the wall clock.

    `since` is when it was ready, `due` when it will be after its delay. `order` is its place in the line of those that
    could start (0: not in it). `attempt` counts its starts, those before a recovery included. `holds` is what it has of
    the pools. `pending` counts the undecided parts of what it needs. Of a group, `next` is the number of the first unit
    that was not begun, `running` and `failed` count units; of a scope, `open` counts the steps that have not ended and
    `failed` those that it was stopped before. `stopped`: nothing new starts in it.
    """

    role: Role
    status: Status = Status.WAITING
    reason: str = ""
    attempt: int = 0
    since: float | None = None
    started: float | None = None
    finished: float | None = None
    due: float | None = None
    order: int = 0
    pending: int = 0
    next: int = 1
    running: int = 0
    failed: int = 0
    open: int = 0
    stopped: bool = False
    holds: Amounts = ()


def truth_of(atom: Atom, row: Row) -> Truth:
    """Whether the step whose row is `row` has come to what `atom` asks for."""
    status = row.status
    match atom.wanted:
        case Wanted.READY | Wanted.ACTIVE:
            reached = row.since if atom.wanted is Wanted.READY else row.started
            return True if reached is not None else False if status in ENDED else None
        case Wanted.SUCCEEDED:
            return status is Status.SUCCEEDED if status in ENDED else None
        case Wanted.FAILED:
            return status is Status.FAILED if status in ENDED else None
        case Wanted.COMPLETED:
            return True if status in ENDED else None
        case Wanted.SKIPPED:
            return status is Status.SKIPPED if status in ENDED else None


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools as a run sees them: what there is of each, what other runs hold of it, and since when another run has
    waited for it (the first in the line).
    """

    size: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, int] = field(default_factory=dict)
    since: Mapping[str, float] = field(default_factory=dict)


class Start(NamedTuple):
    """A command: start this step, item or iteration, its `attempt`th time."""

    key: Key
    attempt: int


class Withdraw(NamedTuple):
    """A command: what was started here is not wanted any more."""

    key: Key
    attempt: int


@dataclass(frozen=True, slots=True)
class Advance:
    """What follows from an event: the rows that change, and what is to be done. `withdraws` come before `starts`."""

    rows: Mapping[Key, Row]
    state: RunState
    recovery: int
    order: int
    starts: tuple[Start, ...] = ()
    withdraws: tuple[Withdraw, ...] = ()


@dataclass
class Run:
    """A run of `graph`: `apply` alone changes it, and what is in its rows is all there is to it.

    Beside them, counted from the rows: `lines` are the keys of those that could start, by what a start of them takes
    and in their order, `active` counts those that have a place, `delayed` has when each will be due, `holds` what each
    has of the pools.
    """

    graph: Graph
    rows: dict[Key, Row] = field(default_factory=dict)
    state: RunState = RunState.NEW
    recovery: int = 0
    order: int = 0
    lines: dict[Claim, OrderedDict[Key, int]] = field(default_factory=dict)
    active: int = 0
    delayed: dict[Key, float] = field(default_factory=dict)
    holds: dict[Key, Amounts] = field(default_factory=dict)

    def apply(self, advance: Advance) -> None:
        """Let what follows from an event be so."""
        lined: list[tuple[int, Key]] = []
        for key, row in advance.rows.items():
            old = self.rows.get(key)
            self.rows[key] = row
            self.active += takes_place(row) - takes_place(old)
            _index(self.delayed, key, row.due)
            _index(self.holds, key, row.holds or None)
            if old is not None and old.order and old.order != row.order:
                del self.lines[self.claim(key)][key]
            if row.order and (old is None or old.order != row.order):
                lined.append((row.order, key))
        for order, key in sorted(lined):
            self.lines.setdefault(self.claim(key), OrderedDict())[key] = order
        self.state, self.recovery, self.order = advance.state, advance.recovery, advance.order

    def moved_to(self, graph: Graph) -> Run:
        """The run with another graph: what it has come to in the steps that are in both. A recovery follows."""
        kept = {
            key: row
            for key, row in self.rows.items()
            if key == WHOLE or ((placed := graph.placed.get(key.path)) and _fits(row, placed.step))
        }
        moved = Run(graph)
        moved.apply(Advance(kept, self.state, self.recovery, self.order))
        return moved

    def claim(self, key: Key) -> Claim:
        """What a start of the step of `key` takes."""
        return self.graph.placed[key.path].claim

    @property
    def held(self) -> dict[str, int]:
        """How much of each pool the run has."""
        return total_of(self.holds.values())

    @property
    def due(self) -> float | None:
        """When something that is delayed will be due next; None when nothing is."""
        return min(self.delayed.values(), default=None)

    @property
    def waits(self) -> dict[str, float]:
        """The pools that the run waits for, and since when; not where it has no place for what would take them."""
        found: dict[str, float] = {}
        for (place, pools), line in self.lines.items():
            if pools and line and not (place and self.is_full):
                since = self.rows[next(iter(line))].since or 0.0  # those behind it wait for less
                for pool, _ in pools:
                    found[pool] = min(since, found.get(pool, since))
        return found

    @property
    def is_full(self) -> bool:
        """Whether all places of the run are taken."""
        return self.graph.max_concurrent is not None and self.active >= self.graph.max_concurrent


def takes_place(row: Row | None) -> bool:
    """Whether a row takes one of the places of its run (`max-concurrent`)."""
    return row is not None and row.status is Status.ACTIVE and row.role in (Role.STEP, Role.UNIT)


def total_of(amounts: Iterable[Amounts]) -> dict[str, int]:
    """The sum of amounts of pools."""
    found: dict[str, int] = {}
    for amount in amounts:
        for pool, count in amount:
            found[pool] = found.get(pool, 0) + count
    return found


WHOLE = Key(ROOT, FIRST)
"""The key of the scope of the outermost steps."""


def _fits(row: Row, step: Step) -> bool:
    if row.role in (Role.STEP, Role.GROUP):
        return step.is_group is (row.role is Role.GROUP)
    return step.is_group and bool(step.steps) is (row.role is Role.SCOPE)


def _index(index: dict[Key, Value], key: Key, value: Value | None) -> None:
    if value is not None:
        index[key] = value
    else:
        index.pop(key, None)
