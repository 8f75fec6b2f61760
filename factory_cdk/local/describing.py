"""Built stages and their workers as plain rows, for tables and JSON."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from factory_cdk.local.logs import stamp
from factory_cdk.local.stagequeues import has_queues, open_queues
from factory_cdk.local.standing import Factory
from factory_cdk.local.status import WorkerStatus
from factory_cdk.queues.port import Depth


def workers(factories: Iterable[Factory]) -> list[dict[str, Any]]:
    """One row per worker: factory, stage, sector, bot, worker, pid, state, uptime in seconds, restarts, done,
    failed, in_hand. The workers of a runner that is gone are `gone`, without a pid.
    """
    now = time.time()
    return [_row(factory, worker, now) for factory in factories if factory.status for worker in factory.status.workers]


def summary(factory: Factory) -> dict[str, Any]:
    """One row for a stage: factory, stage, standing, runner (its pid), workers, built (when), plan."""
    roster = factory.roster
    return {
        "factory": factory.name,
        "stage": factory.stage,
        "standing": factory.standing,
        "runner": factory.pid,
        "workers": sum(posting.processes for posting in roster.postings) if roster else 0,
        "built": stamp(roster.built_at) if roster else None,
        "plan": roster.plan if roster else None,
    }


def describe(factory: Factory) -> dict[str, Any]:
    """The summary of a stage with its files and its bots: queue depths, successors, whether they take jobs."""
    state, roster = factory.state, factory.roster
    crews = {(crew.sector, crew.bot): crew for crew in factory.status.crews} if factory.status else {}
    postings = roster.postings if roster else ()
    depths: Mapping[str, Depth] = {}
    if postings and has_queues(state):
        with open_queues(state) as queues:
            depths = queues.history.depths({posting.queue for posting in postings})
    return {
        **summary(factory),
        "state": str(state.folder),
        "logs": str(state.logs),
        "trouble": factory.status.trouble if factory.status else None,
        "bots": [
            {
                "sector": posting.sector,
                "bot": posting.bot,
                "open": bool(factory.pid and crew and crew.open),
                "broken": crew.broken if crew else None,
                "workers": posting.processes,
                "queue": posting.queue,
                "depth": asdict(depths.get(posting.queue, Depth(0, 0, 0, 0))),
                "next": [successor.bot for successor in posting.successors],
                "runs": posting.target or list(posting.command or ()),
                "folder": posting.folder,
                "python": posting.python,
            }
            for posting in postings
            for crew in (crews.get((posting.sector, posting.bot)),)
        ],
    }


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
