"""The port of runs: workflows of steps whose jobs go through the queues. A step is a job; when that is over, the run
moves in the same transaction, and the jobs of the steps that follow are sent with it.

Who begins, cancels or recovers a run is a client; it blocks until that is done and durable. FactoryError, with a
remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from factory_cdk.plan.model import Json
from factory_cdk.runs.definition import Definition
from factory_cdk.runs.state import Key, Run
from factory_cdk.runs.store import RunRecord, StepRecord

_MARK = ":"
_STEP = re.compile(r"[A-Za-z0-9._-]+:[A-Za-z0-9_/-]+:[0-9]+(\.[0-9]+)*:[0-9]+")


def step_job_id(run: str, key: Key, attempt: int) -> str:
    """The id of the job that is a step, item or iteration of a run, for the `attempt`th time."""
    return _MARK.join((run, *key, str(attempt)))


def is_step(job_id: str) -> bool:
    """Whether a job is a step of a run; no other has such an id."""
    return _MARK in job_id and _STEP.fullmatch(job_id) is not None


def step_of(job_id: str) -> tuple[str, Key, int]:
    """The run, the step and the attempt of the job with the id `job_id`, which is a step."""
    run, path, sequence, attempt = job_id.split(_MARK)
    return run, Key(path, sequence), int(attempt)


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """How a run begins again: with which `definition`, and with so many `pools` from now on. The steps of `rerun` are
    started anew whatever they say; `only` limits it to these (None: to none).
    """

    definition: Definition
    pools: Mapping[str, int]
    rerun: frozenset[str] = frozenset()
    only: frozenset[Key] | None = None


class Runs(Protocol):
    """The runs of a stage."""

    def begin(self, run_id: str, workflow: str, definition: Definition, given: Json, pools: Mapping[str, int]) -> bool:
        """Begin a run, with so many `pools` from now on; False, and nothing done, when there is one of that id."""

    def cancel(self, run_id: str) -> bool:
        """End a run at once, its jobs too; False when it has ended already."""

    def recover(self, run_id: str, wanted: RecoveryRequest) -> list[str]:
        """Let a run that has ended begin again as `wanted`; the ids of the jobs that were sent."""

    def would_recover(self, run_id: str, wanted: RecoveryRequest) -> list[Key]:
        """The steps, items and iterations that a recovery would start anew if it came to them; nothing is done."""

    def record(self, run_id: str) -> RunRecord | None:
        """The run of that id; None when there is none."""

    def records(self, start: str = "", workflow: str | None = None, n: int = -1) -> list[RunRecord]:
        """Up to `n` runs (all when it is negative) whose ids begin with `start`, the last to be begun first."""

    def steps(self, run_id: str) -> list[StepRecord]:
        """Every step, item and iteration of a run that there is so far, in the order of the workflow."""

    def state(self, run_id: str) -> Run:
        """What a run has come to."""

    def definition(self, run_id: str) -> Definition:
        """What a run is of."""

    def input(self, run_id: str) -> Json:
        """What a run was given."""

    def close(self) -> None:
        """Let go of files and connections."""
