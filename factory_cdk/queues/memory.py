"""Queues in the memory of this process: the same promises, in a few lines, and nothing is kept.

For dry runs, and for tests of what stands on the port. Values are held as JSON text, as other engines hold them.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from weakref import WeakKeyDictionary

from factory_cdk.queues.client import BotStatistics, FailedAttempt, Search, bot_statistics
from factory_cdk.queues.opening import MemoryLocation
from factory_cdk.queues.port import (
    Capabilities,
    Depth,
    Failed,
    Failure,
    Finished,
    Job,
    JobRecord,
    Lease,
    Outcome,
    UnstorableError,
    Wanted,
)
from factory_cdk.queues.values import decode, encode
from factory_cdk.worker.size import LARGEST_PAYLOAD

CAPABILITIES = Capabilities(
    atomic=True,
    ordered=True,
    exact_depths=True,
    exclusive_runner=True,
    history=True,
    expires=False,
    look_every=0.05,
    longest_lease=None,
    longest_delay=None,
    largest_payload=LARGEST_PAYLOAD,
)

Clock = Callable[[], float]


@dataclass(slots=True)
class Entry:
    """One job, whose payload is in `payload` as JSON. `place` is its place in the order of sending, `due` when it is
    ready, or until when it is leased (then `token` is set); None once it is final.
    """

    job: Job
    queue: str
    payload: str
    place: int
    enqueued: float
    due: float | None
    attempt: int
    token: str | None = None
    earlier: int = 0
    outcome: Outcome | None = None
    cursor: int | None = None
    result: str | None = None
    failures: list[Failure] = field(default_factory=list)
    first_started: float | None = None
    started: float | None = None
    finished: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is ready, or its delay or lease has ended."""
        return self.due is not None and self.due <= now

    def state(self, now: float) -> str:
        """Its state, as `JobRecord` names it."""
        if self.outcome is not None:
            return str(self.outcome)
        return "ready" if self.is_due(now) else "leased" if self.token else "delayed"

    def end(self, outcome: Outcome, cursor: int, now: float) -> None:
        """It is final."""
        self.outcome, self.cursor, self.finished, self.due, self.token = outcome, cursor, now, None, None

    @property
    def attempts(self) -> int:
        """How many attempts were begun."""
        return self.earlier + self.attempt - (self.outcome is None and self.token is None)

    def as_job(self) -> Job:
        """The job as it is handed out."""
        return self.job._replace(payload=decode(self.payload), attempt=self.attempt)

    def as_record(self, now: float) -> JobRecord:
        """What is known of it."""
        return JobRecord(
            job=self.as_job(),
            queue=self.queue,
            state=self.state(now),
            outcome=self.outcome,
            attempts=self.attempts,
            result=None if self.result is None else decode(self.result),
            failures=tuple(self.failures),
            enqueued=self.enqueued,
            first_started=self.first_started,
            started=self.started,
            finished=self.finished,
            cursor=self.cursor,
        )


