"""The embedded queue engine: all queues of one local factory in one SQLite file, durable and shared.

Any number of processes may have the file open. Submitting returns when the jobs are on disk; what workers
settle is atomic and survives any process's death at once, and a power loss from the next sync on (what was
not synced is then done again, never lost). Not for network file systems: their locks and shared memory do
not hold what SQLite's write-ahead log needs.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.queues.doorbell import POLL_SECONDS, Doorbell, Ringer, bell_path
from factory_cdk.queues.port import (
    DeadLetter,
    Depth,
    Failed,
    Failure,
    Finished,
    Forward,
    Job,
    Lease,
    Outcome,
    Wanted,
)
from factory_cdk.queues.sqlite_bodies import Column, Encoded, Large, Sync
from factory_cdk.queues.sqlite_file import QueueFile
from factory_cdk.queues.sqlite_history import History, failures_of, next_cursor
from factory_cdk.queues.steady import Clock

_CHUNK = 500
"""Jobs per transaction of a long submission, so that workers get the lock in between."""

_SEND = """
INSERT INTO jobs (id, queue, bot, run, parent, tags, attempt, due, enqueued, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"""
_OVERDUE = "SELECT seq, token, attempt FROM jobs WHERE queue = ? AND due > 0 AND due <= ?"
_PROMOTE = "UPDATE jobs SET due = 0, token = NULL, attempt = ? WHERE seq = ?"
_CLAIM = """
UPDATE jobs SET token = lower(hex(randomblob(16))), due = ?1, started = ?2,
    first_started = coalesce(first_started, ?2)
WHERE seq IN (SELECT seq FROM jobs WHERE queue = ?3 AND due = 0 ORDER BY seq LIMIT ?4)
RETURNING seq, token, id, bot, payload, run, parent, attempt, tags"""
_FINISH = """
UPDATE jobs SET outcome = ?, final = ?, finished = ?, result = ?, due = NULL, token = NULL
WHERE seq = ? AND token = ?"""
_AGAIN = "UPDATE jobs SET due = ?, attempt = attempt + ?, token = NULL WHERE seq = ? AND token = ?"
_EXTEND = "UPDATE jobs SET due = ? WHERE seq = ? AND token = ?"
_FAILURE = "INSERT INTO failures (job, attempt, type, message, traceback) VALUES (?, ?, ?, ?, ?)"
_DEAD = """
SELECT seq, id, bot, payload, run, parent, attempt, tags FROM jobs
WHERE queue = ? AND outcome = 'dead' ORDER BY final LIMIT ?"""

_Row = tuple[str, str, str, str, str | None, str | None, int, float, float, Encoded]


class SqliteQueues:
    """The Queues of the database at `path`, made if need be; see `port.Queues` for what each method promises.

    For one thread. Every call is quick but `send`, which waits for the disk, and `receive` with `wait`.
    `clock` counts for leases and delays and `wall` stamps the history (seconds since the epoch); `sync` makes
    an open file durable. Raises FactoryError when the file cannot be opened or is of a newer version.
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, wall: Clock | None = None, sync: Sync | None = None
    ) -> None:
        self._file = QueueFile(path, clock=clock, wall=wall, sync=sync)
        self._bodies = self._file.bodies
        self._ringer = Ringer(self._file.paths.bells)
        self._bells: dict[str, Doorbell] = {}
        self.history = History(self._file, self._ringer)

    def now(self) -> float:
        """The engine's clock, in which `Lease.deadline` is counted: steady seconds since the epoch."""
        return self._file.clock()

    def doorbell(self, queue: str) -> Doorbell:
        """The bell of `queue`, to watch with an event loop; close it when done. What this engine settles and
        forwards itself does not ring it: its caller knows, and can ask for it in the same `exchange`.
        """
        bell = Doorbell(bell_path(self._file.paths.bells, queue))
        self._bells[queue] = bell
        return bell

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Make `jobs` durable, ready after `delay` seconds; those whose ids are known are left alone. When it
        raises, some of many jobs may have been taken: sending all of them again is safe.
        """
        memo = _Memo(self._file)
        remaining = iter(jobs)
        try:
            while chunk := list(itertools.islice(remaining, _CHUNK)):
                due = self._file.clock() + delay if delay > 0 else 0.0
                wall = self._file.wall()
                rows = [self._row(queue, job, due, wall, memo) for job in chunk]
                with self._file.writing():
                    self._insert(rows)
                memo.forget()
                self._ringer.ring((queue,))
            self._file.make_durable()
        finally:
            memo.forget()

    def receive(self, queue: str, n: int, *, lease: float, wait: float = 0.0) -> list[Lease]:
        """Up to `n` ready jobs, oldest first; without `wait` it answers at once."""
        wanted = (Wanted(queue, n, lease),)
        leases = self.exchange((), wanted)[1]
        if leases or wait <= 0 or n < 1:
            return leases
        deadline = time.monotonic() + wait
        with Doorbell(bell_path(self._file.paths.bells, queue)) as bell:
            while True:
                leases = self.exchange((), wanted)[1]
                left = deadline - time.monotonic()
                if leases or left <= 0:
                    return leases
                until_due = self.next_due((queue,))
                pause = POLL_SECONDS if until_due is None else max(0.001, until_due - self.now())
                bell.wait(min(left, POLL_SECONDS, pause))

    def next_due(self, queues: Iterable[str]) -> float | None:
        """When, on the engine's clock, the next delay or lease of `queues` ends; None if there is none."""
        run = self._file.connection.execute
        first = "SELECT min(due) FROM jobs WHERE queue = ? AND due > 0"
        found = self._file.reading(lambda: [run(first, (queue,)).fetchone()[0] for queue in queues])
        return min((due for due in found if due is not None), default=None)

    def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of `leases` to `seconds` from now; one that was lost is not in the answer."""
        deadline = self._file.clock() + seconds
        with self._file.writing() as connection:
            held = [
                lease for lease in leases if connection.execute(_EXTEND, (deadline, *_address(lease))).rowcount == 1
            ]
        return [Lease(lease.job, lease.queue, lease.token, deadline) for lease in held]

    def finish(self, lease: Lease, forwards: Sequence[Forward], result: Json = None) -> bool:
        """Acknowledge and forward in one transaction; False, and nothing sent, when the lease was lost."""
        return self.exchange((Finished(lease, forwards, result),), ())[0][0]

    def fail(self, lease: Lease, failure: Failure, *, delay: float | None) -> bool:
        """Record the failure: the next attempt after `delay` seconds, or a dead letter if it is None."""
        return self.exchange((Failed(lease, failure, delay),), ())[0][0]

    def exchange(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle, forward and claim in one transaction: what a runner calls once per turn of its loop."""
        now, wall = self._file.clock(), self._file.wall()
        memo = _Memo(self._file)
        try:
            prepared = [self._prepare(one, wall, memo) for one in settled]
            with self._file.writing():
                held = [
                    self._finish(one, *ready, wall) if isinstance(one, Finished) else self._fail(one, now, wall)
                    for one, ready in zip(settled, prepared, strict=True)
                ]
                leases = [lease for want in wanted for lease in self._claim(want, now, wall)]
        finally:
            memo.forget()
        self._ring_for(settled, held, leases)
        return held, leases

    def release(self, lease: Lease) -> bool:
        """Put the job back at its place, ready at once, the attempt not counted."""
        with self._file.writing() as connection:
            held = connection.execute(_AGAIN, (0.0, 0, *_address(lease))).rowcount == 1
        if held:
            self._ring_others({lease.queue})
        return held

    def dead_letters(self, queue: str, n: int) -> list[DeadLetter]:
        """Up to `n` dead letters of `queue`, the first to die first."""
        run = self._file.connection.execute
        return self._file.reading(
            lambda: [
                DeadLetter(self._job(*row), queue, failures_of(self._file.connection, seq))
                for seq, *row in run(_DEAD, (queue, max(0, n))).fetchall()
            ]
        )

    def depth(self, queue: str) -> Depth:
        """How many jobs are in `queue`, exactly. What is due counts as ready."""
        return self.history.depths((queue,))[queue]

    def close(self) -> None:
        """Let go of the file; leases stay until their deadlines."""
        self._ringer.close()
        self._file.close()

    def __enter__(self) -> SqliteQueues:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, one: Finished | Failed, wall: float, memo: _Memo) -> tuple[Encoded, list[_Row]]:
        if isinstance(one, Failed):
            return "", []
        rows = [self._row(forward.queue, forward.job, 0.0, wall, memo) for forward in one.forwards]
        return memo.encode(one.result, f"the result of job {one.lease.job.id}"), rows

    def _row(self, queue: str, job: Job, due: float, wall: float, memo: _Memo) -> _Row:
        payload = memo.encode(job.payload, f"the payload of job {job.id}")
        tags = json.dumps(dict(job.tags)) if job.tags else None
        return job.id, queue, job.bot, job.run, job.parent, tags, job.attempt, due, wall, payload

    def _insert(self, rows: Iterable[_Row]) -> None:
        run = self._file.connection.execute
        for row in rows:
            payload = row[-1]
            if not isinstance(payload, Large):
                run(_SEND, row)
            elif not run("SELECT 1 FROM jobs WHERE id = ?", row[:1]).fetchone():
                run(_SEND, (*row[:-1], self._bodies.keep(payload)))

    def _finish(self, one: Finished, result: Encoded, rows: list[_Row], wall: float) -> bool:
        run = self._file.connection.execute
        address = _address(one.lease)
        kept: Column
        if isinstance(result, str):
            kept = result
        elif run("SELECT 1 FROM jobs WHERE seq = ? AND token = ?", address).fetchone():
            kept = self._bodies.keep(result)
        else:
            return False
        if run(_FINISH, (Outcome.SUCCESS, next_cursor(run), wall, kept, *address)).rowcount != 1:
            return False
        self._insert(rows)
        return True

    def _fail(self, one: Failed, now: float, wall: float) -> bool:
        run = self._file.connection.execute
        address = _address(one.lease)
        if one.delay is None:
            held = run(_FINISH, (Outcome.DEAD, next_cursor(run), wall, None, *address)).rowcount == 1
        else:
            due = now + one.delay if one.delay > 0 else 0.0
            held = run(_AGAIN, (due, 1, *address)).rowcount == 1
        if held:
            self._record(address[0], one.failure)
        return held

    def _record(self, seq: int, failure: Failure) -> None:
        self._file.connection.execute(
            _FAILURE, (seq, failure.attempt, failure.type, failure.message, failure.traceback)
        )

    def _claim(self, want: Wanted, now: float, wall: float) -> list[Lease]:
        if want.n < 1:
            return []
        run = self._file.connection.execute
        for seq, token, attempt in run(_OVERDUE, (want.queue, now)).fetchall():
            if token is not None:
                self._record(seq, _lost(attempt))
            run(_PROMOTE, (attempt + (token is not None), seq))
        deadline = now + want.lease
        rows = run(_CLAIM, (deadline, wall, want.queue, want.n)).fetchall()
        leases = []
        for seq, token, *row in sorted(rows):
            try:
                job = self._job(*row)
            except FactoryError as error:
                failure = Failure("PayloadLost", f"{error.message}", "", row[5])
                unreadable = Lease(Job(row[0], row[1], None, row[3]), want.queue, f"{seq}.{token}", deadline)
                self._fail(Failed(unreadable, failure, None), now, wall)
            else:
                leases.append(Lease(job, want.queue, f"{seq}.{token}", deadline))
        return leases

    def _job(
        self, job_id: str, bot: str, payload: Column, run: str, parent: str | None, attempt: int, tags: str | None
    ) -> Job:
        return Job(job_id, bot, self._bodies.load(payload), run, parent, attempt, json.loads(tags) if tags else {})

    def _ring_for(self, settled: Sequence[Finished | Failed], held: list[bool], leases: list[Lease]) -> None:
        """Ring where jobs were left for others."""
        taken = {lease.job.id for lease in leases}
        queues: set[str] = set()
        for one, done in zip(settled, held, strict=True):
            if done and isinstance(one, Finished):
                queues.update(forward.queue for forward in one.forwards if forward.job.id not in taken)
            elif done and isinstance(one, Failed) and one.delay is not None:
                queues.add(one.lease.queue)
        self._ring_others(queues)

    def _ring_others(self, queues: set[str]) -> None:
        """Ring the bells that our own caller does not hear."""
        self._ringer.ring(queue for queue in queues if queue not in self._bells or self._bells[queue].closed)


class _Memo:
    """Values encoded once per call: a fan-out sends one value to many queues."""

    def __init__(self, file: QueueFile) -> None:
        self._bodies = file.bodies
        self._path = file.paths.database
        self._encoded: dict[int, tuple[Json, Encoded]] = {}

    def encode(self, value: Json, what: str) -> Encoded:
        known = self._encoded.get(id(value))
        if known is not None:
            return known[1]
        encoded = self._bodies.encode(value, what)
        self._encoded[id(value)] = (value, encoded)
        return encoded

    def forget(self) -> None:
        """Remove the files that were staged and not kept."""
        for _, encoded in self._encoded.values():
            if isinstance(encoded, Large):
                self._bodies.discard(encoded)
        self._encoded.clear()


def _address(lease: Lease) -> tuple[int, str]:
    """Where the lease's job is and the token that opens it; a foreign token opens nothing."""
    seq, dot, token = lease.token.partition(".")
    return (int(seq), token) if dot and seq.isdecimal() else (-1, "")


def _lost(attempt: int) -> Failure:
    return Failure("LeaseExpired", "the worker or its runner went away before the job was done", "", attempt)
