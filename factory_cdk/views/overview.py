"""How everything that is built stands at a moment, and how fast jobs go through it: what `top` shows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.client import FailedAttempt
from factory_cdk.queues.port import Depth
from factory_cdk.state.outdated import outdated
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.stage_queues import has_queues, open_queues
from factory_cdk.state.stages import Factory, list_factories
from factory_cdk.state.status import WorkerStatus

WINDOW = 10.0
"""Seconds over which rates are averaged."""

FAILURES = 10


@dataclass(frozen=True, slots=True)
class BotView:
    """A bot on a sector. `busy`, `ready` and `workers` count its workers, `waiting` jobs that are ready or delayed,
    `rate` and `failure_rate` attempts that were done and that failed per second. `state` is what matters most of it;
    `said` what its workers published of the jobs in hand.
    """

    sector: str
    bot: str
    state: str
    workers: int
    busy: int
    ready: int
    restarts: int
    waiting: int
    leased: int
    dead: int
    done: int
    failed: int
    rate: float
    failure_rate: float
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage: its state, the trouble of its runner or queues if there is any, its bots, its last failures, newest
    first.
    """

    factory: str
    stage: str
    state: str
    runner: int | None
    trouble: str | None
    bots: tuple[BotView, ...]
    failures: tuple[FailedAttempt, ...]


Counts = dict[tuple[str, str, str, str], tuple[int, int]]
"""Done and failed attempts by factory, stage, sector and bot."""


class Overview:
    """Looks at what is built under `home`: all of it, the factory `name`, or its `stage`. Rates come from what is
    remembered between looks; `clock` counts seconds.
    """

    def __init__(
        self,
        home: Path,
        name: str | None = None,
        stage: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._name, self._stage, self._clock = home, name, stage, clock
        self._remembered: deque[tuple[float, Counts]] = deque()

    def look(self) -> tuple[StageView, ...]:
        """How everything stands now. What cannot be read is the trouble of its stage."""
        found = [
            factory
            for factory in list_factories(self._home)
            if self._name in (None, factory.name) and self._stage in (None, factory.stage)
        ]
        now, counts = self._clock(), _counts(found)
        while len(self._remembered) > 1 and now - self._remembered[1][0] >= WINDOW:
            self._remembered.popleft()
        self._remembered.append((now, counts))
        return tuple(self._view(factory, counts) for factory in found)

    def _view(self, factory: Factory, counts: Counts) -> StageView:
        pool_specs = factory.spec.pool_specs if factory.spec else ()
        depths: dict[str, Depth] = {}
        failures: tuple[FailedAttempt, ...] = ()
        trouble = factory.status.trouble if factory.status else None
        if factory.state == "outdated":
            refusal = outdated(factory.folder)
            trouble = f"{refusal.message}; {refusal.remedy}"
        if pool_specs and has_queues(factory.folder):
            try:
                with open_queues(factory.folder) as queues:
                    depths = queues.history.depths({pool_spec.queue for pool_spec in pool_specs})
                    failures = _last_of_each(queues.history.last_failures(10 * FAILURES))
            except FactoryError as error:  # the other stages are well
                trouble = f"{error.message}; {error.remedy}"
        return StageView(
            factory=factory.name,
            stage=factory.stage,
            state=factory.state,
            runner=factory.pid,
            trouble=trouble,
            bots=tuple(
                self._bot(factory, pool_spec, depths.get(pool_spec.queue, Depth(0, 0, 0, 0)), counts)
                for pool_spec in pool_specs
            ),
            failures=failures,
        )

    def _bot(self, factory: Factory, pool_spec: PoolSpec, depth: Depth, counts: Counts) -> BotView:
        lives = factory.pid is not None and factory.status is not None
        workers = _workers(factory, pool_spec) if lives else []
        key = (factory.name, factory.stage, pool_spec.sector, pool_spec.bot)
        done, failed = counts.get(key, (0, 0))
        rate, failure_rate = self._rates(key)
        return BotView(
            sector=pool_spec.sector,
            bot=pool_spec.bot,
            state=_state(factory, pool_spec, workers),
            workers=pool_spec.processes,
            busy=sum(worker.state == "busy" for worker in workers),
            ready=sum(worker.state == "ready" for worker in workers),
            restarts=sum(worker.restarts for worker in workers),
            waiting=depth.ready + depth.delayed,
            leased=depth.leased,
            dead=depth.dead,
            done=done,
            failed=failed,
            rate=rate,
            failure_rate=failure_rate,
            said=tuple(dict.fromkeys(worker.status for worker in workers if worker.status)),
        )

    def _rates(self, key: tuple[str, str, str, str]) -> tuple[float, float]:
        """Attempts done and failed per second; a runner that was started again begins to count anew."""
        (first, before), (last, now) = self._remembered[0], self._remembered[-1]
        if last <= first or key not in before or key not in now:
            return 0.0, 0.0
        done, failed = (
            max(0, late - early) / (last - first) for early, late in zip(before[key], now[key], strict=True)
        )
        return done, failed


def _last_of_each(found: Iterable[FailedAttempt]) -> tuple[FailedAttempt, ...]:
    """Of each job its last failure alone: three attempts at one say no more than the last of them."""
    jobs: dict[str, FailedAttempt] = {}
    for failed in found:
        jobs.setdefault(failed.job, failed)
    return tuple(jobs.values())[:FAILURES]


def _counts(factories: Iterable[Factory]) -> Counts:
    counts: Counts = {}
    for factory in factories:
        for worker in factory.status.workers if factory.status else ():
            key = (factory.name, factory.stage, worker.sector, worker.bot)
            done, failed = counts.get(key, (0, 0))
            counts[key] = done + worker.done, failed + worker.failed
    return counts


def _workers(factory: Factory, pool_spec: PoolSpec) -> list[WorkerStatus]:
    found = factory.status.workers if factory.status else ()
    return [worker for worker in found if (worker.sector, worker.bot) == pool_spec.place]


def _state(factory: Factory, pool_spec: PoolSpec, workers: list[WorkerStatus]) -> str:
    """What a person should know first: gone, broken, what the workers are at if it is unusual, else busy or ready."""
    if not workers:
        return "gone"
    pools = factory.status.pools if factory.status else ()
    if any(pool.broken for pool in pools if (pool.sector, pool.bot) == pool_spec.place):
        return "broken"
    states = {worker.state for worker in workers}
    order = ("waiting", "starting", "stopping", "busy", "ready", "stopped", "ended")
    return next((state for state in order if state in states), min(states))