class Store:
    """The jobs of one location, by id in the order of sending; `lock` is held while they are read or changed."""

    def __init__(self, clock: Clock = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.jobs: dict[str, Entry] = {}
        self.failed: list[tuple[str, Failure]] = []
        self.subscriptions: list[MemorySubscription] = []
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The next number of the counter that orders everything."""
        return next(self._numbers)

    def add(self, queue: str, job: Job, payload: str, due: float) -> bool:
        """Whether `job` was sent: False when its id is known."""
        if job.id in self.jobs:
            return False
        own = job._replace(payload=None, tags=dict(job.tags))
        self.jobs[job.id] = Entry(own, queue, payload, self.number(), self.clock(), due, job.attempt)
        return True

    def of_queue(self, queue: str) -> list[Entry]:
        """The jobs of `queue`, in the order of sending."""
        return [entry for entry in self.jobs.values() if entry.queue == queue]

    def held(self, lease: Lease) -> Entry | None:
        """The job of `lease`, if that is still held."""
        entry = self.jobs.get(lease.job.id)
        return entry if entry is not None and lease.token and entry.token == lease.token else None

    def fail(self, entry: Entry, failure: Failure) -> None:
        """An attempt has failed."""
        entry.failures.append(failure)
        self.failed.append((entry.job.id, failure))

    def take_back(self, entry: Entry, failure: Failure) -> None:
        """Make a delayed or leased job ready; of a leased one the attempt counts, and failed."""
        if entry.token is not None:
            self.fail(entry, replace(failure, attempt=entry.attempt))
            entry.attempt += 1
        entry.due, entry.token = 0.0, None

    def claim(self, want: Wanted) -> list[Lease]:
        """Lease what is ready, oldest first."""
        now = self.clock()
        due = [entry for entry in self.of_queue(want.queue) if entry.is_due(now)] if want.n > 0 else []
        for entry in due:
            gone = "the worker or its runner went away before the job was done"
            self.take_back(entry, Failure("LeaseExpired", gone, "", 0))
        leases = []
        for entry in due[: want.n]:
            entry.token, entry.due, entry.started = secrets.token_hex(16), now + want.lease, now
            entry.first_started = now if entry.first_started is None else entry.first_started
            leases.append(Lease(entry.as_job(), want.queue, entry.token, entry.due))
        return leases

    def wake(self, queues: Iterable[str], sender: object = None) -> None:
        """Tell who has subscribed to `queues`, but for `sender`, who knows."""
        named = set(queues)
        for subscription in list(self.subscriptions):
            if subscription.owner is not sender and named & subscription.queues:
                subscription.wake()


_stores: WeakKeyDictionary[MemoryLocation, Store] = WeakKeyDictionary()


def open_memory(location: MemoryLocation) -> MemoryQueues:
    """The queues of `location`; whoever has that opens the same."""
    return MemoryQueues(_stores.setdefault(location, Store()))


class MemoryQueues:
    """The queues in `store`; `port.RunnerQueues` and `client.ClientQueues` say what each method promises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.capabilities = CAPABILITIES
        self.history = MemoryHistory(store)

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Keep `jobs`, ready after `delay` seconds."""
        encoded = [(job, encode(job.payload, "payload", job.id)) for job in jobs]
        with self._store.lock:
            due = self._store.clock() + delay if delay > 0 else 0.0
            for job, payload in encoded:
                self._store.add(queue, job, payload, due)
            self._store.wake((queue,))

    async def settle_and_claim(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle, forward and claim while nobody else does anything."""
        encoded = [_encode(one) for one in settled]
        with self._store.lock:
            held = [self._settle(one, result) for one, (result, _) in zip(settled, encoded, strict=True)]
            left = {
                one.lease.queue for one, done in zip(settled, held, strict=True) if done and isinstance(one, Failed)
            }
            for one, done, (_, payloads) in zip(settled, held, encoded, strict=True):
                if done and isinstance(one, Finished):
                    for forward, payload in zip(one.forwards, payloads, strict=True):
                        self._store.add(forward.queue, forward.job, payload, 0.0)
                        left.add(forward.queue)
            leases = [lease for want in wanted for lease in self._store.claim(want)]
            self._store.wake(left, self)
        return held, leases

    def unstorable(self, settled: Finished | Failed) -> str | None:
        """Why `settled` can never be stored; None when it can be."""
        try:
            _encode(settled)
        except UnstorableError as error:
            return error.message
        return None

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of the leases that are held."""
        renewed = []
        with self._store.lock:
            deadline = self._store.clock() + seconds
            for lease in leases:
                if entry := self._store.held(lease):
                    entry.due = deadline
                    renewed.append(lease._replace(deadline=deadline))
        return renewed

    async def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Put jobs back at their places."""
        with self._store.lock:
            entries = [self._store.held(lease) for lease in leases]
            for entry in entries:
                if entry is not None:
                    entry.due, entry.token = 0.0, None
            self._store.wake((entry.queue for entry in entries if entry is not None), self)
        return [entry is not None for entry in entries]

    async def reclaim(self) -> int:
        """End every lease."""
        with self._store.lock:
            leased = [entry for entry in self._store.jobs.values() if entry.token is not None]
            for entry in leased:
                gone = "its runner died while it had the job in hand"
                self._store.take_back(entry, Failure("RunnerDied", gone, "", 0))
        return len(leased)

    def subscribe(self, queues: Iterable[str], notify: Callable[[], None]) -> MemorySubscription:
        """Call `notify` on the running loop when others leave jobs in `queues`."""
        subscription = MemorySubscription(self._store, self, frozenset(queues), notify)
        self._store.subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _settle(self, settled: Finished | Failed, result: str) -> bool:
        store = self._store
        entry = store.held(settled.lease)
        if entry is None:
            return False
        now = store.clock()
        if isinstance(settled, Finished):
            entry.result = result
            entry.end(Outcome.SUCCESS, store.number(), now)
            return True
        store.fail(entry, settled.failure)
        if settled.delay is None:
            entry.end(Outcome.DEAD, store.number(), now)
        else:
            entry.due, entry.token = now + settled.delay if settled.delay > 0 else 0.0, None
            entry.attempt += 1
        return True


class MemorySubscription:
    """Wake-ups for `owner`, who has asked for those of `queues`."""

    def __init__(self, store: Store, owner: MemoryQueues, queues: frozenset[str], notify: Callable[[], None]) -> None:
        self.owner, self.queues = owner, queues
        self._store, self._notify = store, notify
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Call, from whatever thread, what is to be called on the loop."""
        self._loop.call_soon_threadsafe(self._notify)

    def close(self) -> None:
        """No more wake-ups; closing twice is allowed."""
        with self._store.lock:
            if self in self._store.subscriptions:
                self._store.subscriptions.remove(self)


class MemoryHistory:
    """What became of the jobs in a store; see `client.History` for what each method promises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def job(self, job_id: str) -> JobRecord | None:
        """The job of that id."""
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            return entry.as_record(self._store.clock()) if entry else None

    def find(self, search: Search, n: int = -1) -> list[JobRecord]:
        """Jobs, the last to be sent first."""
        found = self._records(lambda entry: self._is_meant(entry, search))[::-1]
        return found if n < 0 else found[:n]

    def ids(self, search: Search) -> list[str]:
        """Ids, in the order of sending."""
        return [record.job.id for record in self._records(lambda entry: self._is_meant(entry, search))]

    def outcomes(self, run: str, *, after: int = 0, n: int = 1000) -> list[JobRecord]:
        """Jobs of `run` that became final after the cursor `after`."""
        found = self._records(lambda entry: entry.job.run == run and (entry.cursor or 0) > after)
        return sorted(found, key=_cursor)[:n]

    def remaining(self, run: str) -> int:
        """How many jobs of `run` are not final."""
        return len(self._records(lambda entry: entry.job.run == run and entry.outcome is None))

    def in_hand(self) -> list[JobRecord]:
        """Every job that is leased, the first to be begun first."""
        found = self._records(lambda entry: entry.token is not None)
        return sorted(found, key=lambda record: record.started or 0.0)

    def dead_letters(self, queue: str, n: int) -> list[JobRecord]:
        """Dead letters of `queue`, the first to die first."""
        found = self._records(lambda entry: entry.queue == queue and entry.outcome is Outcome.DEAD)
        return sorted(found, key=_cursor)[: max(0, n)]

    def last_failures(self, n: int) -> list[FailedAttempt]:
        """The last `n` attempts that failed, the newest first."""
        with self._store.lock:
            known = [(self._store.jobs[job_id], failure) for job_id, failure in self._store.failed[::-1]]
        return [
            FailedAttempt(entry.job.id, entry.job.bot, entry.outcome is Outcome.DEAD, failure)
            for entry, failure in known[:n]
        ]

    def statistics(self, search: Search) -> list[BotStatistics]:
        """How the jobs went, bot by bot."""
        bots: dict[str, list[JobRecord]] = {}
        for record in self._records(lambda entry: self._is_meant(entry, search)):
            bots.setdefault(record.job.bot, []).append(record)
        return [bot_statistics(bot, records) for bot, records in bots.items()]

    def depths(self, queues: Iterable[str] | None = None) -> dict[str, Depth]:
        """The depth of each queue."""
        with self._store.lock:
            kept = (entry for entry in self._store.jobs.values() if entry.outcome in (None, Outcome.DEAD))
            named = sorted({entry.queue for entry in kept}) if queues is None else list(queues)
            return {queue: self._depth(queue) for queue in named}

    def cancel(self, ids: Sequence[str]) -> list[bool]:
        """Make live jobs final."""
        with self._store.lock:
            return [self._cancel(job_id) for job_id in ids]

    def cancel_queue(self, queue: str) -> int:
        """Cancel every live job of `queue`."""
        with self._store.lock:
            return sum(self._cancel(entry.job.id) for entry in self._store.of_queue(queue))

    def retry(self, ids: Sequence[str]) -> list[bool]:
        """Make dead and cancelled jobs ready again."""
        with self._store.lock:
            return [self._retry(job_id) for job_id in ids]

    def purge(self, keep: float, *, n: int = 1000) -> int:
        """Forget old jobs that are final and no dead letters."""
        with self._store.lock:
            before = self._store.clock() - keep
            ended = sorted(
                (entry for entry in self._store.jobs.values() if entry.cursor is not None),
                key=lambda entry: entry.cursor or 0,
            )
            old = list(itertools.takewhile(lambda entry: (entry.finished or 0.0) < before, ended))
            gone = [entry.job.id for entry in old if entry.outcome is not Outcome.DEAD][:n]
            for job_id in gone:
                del self._store.jobs[job_id]
            self._store.failed = [one for one in self._store.failed if one[0] in self._store.jobs]
        return len(gone)

    def sweep(self) -> int:
        """No killed process leaves anything behind."""
        return 0

    def _records(self, is_meant: Callable[[Entry], bool]) -> list[JobRecord]:
        with self._store.lock:
            now = self._store.clock()
            return [entry.as_record(now) for entry in self._store.jobs.values() if is_meant(entry)]

    def _is_meant(self, entry: Entry, search: Search) -> bool:
        job = entry.job
        return (
            search.bot in (None, job.bot)
            and (not search.states or entry.state(self._store.clock()) in search.states)
            and all(job.tags.get(key) == value for key, value in search.tags.items())
            and search.run in (None, job.run)
            and search.parent in (None, job.parent)
            and (search.id is None or job.id.startswith(search.id))
            and (search.since is None or entry.enqueued >= search.since)
            and (search.until is None or entry.enqueued < search.until)
        )

    def _depth(self, queue: str) -> Depth:
        now = self._store.clock()
        states = [entry.state(now) for entry in self._store.of_queue(queue)]
        return Depth(*(states.count(state) for state in ("ready", "delayed", "leased", "dead")))

    def _cancel(self, job_id: str) -> bool:
        entry = self._store.jobs.get(job_id)
        if entry is None or entry.outcome is not None:
            return False
        entry.attempt -= entry.token is None
        entry.end(Outcome.CANCELLED, self._store.number(), self._store.clock())
        return True

    def _retry(self, job_id: str) -> bool:
        entry = self._store.jobs.get(job_id)
        if entry is None or entry.outcome not in (Outcome.DEAD, Outcome.CANCELLED):
            return False
        entry.outcome, entry.cursor, entry.finished, entry.due = None, None, None, 0.0
        entry.earlier, entry.attempt = entry.earlier + entry.attempt, 1
        self._store.wake((entry.queue,))
        return True


def _encode(settled: Finished | Failed) -> tuple[str, list[str]]:
    """The result and the payloads of the forwards."""
    if isinstance(settled, Failed):
        return "", []
    result = encode(settled.result, "result", settled.lease.job.id)
    return result, [encode(forward.job.payload, "payload", forward.job.id) for forward in settled.forwards]


def _cursor(record: JobRecord) -> int:
    return record.cursor or 0
