"""A workflow of steps as frozen data: what is started when, not what a step does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from factory_cdk.runs.conditions import FAILURES, Any, Atom, Condition, Wanted, atoms

Amounts = tuple[tuple[str, int], ...]
"""How much of which pools, by their names in order, each once."""

ROOT = ""
"""The path of what holds the outermost steps."""

FIRST = "1"
"""The sequence of the outermost steps."""


class OnFailure(StrEnum):
    """What a failure that no step waits for does to the steps beside it: nothing new starts, or they go on."""

    STOP = "stop"
    CONTINUE = "continue"


class Replay(StrEnum):
    """What a recovery does with a step: start it anew, or leave it as it is."""

    RERUN = "rerun"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery does with a step that was ready, active, succeeded or failed."""

    ready: Replay = Replay.RERUN
    active: Replay = Replay.RERUN
    succeeded: Replay = Replay.SKIP
    failed: Replay = Replay.RERUN


@dataclass(frozen=True, slots=True)
class Step:
    """A step. With `steps` it is a container, whose steps are a graph of their own.

    `repeat`: so many iterations, one after the other. `items`: as many at the same time, at most `max_parallel` of them
    (None: no limit); None for a step without items. `delay` is in seconds after what it `needs` holds. `acquire` is
    taken from the pools before each start, and `release` given back after it (None: all of it); the rest is kept
    until the run ends. `on_failure` None: as what holds it.
    """

    name: str
    needs: Condition | None = None
    steps: tuple[Step, ...] = ()
    repeat: int | None = None
    items: int | None = None
    max_parallel: int | None = None
    delay: float = 0.0
    acquire: Amounts = ()
    release: Amounts | None = None
    on_failure: OnFailure | None = None
    recovery: Recovery = Recovery()

    @property
    def is_group(self) -> bool:
        """Whether it has units, each with a number in its sequence, rather than being one itself."""
        return bool(self.steps) or self.repeat is not None or self.items is not None

    @property
    def total(self) -> int:
        """How many units it has."""
        return self.items if self.items is not None else self.repeat if self.repeat is not None else 1


@dataclass(frozen=True)
class Placed:
    """A step in its graph: `path` is `container/step`, `inside` the path of its container.

    `dependents` are the steps beside it that name it, each with the atoms that do; `handlers` those that wait for its
    failure, and `handles` those for whose failure it waits.
    """

    step: Step
    path: str
    inside: str
    on_failure: OnFailure
    dependents: list[tuple[Placed, tuple[Atom, ...]]] = field(default_factory=list, repr=False, compare=False)
    handlers: list[Placed] = field(default_factory=list, repr=False, compare=False)
    handles: list[Placed] = field(default_factory=list, repr=False, compare=False)

    @cached_property
    def expects_failure(self) -> bool:
        """Whether it may start although a failure has stopped the steps beside it."""
        return any(atom.wanted in FAILURES for atom in atoms(self.step.needs))

    @cached_property
    def flat(self) -> tuple[Atom, ...] | None:
        """The atoms of what it needs where these are all of them or any of them, without more depth."""
        needs = self.step.needs
        if isinstance(needs, Atom):
            return (needs,)
        if needs is not None and all(isinstance(part, Atom) for part in needs.parts):
            return tuple(part for part in needs.parts if isinstance(part, Atom))
        return None

    @cached_property
    def decisive(self) -> bool:
        """The truth of one atom of `flat` that decides for all."""
        return isinstance(self.step.needs, Any)

    @cached_property
    def claim(self) -> tuple[bool, Amounts]:
        """What a start takes: whether one of the run's places, and what of which pools."""
        return not self.step.steps, self.step.acquire


@dataclass(frozen=True)
class Graph:
    """The outermost `steps` of a workflow, at most `max_concurrent` of which run at the same time (None: no limit)."""

    steps: tuple[Step, ...]
    max_concurrent: int | None = None
    on_failure: OnFailure = OnFailure.STOP

    @cached_property
    def placed(self) -> Mapping[str, Placed]:
        """Every step by its path, each container before what it holds."""
        found: dict[str, Placed] = {}
        self._place(ROOT, self.steps, self.on_failure, found)
        return {path: found[path] for path, _ in all_steps(self.steps)}

    @cached_property
    def inside(self) -> Mapping[str, tuple[Placed, ...]]:
        """The steps of each container by its path, of the whole graph by ROOT."""
        held: dict[str, list[Placed]] = {ROOT: []}
        for placed in self.placed.values():
            held[placed.inside].append(placed)
            if placed.step.steps:
                held[placed.path] = []
        return {path: tuple(steps) for path, steps in held.items()}

    @cached_property
    def uses_pools(self) -> bool:
        """Whether any step acquires something."""
        return any(placed.step.acquire for placed in self.placed.values())

    def _place(self, inside: str, steps: tuple[Step, ...], on_failure: OnFailure, found: dict[str, Placed]) -> None:
        beside: dict[str, Placed] = {}
        for step in steps:
            path = f"{inside}/{step.name}" if inside else step.name
            beside[step.name] = found[path] = Placed(step, path, inside, step.on_failure or on_failure)
        for placed in beside.values():
            named: dict[str, list[Atom]] = {}
            for atom in atoms(placed.step.needs):
                named.setdefault(atom.step, []).append(atom)
            for name, about in named.items():
                beside[name].dependents.append((placed, tuple(about)))
                if any(atom.wanted is Wanted.FAILED for atom in about):
                    beside[name].handlers.append(placed)
                    placed.handles.append(beside[name])
        for placed in beside.values():
            self._place(placed.path, placed.step.steps, placed.on_failure, found)


def downstream(graph: Graph, path: str) -> frozenset[str]:
    """The paths of the step at `path`, of what it holds, and of all that follow from it, here and around it."""
    found: set[str] = set()
    waiting = [graph.placed[path]]
    while waiting:
        placed = waiting.pop()
        if placed.path in found:
            continue
        found.add(placed.path)
        waiting += [after for after, _ in placed.dependents]
        if placed.inside:
            waiting += [after for after, _ in graph.placed[placed.inside].dependents]
    for placed in graph.placed.values():  # a container comes before what it holds
        if placed.inside in found:
            found.add(placed.path)
    return frozenset(found)


def all_steps(steps: tuple[Step, ...], inside: str = ROOT) -> Iterator[tuple[str, Step]]:
    """Every step with its path, each container before what it holds."""
    for step in steps:
        path = f"{inside}/{step.name}" if inside else step.name
        yield path, step
        yield from all_steps(step.steps, path)
