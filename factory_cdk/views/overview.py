"""How everything that is built stands at a moment, and how fast jobs go through it: what `top` shows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.client import FailedAttempt
from factory_cdk.queues.port import Depth
from factory_cdk.state.outdated import outdated
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.stage_queues import has_queues, open_queues
from factory_cdk.state.stages import Factory, list_factories
from factory_cdk.state.status import PoolStatus, WorkerStatus
from factory_cdk.views.runners import SILENT, RemoteRunner

WINDOW = 10.0
"""Seconds over which rates are averaged."""

FAILURES = 10

REMOTE_EVERY = 5.0
"""Seconds between two looks at what is on AWS, of which each costs requests."""

RemoteRunners = Callable[[Factory], list[RemoteRunner]]
"""The runners of the instances of a stage. FactoryError when they are not known."""


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


@dataclass(frozen=True, slots=True)
class _Queues:
    """What is in the queues of a stage, or why they cannot be read."""

    depths: Mapping[str, Depth] = field(default_factory=dict)
    failures: tuple[FailedAttempt, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class _Remote:
    """What was said last of the instances of a stage, or why it is not known."""

    runners: tuple[RemoteRunner, ...] = ()
    trouble: str | None = None

    def workers(self, pool_spec: PoolSpec) -> list[WorkerStatus]:
        """The workers of a bot on its sector, of a runner that answers."""
        return [
            worker
            for runner in self.runners
            if runner.answers and runner.status is not None
            for worker in runner.status.workers
            if (worker.sector, worker.bot) == pool_spec.place
        ]

    def pools(self, pool_spec: PoolSpec) -> tuple[PoolStatus, ...]:
        """The pools of its sector."""
        return tuple(
            pool
            for runner in self.runners
            if runner.sector == pool_spec.sector and runner.status is not None
            for pool in runner.status.pools
        )

    def is_silent(self, sector: str) -> bool:
        """Whether the runner of `sector` has stopped answering."""
        return any(runner.silent_since is not None for runner in self.runners if runner.sector == sector)


class Overview:
    """Looks at what is built under `home`, or what `find` finds: all of it, the factory `name`, or its `stage`. Rates
    come from what is remembered between looks; `clock` counts seconds. What is on AWS, `runners` included, is looked at
    every REMOTE_EVERY seconds.
    """

    def __init__(
        self,
        home: Path,
        name: str | None = None,
        stage: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        find: Callable[[], Iterable[Factory]] | None = None,
        runners: RemoteRunners | None = None,
    ) -> None:
        self._name, self._stage, self._clock = name, stage, clock
        self._find = find or (lambda: list_factories(home))
        self._runners = runners
        self._remembered: deque[tuple[float, Counts]] = deque()
        self._on_aws: dict[str, tuple[float, _Queues, _Remote]] = {}

    def look(self) -> tuple[StageView, ...]:
        """How everything stands now. What cannot be read is the trouble of its stage."""
        found = [
            factory
            for factory in self._find()
            if self._name in (None, factory.name) and self._stage in (None, factory.stage)
        ]
        now = self._clock()
        seen = [(factory, *self._read(factory, now)) for factory in found]
        counts = _counts((factory, remote) for factory, _, remote in seen)
        while len(self._remembered) > 1 and now - self._remembered[1][0] >= WINDOW:
            self._remembered.popleft()
        self._remembered.append((now, counts))
        return tuple(self._view(factory, queues, remote, counts) for factory, queues, remote in seen)

    def _read(self, factory: Factory, now: float) -> tuple[_Queues, _Remote]:
        """What is in the queues of a stage, and what its instances say."""
        if factory.instances is None:
            return _queues(factory), _Remote()
        name = factory.folder.name
        known = self._on_aws.get(name)
        if known is None or now - known[0] >= REMOTE_EVERY:
            known = self._on_aws[name] = now, _queues(factory), self._remote(factory)
        return known[1:]

    def _remote(self, factory: Factory) -> _Remote:
        try:
            return _Remote(tuple(self._runners(factory))) if self._runners else _Remote()
        except FactoryError as error:
            return _Remote(trouble=f"{error.message}; {error.remedy}")

    def _view(self, factory: Factory, queues: _Queues, remote: _Remote, counts: Counts) -> StageView:
        pool_specs = factory.whole_spec.pool_specs if factory.whole_spec else ()
        trouble = factory.trouble or (factory.status.trouble if factory.status else None)
        if factory.state == "outdated":
            refusal = outdated(factory.folder)
            trouble = f"{refusal.message}; {refusal.remedy}"
        return StageView(
            factory=factory.name,
            stage=factory.stage,
            state=factory.state,
            runner=factory.pid,
            trouble=queues.trouble or remote.trouble or trouble or _said(remote),
            bots=tuple(
                self._bot(factory, pool_spec, queues.depths.get(pool_spec.queue, Depth(0, 0, 0, 0)), remote, counts)
                for pool_spec in pool_specs
            ),
            failures=queues.failures,
        )

    def _bot(self, factory: Factory, pool_spec: PoolSpec, depth: Depth, remote: _Remote, counts: Counts) -> BotView:
        if factory.instances is not None and pool_spec.sector in factory.instances.sector_names:
            workers, pools = remote.workers(pool_spec), remote.pools(pool_spec)
            state = SILENT if remote.is_silent(pool_spec.sector) else _state(pools, pool_spec, workers)
        else:
            lives = factory.pid is not None and factory.status is not None
            workers = _workers(factory, pool_spec) if lives else []
            state = _state(factory.status.pools if factory.status else (), pool_spec, workers)
        key = (factory.name, factory.stage, pool_spec.sector, pool_spec.bot)
        done, failed = counts.get(key, (0, 0))
        rate, failure_rate = self._rates(key)
        return BotView(
            sector=pool_spec.sector,
            bot=pool_spec.bot,
            state=state,
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


def _queues(factory: Factory) -> _Queues:
    """What is in the queues of a stage."""
    spec = factory.whole_spec
    if spec is None or not spec.pool_specs or not has_queues(factory.folder):
        return _Queues()
    try:
        with open_queues(factory.folder) as queues:
            depths = queues.history.depths({pool_spec.queue for pool_spec in spec.pool_specs})
            return _Queues(depths, _last_of_each(queues.history.last_failures(10 * FAILURES)))
    except FactoryError as error:  # the other stages are well
        return _Queues(trouble=f"{error.message}; {error.remedy}")


def _said(remote: _Remote) -> str | None:
    """What the runners of instances cannot do, or wait for."""
    found = [f"sector {runner.sector}: {runner.trouble}" for runner in remote.runners if runner.trouble]
    return "; ".join(found) or None


def _counts(seen: Iterable[tuple[Factory, _Remote]]) -> Counts:
    counts: Counts = {}
    for factory, remote in seen:
        statuses = [factory.status, *(runner.status for runner in remote.runners)]
        for worker in (worker for status in statuses if status for worker in status.workers):
            key = (factory.name, factory.stage, worker.sector, worker.bot)
            done, failed = counts.get(key, (0, 0))
            counts[key] = done + worker.done, failed + worker.failed
    return counts


def _workers(factory: Factory, pool_spec: PoolSpec) -> list[WorkerStatus]:
    found = factory.status.workers if factory.status else ()
    return [worker for worker in found if (worker.sector, worker.bot) == pool_spec.place]


def _state(pools: Iterable[PoolStatus], pool_spec: PoolSpec, workers: list[WorkerStatus]) -> str:
    """What a person should know first: gone, broken, what the workers are at if it is unusual, else busy or ready."""
    if not workers:
        return "gone"
    if any(pool.broken for pool in pools if (pool.sector, pool.bot) == pool_spec.place):
        return "broken"
    states = {worker.state for worker in workers}
    order = ("waiting", "starting", "stopping", "busy", "ready", "stopped", "ended")
    return next((state for state in order if state in states), min(states))
