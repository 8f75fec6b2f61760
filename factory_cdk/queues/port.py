"""The port of the queues: what every engine promises to a runner, and what a job is on its way through it.

An engine holds all queues of one stage of one factory and addresses them by the queue names of the plan.
Delivery is at least once: a lease that is neither settled nor extended before its deadline makes the job ready
again, with its attempt counted. Nothing that `send` has returned for is ever lost. What clients may do is in
client.py, and opening.py opens the engine of a location.

What is made anew at every step of every job is a named tuple: as frozen as a dataclass and made in a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json


class DamagedError(FactoryError):
    """The queues themselves are damaged, or not there: trying again is of no use."""


class UnstorableError(FactoryError):
    """One value can never be stored, for what it is: trying again is of no use, the queues themselves are well."""


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
class Depth:
    """How many jobs of a queue are ready, delayed, leased and dead."""

    ready: int
    delayed: int
    leased: int
    dead: int


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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do that others cannot. Seconds and bytes; None: there is no limit.

    `atomic`: a job is acknowledged, its forwards are sent and the next jobs are leased in one transaction, so that
    nothing is ever forwarded twice. `ordered`: a queue gives its jobs in the order in which they were sent.
    `exact_depths`: depths are counted, not estimated. `exclusive_runner`: one runner alone has the queues, so that a
    new one may `reclaim` what the last one had in hand. `history`: what became of the jobs is kept, so that a job that
    was seen is recognised; without it a job may be done and sent on twice, and the history tells depths and dead
    letters alone. `expires`: it forgets old jobs by itself, and `purge` does nothing. `look_every` is for how many
    seconds it is best left alone by who waits for outcomes. `largest_payload` is in bytes of JSON.
    """

    atomic: bool
    ordered: bool
    exact_depths: bool
    exclusive_runner: bool
    history: bool
    expires: bool
    look_every: float
    longest_lease: float | None
    longest_delay: float | None
    largest_payload: int | None


class Subscription(Protocol):
    """Wake-ups that somebody has asked for."""

    def close(self) -> None:
        """No more wake-ups; closing twice is allowed."""


class RunnerQueues(Protocol):
    """The queues as a runner uses them, on its event loop, which no call may hold up: what has to wait for a disk, a
    lock or a network suspends. FactoryError, with a remedy, when the engine cannot be reached or written (full disk,
    read-only, throttled for longer than its own retries); DamagedError when that will not change by itself.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    async def settle_and_claim(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle every job of `settled`, send its forwards, then lease what is `wanted`, the forwards just sent
        included: all or nothing where the engine is `atomic`.

        Answers whether each settled lease was still held (one that was lost sends nothing), and the new leases in the
        order of `wanted`, oldest first within a queue. `wanted` names a queue once at most; a job that was just sent
        comes back as it was given. Fewer may come than there are: an engine that was held up for longer than a quarter
        of a lease leases nothing, and wakes its subscribers, for a runner has to extend first what it has in hand.

        UnstorableError, and nothing done, when one value can never be stored.
        """

    def unstorable(self, settled: Finished | Failed) -> str | None:
        """Why `settled` can never be stored (its result is not JSON, or too large), in words; None when it can be."""

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of `leases` to `seconds` from now; returns those still held, renewed. One that is missing
        from the answer was lost to another holder, or settled meanwhile.
        """

    async def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Put jobs back at their places, ready at once, without counting the attempt; answers for each whether its
        lease was still held.
        """

    async def reclaim(self) -> int:
        """Make every leased job ready at once, the attempt counted as failed; answers how many there were.

        For a runner that starts, where the engine has an `exclusive_runner`: whoever leased these jobs is dead, and
        nobody need wait for the leases to end. A holder that lived after all loses its leases as if they had ended.
        """

    def subscribe(self, queues: Iterable[str], notify: Callable[[], None]) -> Subscription:
        """Call `notify` on the running loop soon after jobs may have become ready in one of `queues`, until the
        subscription is closed. What this engine object settles and forwards itself need not wake it: its caller asks
        for it in the same step. A wake-up may be missed, or be for nothing: delays and leases end without one.
        """

    def close(self) -> None:
        """Let go of files and connections; leases stay until their deadlines."""
