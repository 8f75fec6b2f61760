"""Opening the queues of a location: the one place that knows which engine that takes, and imports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.client import ClientQueues
from factory_cdk.queues.port import RunnerQueues
from factory_cdk.queues.runs import Runs


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """Queues in the SQLite file `database`. `shared`: more than one runner may have them open."""

    database: Path
    shared: bool = False


@dataclass(frozen=True, eq=False)
class MemoryLocation:
    """Queues in the memory of this process, others for every location that is made: to try things, nothing is kept."""


@dataclass(frozen=True, slots=True)
class QueueNames:
    """What a queue of the plan is called in SQS, and its dead-letter queue; None for one to which is sent only."""

    queue: str
    dead_letters: str | None = None


@dataclass(frozen=True)
class SqsLocation:
    """Queues in SQS in one region. `queues` has the names there of each queue of the plan, `bucket` keeps what is too
    large for a message, `table` is the DynamoDB table of the history, None for a stage without one; a job that is final
    is forgotten `keep` seconds later. Endpoints and credentials are those that every AWS tool finds.
    """

    region: str
    queues: Mapping[str, QueueNames]
    bucket: str
    table: str | None = None
    keep: float = 14 * 86_400.0


Location = SqliteLocation | MemoryLocation | SqsLocation


def account_id(region: str) -> str:
    """The account of the credentials that are found here, asked in `region`. FactoryError."""
    from factory_cdk.queues.sqs.account import account_of  # noqa: PLC0415 - imports boto3

    return account_of(region)


def open_runs(location: Location) -> Runs:
    """The runs of the stage whose queues are at `location`. FactoryError where there are none."""
    if not isinstance(location, SqliteLocation):
        raise FactoryError("runs of steps need a stage whose sectors are all local", "build one, and run it there")
    from factory_cdk.queues.sqlite.run_client import open_sqlite_runs  # noqa: PLC0415 - the engine in use alone

    return open_sqlite_runs(location.database)


class Queues(RunnerQueues, ClientQueues, Protocol):
    """Open queues, for one runner or one client, and one thread. What blocks is not to be called while something that
    suspends is under way.
    """


def open_queues(location: Location, *, create: bool = True) -> Queues:
    """The queues at `location`, made if need be (on AWS the stage's templates make them). FactoryError; DamagedError
    without `create` when they, or a part of them, are not there.
    """
    match location:
        case SqliteLocation():
            from factory_cdk.queues.sqlite.engine import open_sqlite  # noqa: PLC0415 - the engine in use alone

            return open_sqlite(location.database, shared=location.shared, create=create)
        case MemoryLocation():
            from factory_cdk.queues.memory import open_memory  # noqa: PLC0415 - the engine in use alone

            return open_memory(location)
        case SqsLocation():
            from factory_cdk.queues.sqs.engine import open_sqs  # noqa: PLC0415 - the engine in use alone

            return open_sqs(location)
