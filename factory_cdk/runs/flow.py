"""A workflow of steps in Python: functions that run in worker processes, their run kept in a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs.conditions import KEYWORDS, NAMES, atoms
from factory_cdk.runs.definition import Definition
from factory_cdk.runs.events import Cancel
from factory_cdk.runs.file import RunFile
from factory_cdk.runs.graph import Amounts, Graph, OnFailure, Recovery, Replay, Step, all_steps
from factory_cdk.runs.names import is_step_name
from factory_cdk.runs.needs import Named, Needs, condition_of
from factory_cdk.runs.playing import Playing
from factory_cdk.runs.state import Key, RunState
from factory_cdk.runs.store import StepRecord

MOST_PROCESSES = 32
"""Worker processes of a flow without a limit of its own."""

STATUSES = ("ready", "active", "succeeded", "failed")


@dataclass(frozen=True, slots=True)
class FlowRun:
    """What became of a run; true when it succeeded. `state` is `running` when `once` left it where nothing but delays
    was left. What is asked of its steps is read from the store of the flow, which has to be open yet.
    """

    id: str
    state: str
    recovery: int
    _file: RunFile = field(repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.state == RunState.SUCCEEDED

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        """Every step, item and iteration, with its result."""
        with self._file.writing() as store:
            return tuple(store.steps(self.id))

    def result(self, path: str, sequence: str = "1") -> Any:
        """What the function of a step returned; of a step with items or iterations a list. KeyError when the run has no
        such step.
        """
        with self._file.writing() as store:
            key = Key(path, sequence)
            if key not in store.state(self.id).rows:
                raise KeyError((path, sequence))
            return store.result_of(self.id, key)


class _Holder:
    """What has steps: a flow, or a step that is a container."""

    def __init__(self) -> None:
        self._steps: dict[str, FlowStep] = {}

    def step(
        self,
        name: str,
        func: Callable[..., Any] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        needs: Needs | None = None,
        repeat: int | None = None,
        for_each: Iterable[Any] | None = None,
        max_parallel: int | None = None,
        delay: float = 0.0,
        acquire: Mapping[str, int] | None = None,
        release: Mapping[str, int] | None = None,
        on_failure: str | None = None,
        recovery: Mapping[str, str] | None = None,
    ) -> FlowStep:
        """Add a step that calls `func`, or a container for steps of its own when there is no `func`. FactoryError.

        `repeat`: so many iterations, one after the other. `for_each`: once for each item, at most `max_parallel` at the
        same time; `current_step().item` is the item. `delay` is in seconds. `recovery` says for `ready`, `active`,
        `succeeded` and `failed` whether a recovery starts the step again (`rerun`) or not (`skip`). docs/runs.md says
        what all of it means.
        """
        if not is_step_name(name) or name in KEYWORDS:
            raise FactoryError(f"{name!r} cannot be the name of a step", "use letters, digits, `-` and `_`")
        if name in self._steps:
            raise FactoryError(f"there is a step {name} already", "give the other one another name")
        items = None if for_each is None else list(for_each)
        if items is not None and repeat is not None:
            raise FactoryError(f"step {name} has both repeat and for_each", "put one into a container with the other")
        for what, number, least in (("repeat", repeat, 1), ("max_parallel", max_parallel, 1), ("delay", delay, 0)):
            if number is not None and number < least:
                raise FactoryError(f"{what} of step {name} is {number}", f"it must be at least {least}")
        made = Step(
            name,
            None if needs is None else condition_of(needs),
            repeat=repeat,
            items=None if items is None else len(items),
            max_parallel=max_parallel,
            delay=delay,
            acquire=_amounts(name, acquire or {}),
            release=None if release is None else _amounts(name, release),
            on_failure=None if on_failure is None else _policy(on_failure),
            recovery=_recovery(name, recovery or {}),
        )
        for atom in atoms(made.needs):
            if atom.step not in self._steps:
                raise FactoryError(
                    f"step {name} needs {atom.step}, and there is no such step yet", "add that one first"
                )
        step = self._steps[name] = FlowStep(made, func, tuple(args), dict(kwargs or {}), items)
        return step

    def _made(self) -> tuple[Step, ...]:
        return tuple(step.made() for step in self._steps.values())


class FlowStep(_Holder, Named):
    """A step of a flow. Others need it, or one of its statuses (`load.failed`); `step` adds steps to a container."""

    def __init__(
        self,
        step: Step,
        func: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        items: list[Any] | None,
    ) -> None:
        super().__init__()
        self.name = step.name
        self.func, self.args, self.kwargs, self.items = func, args, kwargs, items
        self._step = step

    def made(self) -> Step:
        """The step as the engine sees it. FactoryError when it is neither a function nor a container with steps."""
        if (self.func is None) is not bool(self._steps):
            what = "has steps and a function" if self._steps else "has neither a function nor steps"
            raise FactoryError(f"step {self.name} {what}", "give it one of the two")
        step = self._step
        return Step(
            step.name,
            step.needs,
            self._made(),
            step.repeat,
            step.items,
            step.max_parallel,
            step.delay,
            step.acquire,
            step.release,
            step.on_failure,
            step.recovery,
        )

    def found(self, path: str) -> FlowStep:
        """The step at `path` in this one."""
        name, _, rest = path.partition("/")
        return self._steps[name].found(rest) if name else self


class Flow(_Holder):
    """A workflow of steps whose functions run in worker processes, at most `max_concurrent` at the same time (1; 0: no
    limit but 32). Its runs are kept in the file `store`: by default `<name>.runs.db` in the current folder; one in
    `:memory:` is gone with the flow. `on_failure` is `stop` or `continue`, and `pools` says how much there is of what
    steps acquire, for all flows of the store.

    Functions must be importable, as everything that `multiprocessing` starts: a program that is run keeps the run of
    its flow behind `if __name__ == "__main__":`.
    """

    def __init__(
        self,
        name: str,
        *,
        max_concurrent: int = 1,
        store: str | os.PathLike[str] | None = None,
        on_failure: str = "stop",
        pools: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self._limit = max_concurrent if max_concurrent > 0 else MOST_PROCESSES
        self._on_failure = _policy(on_failure)
        self._pools = dict(pools or {})
        self._file = RunFile(f"{name}.runs.db" if store is None else os.fspath(store))

    def close(self) -> None:
        """Let go of the store."""
        self._file.close()

    def run(
        self,
        *,
        recover: str | None = None,
        run_id: str | None = None,
        once: bool = False,
        rerun: Iterable[str] = (),
        only: Iterable[tuple[str, str]] | None = None,
    ) -> FlowRun:
        """Run the flow until it has ended, and say what became of it.

        `recover` is the id of a run that is to begin again where it failed, was cancelled or was interrupted; it takes
        the steps as they are now. `rerun` names steps (`container/step`) that are started again whatever they say,
        `only` the steps and sequences to which the recovery is limited. `once` returns when nothing but delays is left;
        call it again with `run_id` to go on. FactoryError.
        """
        graph = Graph(self._made(), self._limit, self._on_failure)
        for path, made in all_steps(graph.steps):
            for pool, amount in made.acquire:
                if amount > self._pools.get(pool, 0):
                    raise FactoryError(
                        f"step {path} acquires {amount} of the pool {pool}, which has {self._pools.get(pool, 0)}",
                        "give the flow larger `pools`, or the step less",
                    )
        definition = Definition(graph)
        playing = Playing(self._file, self._found, self.name)
        changes = frozenset(rerun), None if only is None else frozenset(Key(*one) for one in only)
        for path in (*changes[0], *(key.path for key in changes[1] or ())):
            if path not in graph.placed:
                raise FactoryError(f"there is no step {path} in {self.name}", "write `container/step`")
        with self._file.writing() as store:
            store.add_pools(self._pools.items())
            if recover is not None:
                playing.recover(store, recover, definition, *changes)
            elif run_id is not None and store.record(run_id) is not None:
                playing.go_on(store, run_id)
            else:
                playing.begin(store, run_id or os.urandom(8).hex(), definition)
        try:
            playing.play(once=once)
        finally:
            playing.close()
        return self.look(playing.run_id)

    def look(self, run_id: str) -> FlowRun:
        """What has become of a run so far. FactoryError when there is none of that id."""
        with self._file.writing() as store:
            record = store.record(run_id)
            if record is None:
                raise FactoryError(f"there is no run {run_id} in {self._file.path}", "give the id that `run` returned")
            return FlowRun(run_id, str(record.state), record.recovery, self._file)

    def cancel(self, run_id: str) -> None:
        """End a run at once, whichever process has it in hand. FactoryError when there is none of that id."""
        with self._file.writing() as store:
            store.happen(run_id, lambda pools: Cancel(time.time(), pools=pools))

    def _found(self, path: str) -> FlowStep:
        name, _, rest = path.partition("/")
        return self._steps[name].found(rest)


def _amounts(name: str, amounts: Mapping[str, int]) -> Amounts:
    for pool, amount in amounts.items():
        if amount < 1:
            raise FactoryError(f"step {name} takes {amount} of the pool {pool}", "it must be at least 1")
    return tuple(sorted(amounts.items()))


def _policy(text: str) -> OnFailure:
    if text not in tuple(OnFailure):
        raise FactoryError(f"on_failure is {text!r}", "write `stop` or `continue`")
    return OnFailure(text)


def _recovery(name: str, replays: Mapping[str, str]) -> Recovery:
    said = {NAMES.get(status.removeprefix("STEP_").lower(), status): replay for status, replay in replays.items()}
    for status, replay in said.items():
        if status not in STATUSES or replay not in tuple(Replay):
            raise FactoryError(
                f"recovery of step {name} says {status!r}: {replay!r}",
                "write `ready`, `active`, `succeeded` or `failed`, and `rerun` or `skip`",
            )
    return Recovery(**{str(status): Replay(replay) for status, replay in said.items()})
