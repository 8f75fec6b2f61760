"""The runner's status: a file that it replaces when something changes, and that `ps` and others read.

The file says what was; that the runner lives is proved by its lock alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.locks import lock_holder
from factory_cdk.state.records import from_json
from factory_cdk.state.stage_folder import StageFolder

VERSION = 2


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker. `started_at` is in seconds since the epoch; `pid` None while it has no process; `status` is what
    its bot published last, until the job is over in which it did.
    """

    sector: str
    bot: str
    worker: int
    pid: int | None
    state: str
    started_at: float
    restarts: int
    done: int
    failed: int
    in_hand: int
    status: str | None = None


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The workers of one bot on one sector: whether it takes jobs, and why it was given up, if it was."""

    sector: str
    bot: str
    queue: str
    open: bool
    broken: str | None


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """What became of the spec that was asked for last, by its `request`: its pools are `starting`, the change is
    `done` (then `in_hand` jobs are finished by the pools from before), or it `failed`: `reason` says why and `log` is
    the end of the log of the worker that could not be made ready.
    """

    request: str
    outcome: str
    reason: str = ""
    log: str = ""
    in_hand: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What the runner said last. `gate` is `open`, `closed`, `closing`, `ending` or `ended`; `trouble` is what
    it cannot do at the moment (a full disk), or None; `lost_log_bytes` counts what logs could not take. `workers` has
    those of pools that are about to take over, or that were replaced and finish what they have in hand, too.
    """

    pid: int
    started_at: float
    gate: str
    request: str
    workers: tuple[WorkerStatus, ...] = ()
    pools: tuple[PoolStatus, ...] = ()
    trouble: str | None = None
    lost_log_bytes: int = 0
    lost_leases: int = 0
    update: UpdateStatus | None = None
    version: int = field(default=VERSION)


def status_as_json(status: Status) -> dict[str, Any]:
    """The plain mapping that `read_status` reads."""
    return asdict(status)


def write_status(folder: StageFolder, status: Status) -> None:
    """Replace what the runner of `folder` said last. FactoryError."""
    write_json(folder.status, status_as_json(status), durable=False)


def read_status(folder: StageFolder) -> Status | None:
    """What the runner of `folder` said last, or None when it has said nothing, or nothing sound."""
    try:
        content = read_json(folder.status)
        if not isinstance(content, dict) or content.get("version") != VERSION:
            return None
        status: Status = from_json(Status, content)
    except (FactoryError, ValueError):
        return None  # the runner says it anew with the next change
    return status


def runner_pid(folder: StageFolder) -> int | None:
    """The pid of the stage's runner, None when it does not run (0: it runs and has not said)."""
    return lock_holder(folder.runner_lock)
