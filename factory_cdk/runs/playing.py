"""A run of a Flow in hand: its steps go to worker processes, and what becomes of them into the store."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs.conditions import atoms
from factory_cdk.runs.definition import Definition
from factory_cdk.runs.events import Begin, Event, Finished, Look, Recover
from factory_cdk.runs.file import RunFile
from factory_cdk.runs.owner import is_gone, this_process
from factory_cdk.runs.state import Advance, Key, Pools, RunState, Start
from factory_cdk.runs.step_context import CurrentStep, logger_name
from factory_cdk.runs.store import RunStore
from factory_cdk.runs.workers import Call, Ended, Workers

LEASE = 10.0
BEAT = 2.0
"""Seconds for which a process has its run in hand, and between two renewals of that."""

POOL_LOOK = 0.1
"""Seconds between two looks whether another process gave back to the pools what a run waits for."""


class CalledStep(Protocol):
    """A step of a flow, as far as it is called."""

    func: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    items: list[Any] | None


class Playing:
    """A run in hand: its steps go to workers, and what becomes of them into the store."""

    def __init__(self, file: RunFile, found: Callable[[str], CalledStep], name: str) -> None:
        self.run_id = ""
        self._file, self._found, self._name = file, found, name
        self._workers = Workers()
        self._starts: list[tuple[Start, CurrentStep]] = []
        self._owner = this_process()
        self._beaten = time.monotonic()
        self._pause = 0.0

    def begin(self, store: RunStore, run_id: str, definition: Definition) -> None:
        """Begin a new run."""
        self.run_id = run_id
        store.create(run_id, self._name, definition, None, time.time())
        store.take(run_id, self._owner, time.time() + LEASE)
        self._happen(store, lambda pools: Begin(time.time(), pools))

    def recover(
        self,
        store: RunStore,
        run_id: str,
        definition: Definition,
        rerun: frozenset[str],
        only: frozenset[Key] | None,
    ) -> None:
        """Let a run begin again, with the steps as they are now."""
        self._take(store, run_id)
        store.redefine(run_id, definition)
        self._happen(store, lambda pools: Recover(time.time(), rerun, only, pools))

    def go_on(self, store: RunStore, run_id: str) -> None:
        """Go on with a run that waits for its delays."""
        self._take(store, run_id)
        run = store.state(run_id)
        if run.active:
            raise FactoryError(f"run {run_id} was interrupted", "recover it")
        self._happen(store, lambda pools: Look(time.time(), pools))

    def play(self, *, once: bool) -> None:
        """Do all there is to do, and return when the run has ended, or with `once` when it waits for delays alone."""
        while self._starts or not once or len(self._workers):
            ended = self._hand_out()
            with self._file.writing() as store:
                run = store.state(self.run_id)
                for one in ended:
                    self._settle(store, one)
                if not ended and (run.waits or (run.due is not None and run.due <= time.time())):
                    self._happen(store, lambda pools: Look(time.time(), pools))
                self._beat(store)
                run = store.state(self.run_id)
            until_due = BEAT if run.due is None else max(0.0, run.due - time.time())
            self._pause = min(BEAT, until_due, POOL_LOOK if run.waits else BEAT)
            if run.state is not RunState.RUNNING:
                return

    def close(self) -> None:
        """End the workers, and let others have the run."""
        self._workers.close()
        with self._file.writing() as store:
            store.extend(self.run_id, self._owner, 0.0)

    def _hand_out(self) -> list[Ended]:
        """Give the workers what is to be started, and wait for news."""
        refused = []
        for start, step in self._starts:
            flow_step = self._found(start.key.path)
            assert flow_step.func is not None  # noqa: S101 - a container is not started
            call = Call(flow_step.func, flow_step.args, flow_step.kwargs, step)
            if (ended := self._workers.call(start, call)) is not None:
                refused.append(ended)
        self._starts = []
        return refused or list(self._workers.ended(self._pause))

    def _settle(self, store: RunStore, ended: Ended) -> None:
        key = ended.start.key
        if ended.failure is not None:
            logging.getLogger(logger_name(self._name, key.path)).error(
                "step %s %s failed: %s\n%s", key.path, key.sequence, ended.failure, ended.trace
            )
        self._happen(
            store,
            lambda pools: Finished(time.time(), key, ended.start.attempt, ended.failure, pools),
            as_json(ended.result),
        )

    def _happen(self, store: RunStore, make: Callable[[Pools], Event], result: Any = None) -> None:
        for moved in store.happen(self.run_id, make, result):
            self._take_up(store, moved.advance)

    def _take_up(self, store: RunStore, done: Advance) -> None:
        for withdrawn in done.withdraws:
            self._workers.drop(Start(*withdrawn))
        definition = store.definition(self.run_id)
        for start in done.starts:
            path, sequence = start.key
            placed = definition.graph.placed[path]
            inside = f"{placed.inside}/" if placed.inside else ""
            around = sequence.rpartition(".")[0] if placed.step.is_group else sequence
            names = dict.fromkeys(atom.step for atom in atoms(placed.step.needs))
            results = {name: store.result(self.run_id, Key(inside + name, around)) for name in names}
            items = self._found(path).items
            item = items[int(sequence.rpartition(".")[2]) - 1] if items is not None else None
            step = CurrentStep(path, sequence, done.recovery, logger_name(self._name, path), item, results)
            self._starts.append((start, step))

    def _take(self, store: RunStore, run_id: str) -> None:
        """Have a run in hand. FactoryError when another process has it."""
        self.run_id = run_id
        if store.record(run_id) is None:
            raise FactoryError(f"there is no run {run_id} in {self._file.path}", "give the id that `run` returned")
        owner, lease = store.owner(run_id)
        if lease is not None and lease > time.time() and owner is not None and not is_gone(owner):
            raise FactoryError(f"run {run_id} is in the hands of process {owner}", "wait for it, or cancel the run")
        store.take(run_id, self._owner, time.time() + LEASE)

    def _beat(self, store: RunStore) -> None:
        if time.monotonic() - self._beaten > BEAT:
            self._beaten = time.monotonic()
            if not store.extend(self.run_id, self._owner, time.time() + LEASE):
                raise FactoryError(f"run {self.run_id} was taken over by another process", "leave it to that one")


def as_json(value: Any) -> Any:
    """`value` where JSON can hold it, else its `repr`."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return value
