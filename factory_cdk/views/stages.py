"""What is built, and its workers, as rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory_cdk.queues.port import Depth
from factory_cdk.state.logs import stamp
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.stage_queues import has_queues, open_queues
from factory_cdk.state.stages import Factory, StageStack
from factory_cdk.state.status import PoolStatus, WorkerStatus
from factory_cdk.views.runners import RemoteRunner, remote_workers


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker: its process, `uptime` in seconds, attempts that were done and that failed, jobs `in_hand`, the `status`
    that its bot published. The workers of a runner that is gone are `gone`, without a process. Those on an `instance`
    of `region` have no process here; `silent_since`: when their runner, which has stopped answering, said its last
    word.
    """

    factory: str
    stage: str
    sector: str
    bot: str
    worker: int
    pid: int | None
    state: str
    uptime: float
    restarts: int
    done: int
    failed: int
    in_hand: int
    status: str | None
    region: str | None = None
    instance: str | None = None
    silent_since: str | None = None


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage that is built: its state, the process of its `runner`, how many `workers` it has by its plan, when it was
    `built` and from which plan, and the `regions` of its instances.
    """

    factory: str
    stage: str
    state: str
    runner: int | None
    workers: int
    built: str | None
    plan: str | None
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BotRow:
    """A bot on a sector: whether it takes jobs (`open`), why it was given up (`broken`), its queue and what is in it,
    the bots that get its results (`next`), the callable or command that it `runs`, and where: of one on an instance
    that is empty.
    """

    sector: str
    bot: str
    open: bool
    broken: str | None
    workers: int
    queue: str
    depth: Depth
    next: tuple[str, ...]
    runs: str | tuple[str, ...]
    folder: str
    python: str


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """The runner of a sector on an instance: its state, when it `said` its last word, and since when it is silent, if
    it has stopped answering; what it cannot do (`trouble`).
    """

    sector: str
    region: str
    instance: str
    state: str
    workers: int
    said: str
    silent_since: str | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class StageDetail(StageRow):
    """Everything about a stage: its files here (None: it has none), what its runner cannot do at the moment
    (`trouble`), its bots, and its stacks, if AWS was asked for them.
    """

    folder: str | None
    logs: str | None
    trouble: str | None
    bots: tuple[BotRow, ...]
    instances: tuple[InstanceRow, ...] = ()
    stacks: tuple[StageStack, ...] = ()


def worker_rows(factories: Iterable[Factory]) -> list[WorkerRow]:
    """One row per worker."""
    now = time.time()
    return [
        _worker_row(factory, worker, now)
        for factory in factories
        if factory.status
        for worker in factory.status.workers
    ]


def remote_worker_rows(factory: Factory, runners: Iterable[RemoteRunner]) -> list[WorkerRow]:
    """One row per worker of the stage's instances."""
    runners = list(runners)
    silent = {one.sector: one.silent_since for one in runners}
    return [
        WorkerRow(
            factory=factory.name,
            stage=factory.stage,
            sector=worker.sector,
            bot=worker.bot,
            worker=worker.worker,
            pid=None,
            state=worker.state,
            uptime=round(worker.uptime, 3),
            restarts=worker.restarts,
            done=worker.done,
            failed=worker.failed,
            in_hand=worker.in_hand,
            status=worker.status,
            region=worker.region,
            instance=worker.instance,
            silent_since=silent[worker.sector],
        )
        for worker in remote_workers(runners, time.time())
    ]


def stage_row(factory: Factory) -> StageRow:
    """One row for a stage."""
    spec, own = factory.whole_spec, factory.spec
    return StageRow(
        factory=factory.name,
        stage=factory.stage,
        state=factory.state,
        runner=factory.pid,
        workers=sum(pool_spec.processes for pool_spec in spec.pool_specs) if spec else 0,
        built=stamp(own.built_at) if own else None,
        plan=own.plan if own else None,
        regions=factory.instances.regions if factory.instances else (),
    )


def stage_detail(factory: Factory, runners: Iterable[RemoteRunner] = ()) -> StageDetail:
    """Everything about a stage, whose instances have `runners`. FactoryError when its queues cannot be read."""
    row, folder, runners = stage_row(factory), factory.folder, list(runners)
    statuses = [factory.status, *(one.status for one in runners if one.answers)]
    pools = {(pool.sector, pool.bot): pool for status in statuses if status for pool in status.pools}
    pool_specs = factory.whole_spec.pool_specs if factory.whole_spec else ()
    answering = {one.sector for one in runners if one.answers}
    depths: Mapping[str, Depth] = {}
    if pool_specs and has_queues(folder):
        with open_queues(folder) as queues:
            depths = queues.history.depths({pool_spec.queue for pool_spec in pool_specs})
    return StageDetail(
        factory=row.factory,
        stage=row.stage,
        state=row.state,
        runner=row.runner,
        workers=row.workers,
        built=row.built,
        plan=row.plan,
        regions=row.regions,
        folder=str(folder.path) if factory.local else None,
        logs=str(folder.logs) if factory.local else None,
        trouble=factory.trouble or (factory.status.trouble if factory.status else None),
        bots=tuple(
            _bot_row(
                pool_spec,
                pools.get(pool_spec.place),
                depths.get(pool_spec.queue),
                runs=factory.pid is not None or pool_spec.sector in answering,
            )
            for pool_spec in pool_specs
        ),
        instances=tuple(
            InstanceRow(
                sector=one.sector,
                region=one.region,
                instance=one.instance,
                state=one.state,
                workers=len(one.status.workers) if one.status else 0,
                said=stamp(one.said),
                silent_since=one.silent_since,
                trouble=one.trouble,
            )
            for one in runners
        ),
        stacks=factory.stacks,
    )


def _bot_row(pool_spec: PoolSpec, pool: PoolStatus | None, depth: Depth | None, *, runs: bool) -> BotRow:
    return BotRow(
        sector=pool_spec.sector,
        bot=pool_spec.bot,
        open=runs and pool is not None and pool.open,
        broken=pool.broken if pool else None,
        workers=pool_spec.processes,
        queue=pool_spec.queue,
        depth=depth or Depth(0, 0, 0, 0),
        next=tuple(successor.bot for successor in pool_spec.successors),
        runs=pool_spec.start.words[0] if pool_spec.start.mode == "target" else pool_spec.start.words,
        folder=pool_spec.folder,
        python=pool_spec.python,
    )


def _worker_row(factory: Factory, worker: WorkerStatus, now: float) -> WorkerRow:
    lives = factory.pid is not None
    return WorkerRow(
        factory=factory.name,
        stage=factory.stage,
        sector=worker.sector,
        bot=worker.bot,
        worker=worker.worker,
        pid=worker.pid if lives else None,
        state=worker.state if lives else "gone",
        uptime=round(now - worker.started_at, 3) if lives and worker.pid else 0.0,
        restarts=worker.restarts,
        done=worker.done,
        failed=worker.failed,
        in_hand=worker.in_hand if lives else 0,
        status=worker.status if lives else None,
    )
