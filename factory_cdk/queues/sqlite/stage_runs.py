"""The runs of a stage inside write transactions of its queue database: what is over moves them, what follows is sent.

A run has its times from the engine's clock, as delays and leases have.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from factory_cdk.plan.model import Json
from factory_cdk.queues.port import Failed, Finished, Job, UnstorableError
from factory_cdk.queues.runs import is_step, step_job_id, step_of
from factory_cdk.runs.conditions import atoms
from factory_cdk.runs.definition import Definition
from factory_cdk.runs.events import Finished as StepFinished
from factory_cdk.runs.events import Look
from factory_cdk.runs.references import filled_in
from factory_cdk.runs.state import Key, Start
from factory_cdk.runs.step_context import logger_name
from factory_cdk.runs.store import Moved, RunStore

Sent = TypeVar("Sent")
Encode = Callable[[str, Job], Sent]

_LOOK_SECONDS = 0.25
"""How often, on the engine's clock, it is looked whether delays are over."""

_UNHEARD_SECONDS = 2.0
"""How often it is looked whether jobs of steps have ended unheard."""

_UNHEARD = """
SELECT jobs.id, jobs.outcome FROM run_steps JOIN jobs
ON jobs.id = run_steps.run || ':' || run_steps.path || ':' || run_steps.sequence || ':' || run_steps.attempts
WHERE run_steps.status = 'active' AND jobs.outcome IS NOT NULL"""
"""Jobs that a client cancelled, or whose payload is lost: nobody settles these."""

_REASONS = {"cancelled": "its job was cancelled", "dead": "its job is a dead letter"}

_WITHDRAW = """
UPDATE jobs SET outcome = 'cancelled', final = ?, finished = ?, due = NULL, token = NULL,
    attempt = attempt - (token IS NULL)
WHERE id = ? AND outcome IS NULL"""
_CURSOR = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'jobs' RETURNING seq"


class StageRuns:
    """The runs in the database that `connection` has open; every method is to be called inside a write transaction, and
    `forget` when that was rolled back. What is to be sent is answered as `encode` makes it of a queue and a job.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.store = RunStore(connection, moves_all=True)
        self._run = connection.execute
        self._looked = self._listened = -_UNHEARD_SECONDS
        self._there = False

    def forget(self) -> None:
        """Drop what is in memory: the next look reads the database."""
        self.store.forget()

    def is_due(self, settled: Sequence[Finished | Failed], now: float) -> bool:
        """Whether there is anything for `follow` to do."""
        return not 0 <= now - self._looked < _LOOK_SECONDS or any(is_step(one.lease.job.id) for one in settled)

    def follow(self, settled: Sequence[Finished | Failed], now: float, wall: float, encode: Encode[Sent]) -> list[Sent]:
        """What to send now that jobs in hand were settled, and that it is `now` on the engine's clock."""
        sent = []
        for one in settled:
            if is_step(one.lease.job.id) and not (isinstance(one, Failed) and one.delay is not None):
                failure = str(one.failure) if isinstance(one, Failed) else None
                result = one.result if isinstance(one, Finished) else None
                sent += self.take_up(self._end(one.lease.job.id, failure, result, now), now, wall, encode)
        if not 0 <= now - self._looked < _LOOK_SECONDS:
            self._looked = now
            sent += self.take_up(self._look(now), now, wall, encode)
        return sent

    def take_up(self, moved: Iterable[Moved], now: float, wall: float, encode: Encode[Sent]) -> list[Sent]:
        """What to send for runs that have moved; jobs that they do not want any more are cancelled. A step whose job
        cannot be sent fails.
        """
        sent = []
        waiting = deque(moved)
        while waiting:
            run_id, done = waiting.popleft()
            for withdrawn in done.withdraws:
                cursor = self._run(_CURSOR).fetchone()[0]
                self._run(_WITHDRAW, (cursor, wall, step_job_id(run_id, withdrawn.key, withdrawn.attempt)))
            for start in done.starts:
                try:
                    sent.append(encode(*self._job(run_id, start, done.recovery)))
                except UnstorableError as error:
                    waiting += self._end(step_job_id(run_id, start.key, start.attempt), error.message, None, now)
        return sent

    def _end(self, job_id: str, failure: str | None, result: Json, now: float) -> list[Moved]:
        run_id, key, attempt = step_of(job_id)
        if not self._has_tables() or self.store.record(run_id) is None:
            return []  # a rescue of damaged queues saves no runs
        return self.store.happen(run_id, lambda pools: StepFinished(now, key, attempt, failure, pools), result)

    def _look(self, now: float) -> list[Moved]:
        if not self._has_tables():
            return []
        moved = []
        for run_id in self.store.due(now):
            moved += self.store.happen(run_id, lambda pools: Look(now, pools))
        if not 0 <= now - self._listened < _UNHEARD_SECONDS:
            self._listened = now
            for job_id, outcome in self._run(_UNHEARD).fetchall():
                if outcome in _REASONS:
                    moved += self._end(job_id, _REASONS[outcome], None, now)
        return moved

    def _has_tables(self) -> bool:
        self._there = self._there or self.store.has_tables()
        return self._there

    def _job(self, run_id: str, start: Start, recovery: int) -> tuple[str, Job]:
        """The job that is a step, and its queue. UnstorableError when what it is to be given is not there."""
        definition = self.store.definition(run_id)
        key = start.key
        work = definition.work[key.path]
        try:
            given = filled_in(work["given"], known(definition, key, self.store.input(run_id)))
        except KeyError as error:
            raise UnstorableError(f"its `with` refers to `{error.args[0]}`, which is not there", None) from None
        payload = {
            "with": given,
            "results": self._results(run_id, definition, key),
            "name": key.path,
            "sequence": key.sequence,
            "recovery": recovery,
            "logger_name": logger_name(self.store.workflow(run_id), key.path),
        }
        return work["queue"], Job(step_job_id(run_id, key, start.attempt), work["bot"], payload, run_id)

    def _results(self, run_id: str, definition: Definition, key: Key) -> dict[str, Json]:
        placed = definition.graph.placed[key.path]
        inside = f"{placed.inside}/" if placed.inside else ""
        around = key.sequence.rpartition(".")[0] if placed.step.is_group else key.sequence
        names = dict.fromkeys(atom.step for atom in atoms(placed.step.needs))
        return {name: self.store.result(run_id, Key(inside + name, around)) for name in names}


def known(definition: Definition, key: Key, given: Json) -> dict[str, Any]:
    """What the references of a step can name: the input of the run, and the item that is nearest to the step."""
    found = {"input": given}
    numbers = [int(one) for one in key.sequence.split(".")]
    names = key.path.split("/")
    for depth in range(1, len(names) + 1):
        items = definition.items.get("/".join(names[:depth]))
        if items is not None:
            found["item"] = items[numbers[depth] - 1]
    return found
