"""Draining a stage: its bots work on until their queues are empty, one after the other along the workflow."""

from __future__ import annotations

import time
from collections import Counter

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import RUNNER_GONE, TIMED_OUT
from factory_cdk.lifecycle.progress import Say
from factory_cdk.queues.client import ClientQueues
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import open_queues
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import read_status, runner_pid

SAY_EVERY = 1.0
"""Seconds between two lines of progress, at least."""

WORDS = {"waiting": "died and to be restarted"}
"""States of workers that do not speak for themselves."""

UNABLE = ("stopped", "ended")
"""States of workers that do no jobs until the stage is resumed."""

SOONEST, LATEST = 0.005, 0.2
"""Seconds between two looks, longer the longer nothing changes."""


def drain(factory: Factory, say: Say, timeout: float | None = None, *, still: float = 5.0) -> None:
    """Wait until no job is ready, delayed or in hand, breadth-first along the workflow; dead letters stay. When nothing
    has changed for `still` seconds, `say` is told what the workers are at.

    FactoryError, and the stage goes on: with exit code 3 after `timeout` seconds, 4 when the runner is gone, else
    when jobs wait for a bot that takes none (stopped, or given up).
    """
    deadline = time.monotonic() + timeout if timeout is not None else None
    spec = factory.spec
    if spec is None:
        return
    order = dict.fromkeys([*spec.end_order, *(pool_spec.bot for pool_spec in spec.pool_specs)])
    with open_queues(factory.folder) as queues:
        for bot in order:
            pool_specs = [one for one in spec.pool_specs if one.bot == bot]
            _drain_bot(factory.folder, queues, pool_specs, say, deadline, still)


def _drain_bot(
    folder: StageFolder,
    queues: ClientQueues,
    specs: list[PoolSpec],
    say: Say,
    deadline: float | None,
    still: float,
) -> None:
    said, pause, before = 0.0, SOONEST, -1
    while left := _left(queues, specs):
        now = time.monotonic()
        if left != before:
            before, pause = left, SOONEST
            if now - said >= SAY_EVERY:
                said = now
                say(f"{specs[0].bot}: {left} {'job' if left == 1 else 'jobs'} left")
        elif now - said >= still:
            said = now
            say(f"{specs[0].bot}: still {left} {'job' if left == 1 else 'jobs'} left; {_at_work(folder, specs)}")
        _refuse_standstill(folder, queues, specs)
        if deadline is not None and now >= deadline:
            raise FactoryError(
                f"bot {specs[0].bot} of {folder.name} still has {left} {'job' if left == 1 else 'jobs'}; it goes on",
                "give it more time with --timeout, or demolish without --drain",
                exit_code=TIMED_OUT,
            )
        time.sleep(pause)
        pause = min(LATEST, pause * 2)


def _at_work(folder: StageFolder, specs: list[PoolSpec]) -> str:
    """What the workers of a bot are at."""
    status, places = read_status(folder), {pool_spec.place for pool_spec in specs}
    workers = [one for one in status.workers if (one.sector, one.bot) in places] if status else []
    counts = Counter(worker.state for worker in workers)
    named = [f"{count} {WORDS.get(name, name)}" for name, count in sorted(counts.items())]
    return f"of its workers {', '.join(named)}" if named else "it has no workers"


def _left(queues: ClientQueues, specs: list[PoolSpec]) -> int:
    depths = queues.history.depths({pool_spec.queue for pool_spec in specs if pool_spec.gets_jobs})
    return sum(depth.ready + depth.delayed + depth.leased for depth in depths.values())


def _refuse_standstill(folder: StageFolder, queues: ClientQueues, specs: list[PoolSpec]) -> None:
    """FactoryError when nobody will ever do what is left."""
    status = read_status(folder)
    if runner_pid(folder) is None or status is None:
        raise FactoryError(
            f"the runner of {folder.name} does not run; its jobs are kept",
            f"factory-cdk resume {folder.options}, or demolish without --drain",
            exit_code=RUNNER_GONE,
        )
    if status.gate not in ("open", "opening"):
        raise FactoryError(
            f"{folder.name} is {'stopped' if status.gate == 'closed' else status.gate}: its jobs are not done",
            f"factory-cdk resume {folder.options}, or demolish without --drain",
        )
    for pool_spec in specs:
        pools = [pool for pool in status.pools if pool.queue == pool_spec.queue]
        at_work = {(pool.sector, pool.bot) for pool in pools if pool.open and not pool.broken}
        able = [one for one in status.workers if (one.sector, one.bot) in at_work and one.state not in UNABLE]
        if pools and not able and _left(queues, [pool_spec]):
            raise FactoryError(
                f"bot {pool_spec.bot} of {pool_spec.sector} takes no jobs: {pools[0].broken or 'it is stopped'}",
                f"factory-cdk resume {folder.options}, or demolish without --drain",
            )
