"""Runs of a built stage: begun, waited for, looked at, cancelled and recovered."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import LIVENESS_EVERY, RUNNER_GONE, SOONEST, TIMED_OUT, staying
from factory_cdk.plan.model import Json
from factory_cdk.plan.spelling import did_you_mean
from factory_cdk.queues.opening import open_runs
from factory_cdk.queues.runs import RecoveryRequest, Runs
from factory_cdk.runs.definition import Definition, from_plain
from factory_cdk.runs.graph import ROOT, Graph, Step, downstream
from factory_cdk.runs.references import filled_in
from factory_cdk.runs.state import Key, RunState, Status
from factory_cdk.runs.store import RunRecord, StepRecord
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import queues_location
from factory_cdk.state.status import runner_pid

RUN_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}"
LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run, and all that there is of its steps so far."""

    run: str
    state: str
    recovery: int
    steps: tuple[StepRecord, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a recovery does beside what the steps say of it: `start` names a step from which on everything is started
    anew, `only` steps whose failures alone are (`step`, `step:1.2`, or `failed` for all), `given` has values for the
    `with` of steps, by their paths and keys.
    """

    start: str | None = None
    only: tuple[str, ...] = ()
    given: Mapping[tuple[str, str], Json] = field(default_factory=dict)


def begin(
    folder: StageFolder, spec: RunnerSpec, workflow: str, given: Json, run_id: str | None, *, once: bool = False
) -> str:
    """Begin a run of `workflow`, which gets `given`; its id. One that has the id already is left.
    `once`: one of that workflow that is running is not begun a second time. FactoryError.
    """
    if run_id is not None and not re.fullmatch(RUN_ID, run_id):
        raise FactoryError(f"{run_id!r} cannot be the id of a run", "use up to 40 letters, digits, `.`, `_` and `-`")
    definition = definition_of(spec, workflow, given)
    with staying(folder, "started"), open_stage_runs(folder) as runs:
        if once:
            running = [one for one in runs.records(workflow=workflow) if one.state is RunState.RUNNING]
            if running:
                return running[0].id
        wanted = run_id or os.urandom(8).hex()
        if not runs.begin(wanted, workflow, definition, given, spec.pools):
            record = runs.record(wanted)
            if record is not None and record.workflow != workflow:
                raise FactoryError(f"{wanted} is a run of {record.workflow} already", "give the run another id")
        return wanted


def definition_of(spec: RunnerSpec, workflow: str, given: Json) -> Definition:
    """What a run of `workflow` is made of when it gets `given`. FactoryError."""
    if workflow not in spec.workflows:
        there = ", ".join(spec.workflows)
        remedy = did_you_mean(workflow, spec.workflows) or (f"its workflows of steps: {there}" if there else None)
        remedy = remedy or "write one with `steps` in the plan, and update the stage"
        raise FactoryError(f"{spec.factory}/{spec.stage} has no workflow of steps {workflow}", remedy)
    found = from_plain(spec.workflows[workflow])
    items = {path: _items(path, one, given) for path, one in found.items.items()}
    graph = replace(found.graph, steps=tuple(_counted(step, ROOT, items) for step in found.graph.steps))
    definition = Definition(graph, found.work, items)
    _check_references(definition, given)
    return definition


def report(folder: StageFolder, run_id: str) -> RunReport:
    """The run whose id is, or alone starts with, `run_id`. FactoryError."""
    with open_stage_runs(folder) as runs:
        return _report(runs, known(runs, folder, run_id))


def records(folder: StageFolder, workflow: str | None = None, n: int = -1) -> list[RunRecord]:
    """Up to `n` runs, the last to be begun first. FactoryError."""
    with open_stage_runs(folder) as runs:
        return runs.records(workflow=workflow, n=n)


def wait(folder: StageFolder, run_id: str, timeout: float) -> RunReport:
    """The run when it has ended. FactoryError with exit code 3 after `timeout` seconds, 4 when the runner is gone."""
    deadline = time.monotonic() + timeout
    pause, looked = SOONEST, time.monotonic()
    with open_stage_runs(folder) as runs:
        while (record := known(runs, folder, run_id)).state in (RunState.NEW, RunState.RUNNING):
            now = time.monotonic()
            if now >= deadline:
                raise FactoryError(
                    f"run {record.id} has not ended after {timeout:g} s",
                    f"it goes on: factory-cdk runs show {folder.options} {record.id}",
                    exit_code=TIMED_OUT,
                )
            if now - looked > LIVENESS_EVERY:
                looked = now
                if runner_pid(folder) is None:
                    raise FactoryError(
                        f"the runner of {folder.name} is gone; run {record.id} is kept on disk",
                        f"factory-cdk resume {folder.options}",
                        exit_code=RUNNER_GONE,
                    )
            time.sleep(min(pause, max(0.0, deadline - now)))
            pause = min(LOOK_EVERY, pause * 2)
        return _report(runs, record)


def cancel(folder: StageFolder, run_id: str) -> str:
    """End a run and its jobs at once; its id. FactoryError when it has ended."""
    with open_stage_runs(folder) as runs:
        record = known(runs, folder, run_id)
        if not runs.cancel(record.id):
            raise FactoryError(f"run {record.id} has ended: {record.state}", "recover it to start it again")
        return record.id


def recover(folder: StageFolder, spec: RunnerSpec, run_id: str, changes: Changes) -> str:
    """Let a run that has ended begin again, with the workflow as the stage has it now; its id. FactoryError."""
    with staying(folder, "recovered"), open_stage_runs(folder) as runs:
        record, wanted = _recovery(runs, folder, spec, run_id, changes)
        runs.recover(record.id, wanted)
        return record.id


def would_recover(folder: StageFolder, spec: RunnerSpec, run_id: str, changes: Changes) -> list[Key]:
    """The steps, items and iterations that `recover` would start anew if it came to them. FactoryError."""
    with open_stage_runs(folder) as runs:
        record, wanted = _recovery(runs, folder, spec, run_id, changes)
        return runs.would_recover(record.id, wanted)


@contextmanager
def open_stage_runs(folder: StageFolder) -> Iterator[Runs]:
    """The runs of a stage. FactoryError where there are none."""
    runs = open_runs(queues_location(folder))
    try:
        yield runs
    finally:
        runs.close()


def known(runs: Runs, folder: StageFolder, run_id: str) -> RunRecord:
    """The run whose id is, or alone starts with, `run_id`. FactoryError."""
    exact = runs.record(run_id)
    found = [exact] if exact else runs.records(run_id, n=2)
    if len(found) == 1:
        return found[0]
    if found:
        raise FactoryError(f"several runs have an id that starts with {run_id}", "give more of it")
    raise FactoryError(f"{folder.name} has no run {run_id}", f"factory-cdk runs list {folder.options} shows them")


def _report(runs: Runs, record: RunRecord) -> RunReport:
    return RunReport(record.id, str(record.state), record.recovery, tuple(runs.steps(record.id)))


def _recovery(
    runs: Runs, folder: StageFolder, spec: RunnerSpec, run_id: str, changes: Changes
) -> tuple[RunRecord, RecoveryRequest]:
    record = known(runs, folder, run_id)
    if record.state is RunState.RUNNING:
        raise FactoryError(f"run {record.id} is running", f"factory-cdk runs cancel {folder.options} {record.id}")
    definition = definition_of(spec, record.workflow, runs.input(record.id))
    graph = definition.graph
    work = {path: dict(one) for path, one in definition.work.items()}
    for (path, key), value in changes.given.items():
        _refuse_unknown(graph, path)
        if path not in work:
            raise FactoryError(f"the step {path} is a container, which is given nothing", "name a step in it")
        given = work[path]["given"]
        if given is not None and not isinstance(given, dict):
            raise FactoryError(f"`with` of the step {path} is no mapping", "it has no keys that could be set")
        work[path]["given"] = {**(given or {}), key: value}
    rerun: frozenset[str] = frozenset()
    if changes.start is not None:
        _refuse_unknown(graph, changes.start)
        rerun = downstream(graph, changes.start)
    only = _only(graph, runs.steps(record.id), changes.only) if changes.only else None
    return record, RecoveryRequest(Definition(graph, work, definition.items), spec.pools, rerun, only)


def _only(graph: Graph, steps: Sequence[StepRecord], words: Sequence[str]) -> frozenset[Key]:
    """The failed steps, items and iterations that `words` name. FactoryError when one names none."""
    found: set[Key] = set()
    leaves = [one for one in steps if one.path in graph.placed and not graph.placed[one.path].step.steps]
    failed = [Key(one.path, one.iteration) for one in leaves if one.status == Status.FAILED]
    for word in words:
        path, _, sequence = word.partition(":")
        if word.casefold() in ("failed", "failed_items") and path not in graph.placed:
            named = set(failed)
        else:
            _refuse_unknown(graph, path)
            named = {key for key in failed if key.path == path and sequence in ("", key.sequence)}
        if not named:
            raise FactoryError(f"nothing of {word} has failed", "look at the steps of the run")
        found |= named
    return frozenset(found)


def _refuse_unknown(graph: Graph, path: str) -> None:
    if path not in graph.placed:
        raise FactoryError(f"there is no step {path}", did_you_mean(path, graph.placed) or "write `container/step`")


def _items(path: str, items: Json, given: Json) -> list[Json]:
    if isinstance(items, str):
        try:
            items = filled_in(items, {"input": given})
        except KeyError as error:
            raise FactoryError(
                f"`for-each` of the step {path} is {error.args[0]}, which the run is not given", "give it with --with"
            ) from None
        if not isinstance(items, list):
            raise FactoryError(f"`for-each` of the step {path} is no list in what the run is given", "give it a list")
    return list(items)


def _counted(step: Step, inside: str, items: Mapping[str, list[Json]]) -> Step:
    path = f"{inside}/{step.name}" if inside else step.name
    inner = tuple(_counted(one, path, items) for one in step.steps)
    return replace(step, steps=inner, items=len(items[path]) if path in items else None)


def _check_references(definition: Definition, given: Json) -> None:
    """FactoryError when what a step is given refers to something that is not there."""
    for path, work in definition.work.items():
        names = path.split("/")
        around = ["/".join(names[:depth]) for depth in range(len(names), 0, -1)]
        nearest = next((definition.items[one] for one in around if one in definition.items), None)
        for item in [None] if nearest is None else nearest:
            there: dict[str, Any] = {"input": given} if nearest is None else {"input": given, "item": item}
            try:
                filled_in(work["given"], there)
            except KeyError as error:
                remedy = "give it with --with" if error.args[0].startswith("$input") else "its items have no such key"
                raise FactoryError(
                    f"`with` of the step {path} refers to {error.args[0]}, which is not there", remedy
                ) from None


def as_row(found: RunReport) -> dict[str, Any]:
    """A run as JSON."""
    steps = [
        {
            "path": one.path,
            "iteration": one.iteration,
            "status": str(one.status),
            "reason": one.reason,
            "attempts": one.attempts,
            "started": one.started,
            "finished": one.finished,
            "result": one.result,
        }
        for one in found.steps
    ]
    return {"run": found.run, "state": found.state, "recovery": found.recovery, "steps": steps}


def value_of(text: str) -> Json:
    """A value as it is typed: JSON where it is that, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
