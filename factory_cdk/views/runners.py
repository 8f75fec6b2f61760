"""Runners of other machines, as rows: what each said last into the table of its stage, and since when one is silent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from factory_cdk.state.logs import stamp
from factory_cdk.state.records import from_json
from factory_cdk.state.status import VERSION, Status

SILENT_AFTER = 180.0
"""Seconds without a word after which a runner, which says one a minute, has stopped answering."""

SILENT, OUTDATED, ENDED = "stopped answering", "of another version", "ended"


@dataclass(frozen=True, slots=True)
class RemoteRunner:
    """A runner on an instance: `state` is its gate, or SILENT, and `silent_since` when it said its last word then;
    `said` is in seconds since the epoch, `trouble` what it cannot do or waits for. `status` is None when it is of
    another version of this package.
    """

    sector: str
    region: str
    instance: str
    state: str
    said: float
    silent_since: str | None
    trouble: str | None
    status: Status | None

    @property
    def answers(self) -> bool:
        """Whether it is at work, as far as its last word tells."""
        return self.silent_since is None and self.state != ENDED


@dataclass(frozen=True, slots=True)
class RemoteWorker:
    """A worker of such a runner, as it was when that said so last; `uptime` in seconds, until now or until then."""

    sector: str
    region: str
    instance: str
    bot: str
    worker: int
    state: str
    uptime: float
    restarts: int
    done: int
    failed: int
    in_hand: int
    status: str | None


def remote_runners(items: Iterable[Mapping[str, Any]], now: float) -> list[RemoteRunner]:
    """One row for each item of a table, in the order of regions and sectors. What is no runner's is left out."""
    rows = [_runner(item, now) for item in items if {"sector", "region", "instance", "said", "status"} <= item.keys()]
    return sorted(rows, key=lambda row: (row.region, row.sector))


def remote_workers(runners: Iterable[RemoteRunner], now: float) -> list[RemoteWorker]:
    """One row for each worker of `runners`. Those of a runner that has stopped answering may do anything."""
    return [
        RemoteWorker(
            sector=runner.sector,
            region=runner.region,
            instance=runner.instance,
            bot=worker.bot,
            worker=worker.worker,
            state=worker.state if runner.silent_since is None else SILENT,
            uptime=max(0.0, (now if runner.answers else runner.said) - worker.started_at),
            restarts=worker.restarts,
            done=worker.done,
            failed=worker.failed,
            in_hand=worker.in_hand,
            status=worker.status,
        )
        for runner in runners
        if runner.status is not None
        for worker in runner.status.workers
    ]


def _runner(item: Mapping[str, Any], now: float) -> RemoteRunner:
    said = float(item["said"])
    status = _status(item["status"])
    ended = status is not None and status.gate == ENDED
    silent = not ended and now - said > SILENT_AFTER
    state = OUTDATED if status is None else status.gate
    return RemoteRunner(
        sector=item["sector"],
        region=item["region"],
        instance=item["instance"],
        state=SILENT if silent else state,
        said=said,
        silent_since=stamp(said) if silent else None,
        trouble=status.trouble if status else None,
        status=status,
    )


def _status(text: str) -> Status | None:
    try:
        content = json.loads(text)
        if content.get("version") != VERSION:
            return None
        status: Status = from_json(Status, content)
    except (ValueError, AttributeError, TypeError):
        return None
    return status
