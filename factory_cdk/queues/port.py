"""The Queue port: what every queue engine promises (SQLite here, SQS there, one contract).

An engine holds all queues of one stage of one factory and addresses them by the queue names of the plan.
Delivery is at least once: a lease that is neither finished nor failed before its deadline makes the job ready
again, with its attempt counted. Nothing that `send` has returned for is ever lost.

What is made anew at every step of every job is a named tuple: as frozen as a dataclass and made in a third of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from factory_cdk.plan.model import Json


class Job(NamedTuple):
    """One job for one bot. `id` is unique for ever; a successor's id is derived from its parent's id and the
    edge, so that a redelivery is recognised. `run` is the id of the submission that it descends from,
    `attempt` counts from 1, `payload` is JSON of any kind.
    """

    id: str
    bot: str
    payload: Json
    run: str
    parent: str | None = None
    attempt: int = 1
    tags: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: the exception's type, message and traceback as text, and which attempt it was."""

    type: str
    message: str
    traceback: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class Lease(NamedTuple):
    """A job in hand. `token` is random per delivery: a stale lease can do nothing. `deadline` is in seconds
    since the epoch on the engine's clock.
    """

    job: Job
    queue: str
    token: str
    deadline: float


class Forward(NamedTuple):
    """A job to send to a successor's queue in the same step that acknowledges its parent."""

    queue: str
    job: Job


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that will not be tried again by itself, with every failure it had, oldest first."""

    job: Job
    queue: str
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of a queue are ready, delayed, leased and dead."""

    ready: int
    delayed: int
    leased: int
    dead: int


class Queues(Protocol):
    """A queue engine. Every method raises FactoryError, with a remedy, when the engine cannot be reached or
    written (full disk, read-only, throttled for longer than its own retries).
    """

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Make `jobs` durable; they are ready after `delay` seconds. Returns when they are on disk (or held
        by SQS). Sending a job whose id the queue has seen is a no-op.
        """

    def receive(self, queue: str, n: int, *, lease: float, wait: float = 0.0) -> list[Lease]:
        """Up to `n` ready jobs, oldest first, each leased for `lease` seconds; waits up to `wait` seconds for
        the first one and returns an empty list when none came.
        """

    def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of `leases` to `seconds` from now; returns those still held, renewed. One that
        is missing from the answer was lost to another holder.
        """

    def finish(self, lease: Lease, forwards: Sequence[Forward], result: Json = None) -> bool:
        """Acknowledge the job as a success and send `forwards`, in one atomic step where the engine can.
        False, and nothing sent, when the lease was lost.
        """

    def fail(self, lease: Lease, failure: Failure, *, delay: float | None) -> bool:
        """Record the failure; ready again after `delay` seconds as the next attempt, or a dead letter when
        `delay` is None. False when the lease was lost.
        """

    def release(self, lease: Lease) -> bool:
        """Put the job back, ready at once, without counting the attempt (cold termination)."""

    def dead_letters(self, queue: str, n: int) -> list[DeadLetter]:
        """Up to `n` dead letters of `queue`, oldest first."""

    def depth(self, queue: str) -> Depth:
        """How many jobs are in `queue`; exact for SQLite, approximate for SQS."""

    def close(self) -> None:
        """Let go of files and connections; leases stay until their deadlines."""


class Outcome(StrEnum):
    """How a job ended. `dead` and `cancelled` jobs can be retried; `success` is for ever."""

    SUCCESS = "success"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Finished(NamedTuple):
    """A job in hand that succeeded: what to send to its successors, and its result."""

    lease: Lease
    forwards: Sequence[Forward] = ()
    result: Json = None


class Failed(NamedTuple):
    """A job in hand whose attempt failed: ready again `delay` seconds from now, a dead letter if None."""

    lease: Lease
    failure: Failure
    delay: float | None


class Wanted(NamedTuple):
    """A request for up to `n` jobs of `queue`, each leased for `lease` seconds."""

    queue: str
    n: int
    lease: float


@runtime_checkable
class Exchange(Protocol):
    """An engine that settles many jobs and claims the next ones in a single transaction."""

    def exchange(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle every job of `settled`, send its forwards, then claim what is `wanted` (the forwards just
        sent included), all or nothing. Answers whether each settled lease was still held (a lost one sends
        nothing), and the new leases in the order of `wanted`, oldest first within a queue. `wanted` names a queue
        once at most; a job that was just sent comes back as it was given.
        """


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What is known of a job, live or final.

    `outcome` is None while the job is ready, delayed or leased; `state` names which (`ready`, `delayed`,
    `leased`), or repeats the outcome. `attempts` counts the attempts begun, those before a retry included.
    Times are seconds since the epoch on the wall clock: `enqueued`, `first_started` (first attempt), `started`
    (last attempt), `finished`. `cursor` grows with every outcome of the database; a watcher hands the last
    one that it saw back. It is None while the job is live.
    """

    job: Job
    queue: str
    state: str
    outcome: Outcome | None
    attempts: int
    result: Json
    failures: tuple[Failure, ...]
    enqueued: float
    first_started: float | None
    started: float | None
    finished: float | None
    cursor: int | None
