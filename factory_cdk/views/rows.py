"""Built stages and their workers as plain rows, for tables and JSON."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from factory_cdk.launchers.base import Start
from factory_cdk.queues.port import Depth
from factory_cdk.state.logs import stamp
from factory_cdk.state.stage_queues import has_queues, open_queues
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import WorkerStatus


def workers(factories: Iterable[Factory]) -> list[dict[str, Any]]:
    """One row per worker: factory, stage, sector, bot, worker, pid, state, uptime in seconds, restarts, done,
    failed, in_hand. The workers of a runner that is gone are `gone`, without a pid.
    """
    now = time.time()
    return [_row(factory, worker, now) for factory in factories if factory.status for worker in factory.status.workers]


def summary(factory: Factory) -> dict[str, Any]:
    """One row for a stage: factory, stage, state, runner (its pid), workers, built (when), plan."""
    spec = factory.spec
    return {
        "factory": factory.name,
        "stage": factory.stage,
        "state": factory.state,
        "runner": factory.pid,
        "workers": sum(pool_spec.processes for pool_spec in spec.pool_specs) if spec else 0,
        "built": stamp(spec.built_at) if spec else None,
        "plan": spec.plan if spec else None,
    }


def describe(factory: Factory) -> dict[str, Any]:
    """The summary of a stage with its files and its bots: queue depths, successors, whether they take jobs."""
    folder, spec = factory.folder, factory.spec
    pools = {(pool.sector, pool.bot): pool for pool in factory.status.pools} if factory.status else {}
    pool_specs = spec.pool_specs if spec else ()
    depths: Mapping[str, Depth] = {}
    if pool_specs and has_queues(folder):
        with open_queues(folder) as queues:
            depths = queues.history.depths({pool_spec.queue for pool_spec in pool_specs})
    return {
        **summary(factory),
        "folder": str(folder.path),
        "logs": str(folder.logs),
        "trouble": factory.status.trouble if factory.status else None,
        "bots": [
            {
                "sector": pool_spec.sector,
                "bot": pool_spec.bot,
                "open": bool(factory.pid and pool and pool.open),
                "broken": pool.broken if pool else None,
                "workers": pool_spec.processes,
                "queue": pool_spec.queue,
                "depth": asdict(depths.get(pool_spec.queue, Depth(0, 0, 0, 0))),
                "next": [successor.bot for successor in pool_spec.successors],
                "runs": _runs(pool_spec.start),
                "folder": pool_spec.folder,
                "python": pool_spec.python,
            }
            for pool_spec in pool_specs
            for pool in (pools.get((pool_spec.sector, pool_spec.bot)),)
        ],
    }


def _runs(start: Start) -> str | list[str]:
    """What a worker is told to be: `module:attribute`, or a program and its arguments."""
    return start.words[0] if start.mode == "target" else list(start.words)


def _row(factory: Factory, worker: WorkerStatus, now: float) -> dict[str, Any]:
    lives = factory.pid is not None
    return {
        "factory": factory.name,
        "stage": factory.stage,
        "sector": worker.sector,
        "bot": worker.bot,
        "worker": worker.worker,
        "pid": worker.pid if lives else None,
        "state": worker.state if lives else "gone",
        "uptime": round(now - worker.started_at, 3) if lives and worker.pid else 0.0,
        "restarts": worker.restarts,
        "done": worker.done,
        "failed": worker.failed,
        "in_hand": worker.in_hand if lives else 0,
        "status": worker.status if lives else None,
    }
