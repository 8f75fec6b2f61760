"""Submitting jobs, and waiting for what becomes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import Job, JobRecord
from factory_cdk.state.locks import holding, take_folder
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, refuse_unknown_bot
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import open_queues
from factory_cdk.state.status import runner_pid

TIMED_OUT = 3
RUNNER_GONE = 4
SOONEST = 0.001
"""Seconds between two looks for outcomes soon after news; the longer there are none, the later, up to what the queues
ask for.
"""

LIVENESS_EVERY = 0.25
"""Seconds between two looks whether the runner still lives."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Jobs that are on disk: the id of their run, and their own in the order of the payloads."""

    run: str
    ids: tuple[str, ...]


def entry(spec: RunnerSpec, bot: str) -> PoolSpec:
    """The pool spec whose queue gets jobs that are submitted to `bot`: the first in plan order. FactoryError."""
    refuse_unknown_bot(spec, bot)
    pool_spec = next(one for one in spec.pool_specs if one.bot == bot)
    if not pool_spec.gets_jobs:
        source = pool_spec.transport
        raise FactoryError(
            f"bot {bot} gets its jobs from {source}", f"add them to the {source} queue {pool_spec.queue}"
        )
    return pool_spec


def submit(
    folder: StageFolder, spec: RunnerSpec, bot: str, payloads: Iterable[Json], tags: Mapping[str, str] | None = None
) -> Submission:
    """Put one job for `bot` per payload on its queue; returns when all are on disk. FactoryError.

    They are one run, whose id every descendant carries.
    """
    queue = entry(spec, bot).queue
    run = os.urandom(8).hex()
    jobs = [
        Job(id=f"{run}-{number}", bot=bot, payload=payload, run=run, tags=dict(tags or {}))
        for number, payload in enumerate(payloads, 1)
    ]
    with staying(folder), open_queues(folder) as queues:
        queues.send(queue, jobs)
    return Submission(run, tuple(job.id for job in jobs))


@contextmanager
def staying(folder: StageFolder, done: str = "submitted") -> Iterator[None]:
    """Keep the stage from being demolished. FactoryError when it is being, or was: nothing was `done`."""
    try:
        lock = take_folder(folder.path, shared=True)
    except FileNotFoundError:
        raise FactoryError(f"{folder.name} is not built here any more; nothing was {done}", "build it again") from None
    if lock is None:
        raise FactoryError(
            f"{folder.name} is being demolished; nothing was {done}", "build it again once it is gone, then try again"
        )
    with holding(lock):
        yield


def wait(
    folder: StageFolder, run: str, timeout: float | None = None, *, lives: Callable[[], bool] | None = None
) -> Iterator[JobRecord]:
    """Every job of `run` as it becomes final, descendants included; ends when all are. `lives` says whether anybody
    works on them: by default, whether the runner here does.

    FactoryError with exit code 3 after `timeout` seconds, and 4 as soon as the runner is gone.
    """
    lives = lives or (lambda: runner_pid(folder) is not None)
    deadline = time.monotonic() + timeout if timeout is not None else None
    cursor, pause, looked = 0, SOONEST, time.monotonic()
    gone = False
    with open_queues(folder) as queues:
        while True:
            news = queues.history.outcomes(run, after=cursor)
            yield from news
            if news:
                cursor = news[-1].cursor or cursor
                pause = SOONEST
                continue
            remaining = queues.history.remaining(run)
            if not remaining:
                yield from queues.history.outcomes(run, after=cursor)
                return
            now = time.monotonic()
            if gone:
                raise gone_error(folder, remaining)
            if deadline is not None and now >= deadline:
                raise FactoryError(
                    f"of run {run} {remaining} {_jobs(remaining)} not done after {timeout:g} s",
                    "they go on: see `factory-cdk logs`",
                    exit_code=TIMED_OUT,
                )
            if now - looked > LIVENESS_EVERY or pause == SOONEST:
                looked = now
                gone = not lives()
            if not gone:
                time.sleep(min(pause, max(0.0, deadline - now)) if deadline is not None else pause)
            pause = min(queues.capabilities.look_every, pause * 2)


def gone_error(folder: StageFolder, remaining: int) -> FactoryError:
    """The FactoryError that says that nobody works on jobs."""
    if folder.aws_queues.exists():
        return FactoryError(
            f"no runner of {folder.name} answers; {remaining} {_jobs(remaining)} kept in their queues",
            f"see factory-cdk info {folder.options}",
            exit_code=RUNNER_GONE,
        )
    return FactoryError(
        f"the runner of {folder.name} is gone; {remaining} {_jobs(remaining)} kept on disk",
        f"factory-cdk resume {folder.options}",
        exit_code=RUNNER_GONE,
    )


def _jobs(count: int) -> str:
    return "job is" if count == 1 else "jobs are"
