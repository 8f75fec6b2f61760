"""The port of the queues, the clients' side: jobs are sent, followed, looked up, retried and cancelled.

All of it blocks until it is done, and raises FactoryError, with a remedy, as the runner's side does (port.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from factory_cdk.queues.port import Capabilities, Depth, Failure, Job, JobRecord, Outcome

STATES = ("ready", "delayed", "leased", "success", "dead", "cancelled")
"""What the state of a job can be, the live ones first; see `port.JobRecord`."""


@dataclass(frozen=True, slots=True)
class Search:
    """Jobs for which everything holds that is given: of `bot`, state in one of `states`, with all of `tags`, of
    `run`, with the parent `parent`, with an id that starts with `id`, and sent at or after `since` and before
    `until` (seconds since the epoch on the wall clock).
    """

    bot: str | None = None
    states: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    parent: str | None = None
    id: str | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed: whose it was, and whether the job is a dead letter now."""

    job: str
    bot: str
    dead: bool
    failure: Failure


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds: half and 95 % of the values are at most `p50` and `p95` (nearest rank), all at most `max`."""

    p50: float
    p95: float
    max: float


def spread(values: Sequence[float]) -> Spread | None:
    """How `values` are spread; None of no values."""
    if not values:
        return None
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Spread(rank(0.5), rank(0.95), ordered[-1])


@dataclass(frozen=True, slots=True)
class BotStatistics:
    """The jobs of one bot. `failures` counts failed attempts, `attempts` all that were begun. `waiting` is from
    being sent to the first attempt, `processing` the last attempt of jobs that are done or dead, both on the wall
    clock and in seconds; None where there are no values.
    """

    bot: str
    count: int
    success: int
    dead: int
    cancelled: int
    live: int
    attempts: int
    failures: int
    waiting: Spread | None
    processing: Spread | None


def bot_statistics(bot: str, records: Sequence[JobRecord]) -> BotStatistics:
    """How the jobs of `bot` went, of which `records` are all."""
    ended = [record.outcome for record in records]
    waited = [max(0.0, one.first_started - one.enqueued) for one in records if one.first_started is not None]
    processed = [
        max(0.0, one.finished - one.started)
        for one in records
        if one.outcome in (Outcome.SUCCESS, Outcome.DEAD) and one.finished is not None and one.started is not None
    ]
    return BotStatistics(
        bot,
        len(records),
        success=ended.count(Outcome.SUCCESS),
        dead=ended.count(Outcome.DEAD),
        cancelled=ended.count(Outcome.CANCELLED),
        live=ended.count(None),
        attempts=sum(record.attempts for record in records),
        failures=sum(len(record.failures) for record in records),
        waiting=spread(waited),
        processing=spread(processed),
    )


class History(Protocol):
    """What became of the jobs: the outcome, result, failures and times of every job that the queues have seen and not
    purged.
    """

    def job(self, job_id: str) -> JobRecord | None:
        """The job of that id, or None when the queues have not seen it (or have purged it)."""

    def find(self, search: Search, n: int = -1) -> list[JobRecord]:
        """Up to `n` jobs (all when it is negative) that `search` means, the last to be sent first."""

    def ids(self, search: Search) -> list[str]:
        """The ids of all jobs that `search` means, in the order in which they were sent."""

    def outcomes(self, run: str, *, after: int = 0, n: int = 1000) -> list[JobRecord]:
        """Up to `n` jobs of `run` that became final after the cursor `after`, in the order in which they did.
        Hand the last record's `cursor` back to go on. A job that is retried becomes final again.
        """

    def remaining(self, run: str) -> int:
        """How many jobs of `run` are not final yet. When it is 0 after `send`, the run is complete."""

    def in_hand(self) -> list[JobRecord]:
        """Every job that is leased, the first to be begun first."""

    def dead_letters(self, queue: str, n: int) -> list[JobRecord]:
        """Up to `n` dead letters of `queue`, the first to die first."""

    def last_failures(self, n: int) -> list[FailedAttempt]:
        """The last `n` attempts that failed, the newest first."""

    def statistics(self, search: Search) -> list[BotStatistics]:
        """How the jobs that `search` means went, bot by bot, in the order of each bot's first job."""

    def depths(self, queues: Iterable[str] | None = None) -> dict[str, Depth]:
        """The depth of each queue, by name; of every queue with jobs when none are named. What is due counts as
        ready.
        """

    def cancel(self, ids: Sequence[str]) -> list[bool]:
        """Make jobs final before they are done; answers for each whether it was still live. Who has one in hand loses
        the lease.
        """

    def cancel_queue(self, queue: str) -> int:
        """Cancel every live job of `queue`; answers how many there were."""

    def retry(self, ids: Sequence[str]) -> list[bool]:
        """Make dead and cancelled jobs ready again, with all attempts before them and their failures kept;
        answers for each whether it was one. Returns when that is durable.
        """

    def purge(self, keep: float, *, n: int = 1000) -> int:
        """Forget up to `n` jobs that became final more than `keep` seconds ago, dead letters excepted, and free what
        they kept; answers how many. A purged job's id is not recognised any more. A clock that is set ahead by mistake
        makes nothing old.
        """

    def sweep(self) -> int:
        """Remove what killed processes left of payloads that no job has; answers how much there was."""


class ClientQueues(Protocol):
    """The queues as clients use them; a context that closes them."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    @property
    def history(self) -> History:
        """What became of the jobs."""

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Make `jobs` durable; they are ready after `delay` seconds. Sending a job whose id the queues have seen is a
        no-op. When it raises, some of many jobs may have been taken: sending all of them again is safe.
        """

    def close(self) -> None:
        """Let go of files and connections; leases stay until their deadlines."""

    def __enter__(self) -> Self:
        """These queues."""

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
