"""What happens to jobs inside one write transaction of a queue database: sent, claimed, finished, failed.

`prepare` encodes outside of the transaction, so that the lock is held for as little as possible.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import Failed, Failure, Finished, Job, Lease, Wanted
from factory_cdk.queues.sqlite.bodies import Bodies, Encoded, Large
from factory_cdk.queues.sqlite.file import QueueFile
from factory_cdk.queues.sqlite.stage_runs import StageRuns
from factory_cdk.queues.values import decode

_TOKEN_BYTES = 16
_OVERDUE_SECONDS = 0.02
"""How often, on the engine's clock, a queue with enough ready jobs is searched for delays and leases that
have ended (one without is searched at every claim)."""

_SEND = """
INSERT INTO jobs (id, queue, bot, run, parent, tags, attempt, payload, seq, enqueued, due)
VALUES (?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"""
_SEND_LEASED = """
INSERT INTO jobs
    (id, queue, bot, run, parent, tags, attempt, payload, seq, enqueued, due, token, started, first_started)
VALUES (?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"""
_KNOWN = "SELECT 1 FROM jobs WHERE id = ?"
_READY = """
SELECT seq, due, id, bot, payload, run, parent, attempt, tags FROM jobs
WHERE queue = ? AND due <= ? ORDER BY due, seq LIMIT ?"""
_OVERDUE = "SELECT seq, token, attempt FROM jobs WHERE queue = ? AND due > 0 AND due <= ?"
_LEASED = "SELECT seq, token, attempt FROM jobs WHERE due > 0 AND token IS NOT NULL ORDER BY seq"
_PROMOTE = "UPDATE jobs SET due = 0, token = NULL, attempt = ? WHERE seq = ?"
_CLAIM = """
UPDATE jobs SET token = ?, due = ?, started = ?, first_started = coalesce(first_started, started, ?)
WHERE seq IN ({})"""
_FINISH = """
UPDATE jobs SET outcome = 'success', final = ?, finished = ?, result = ?, due = NULL, token = NULL
WHERE seq = ? AND token = ?"""
_FINISHED = "SELECT 1 FROM jobs WHERE seq = ? AND final = ?"
_BURY = "UPDATE jobs SET outcome = 'dead', final = ?, finished = ?, due = NULL, token = NULL WHERE seq = ?"
_DIE = _BURY + " AND token = ?"
_HELD = "SELECT 1 FROM jobs WHERE seq = ? AND token = ?"
_AGAIN = "UPDATE jobs SET due = ?, attempt = attempt + ?, token = NULL WHERE seq = ? AND token = ?"
_EXTEND = "UPDATE jobs SET due = ? WHERE seq = ? AND token = ?"
_FAILURE = "INSERT INTO failures (job, attempt, type, message, traceback) VALUES (?, ?, ?, ?, ?)"
_CURSORS = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'jobs' RETURNING seq"

Run = Callable[[str, tuple[int]], sqlite3.Cursor]
Columns = tuple[str, str, str, str, str, str, int, Encoded]
"""A job that is to be sent, as the first columns of `_SEND`; those behind tell its place, its times and its lease. What
is not there is empty: to bind None costs as much as a search for an adapter, which is a tenth of sending.
"""

_PAYLOAD = 7
"""Where the payload is in `Columns`."""

Prepared = tuple[Finished | Failed, Encoded, list[tuple[Job, Columns]]]
"""A job in hand that is to be settled, with its result and its forwards encoded."""


class Encoding:
    """The values of one call, each encoded once (a fan-out sends one value to many queues). Not reused.

    `beside` has those that go into files. As a context, it writes these files, for which it waits for the disk, and
    removes in the end those that were not kept.
    """

    __slots__ = ("_bodies", "_encode", "_known", "beside")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._encode = bodies.encode
        self._known: dict[int, Encoded] = {}
        self.beside: list[Large] = []

    def columns(self, queue: str, job: Job) -> Columns:
        """`job` as it is sent to `queue`. Raises FactoryError if its payload is not JSON."""
        payload = self._known.get(id(job.payload)) or self._new(job.payload, "payload", job)
        tags = json.dumps(dict(job.tags)) if job.tags else ""
        return job.id, queue, job.bot, job.run, job.parent or "", tags, job.attempt, payload

    def prepare(self, settled: Finished | Failed) -> Prepared:
        """`settled` with its result and forwards encoded. Raises FactoryError if one is not JSON."""
        if isinstance(settled, Failed):
            return settled, "", []
        result = self._known.get(id(settled.result)) or self._new(settled.result, "result", settled.lease.job)
        sent = [(forward.job, self.columns(forward.queue, forward.job)) for forward in settled.forwards]
        return settled, result, sent

    def __enter__(self) -> Encoding:
        try:
            for large in self.beside:
                self._bodies.stage(large)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for large in self.beside:
            if large.staged is not None:
                large.staged.unlink(missing_ok=True)

    def _new(self, value: Json, what: str, job: Job) -> Encoded:
        encoded = self._encode(value, what, job.id)
        if isinstance(encoded, Large) and encoded.beside:
            self.beside.append(encoded)
        self._known[id(value)] = encoded  # the caller's jobs keep the value alive, so its id stays its own
        return encoded


class Steps:
    """The steps of one database; every method is to be called inside a write transaction."""

    def __init__(self, file: QueueFile) -> None:
        cursor = file.connection.cursor()  # one for all: every answer is fetched before the next statement
        self._run = cursor.execute
        self._run_many = cursor.executemany
        self._bodies = file.bodies
        self._runs = StageRuns(file.connection)
        self._searched: dict[str, float] = {}

    def forget(self) -> None:
        """Say that a transaction was rolled back."""
        self._runs.forget()

    def send_on(self, columns: list[Columns], wall: float, encoding: Encoding) -> None:
        """Insert the jobs of steps, ready at once. One whose payload is large waits for the disk."""
        if columns:
            with encoding:
                self.send(columns, 0.0, wall)

    def send(self, jobs: list[Columns], due: float, wall: float) -> None:
        """Insert jobs, ready at `due`; those whose ids are known are left alone."""
        first = next_cursor(self._run, len(jobs)) - len(jobs) + 1
        self._insert(_SEND, [(*columns, seq, wall, due) for seq, columns in enumerate(jobs, first)])

    def settle_and_claim(
        self, prepared: list[Prepared], wanted: Sequence[Wanted], now: float, wall: float
    ) -> tuple[list[bool], list[Lease]]:
        """Settle, send on and claim, as `port.RunnerQueues` says.

        What was waiting goes first. Where more is wanted than that, what is sent on is leased as it is inserted: it
        would be the next to be claimed.
        """
        numbers = len(prepared) + sum([len(forwards) for _, _, forwards in prepared])
        first = next_cursor(self._run, numbers) - numbers + 1 if prepared else 0
        lost = self._settle(prepared, first, now, wall)
        over = [settled for cursor, (settled, _, _) in enumerate(prepared, first) if cursor not in lost]
        if self._runs.is_due(over, now):
            encoding = Encoding(self._bodies)
            self.send_on(self._runs.follow(over, now, wall, encoding.columns), wall, encoding)
        claimed = [self._claim(want, now, wall) for want in wanted]
        held = [cursor not in lost for cursor in range(first, first + len(prepared))]
        sent = [one for (_, _, forwards), kept in zip(prepared, held, strict=True) if kept for one in forwards]
        if sent and not self._send_on(sent, first + len(prepared), wanted, claimed, now, wall):
            for want, leases in zip(wanted, claimed, strict=True):
                leases[:] = [lease for lease in leases if self._is_held(lease)]
                leases.extend(self._claim(want._replace(n=want.n - len(leases)), now, wall))
        return held, [lease for leases in claimed for lease in leases]

    def _settle(self, prepared: list[Prepared], first: int, now: float, wall: float) -> set[int]:
        """Finish or fail each job, with the cursors from `first` on; answers the cursors of those that were lost."""
        lost = set()
        finished: list[tuple[int, float, str, int, str]] = []
        for cursor, (settled, result, _) in enumerate(prepared, first):
            if isinstance(settled, Failed):
                held = self._fail(settled, cursor, now, wall)
            elif isinstance(result, str):
                finished.append((cursor, wall, result, *_address(settled.lease)))
                continue
            else:
                held = self._finish_large(settled.lease, result, cursor, wall)
            if not held:
                lost.add(cursor)
        if finished and self._run_many(_FINISH, finished).rowcount != len(finished):
            lost.update(
                cursor for cursor, _, _, seq, _ in finished if not self._run(_FINISHED, (seq, cursor)).fetchall()
            )
        return lost

    def _send_on(
        self,
        sent: list[tuple[Job, Columns]],
        first: int,
        wanted: Sequence[Wanted],
        claimed: list[list[Lease]],
        now: float,
        wall: float,
    ) -> bool:
        """Insert jobs, numbered from `first` on, and add to `claimed` what is still `wanted`. False when ids among
        them were known: then not all that was claimed was inserted.
        """
        hands = {want.queue: (want.n, leases, now + want.lease) for want, leases in zip(wanted, claimed, strict=True)}
        nobody: tuple[int, list[Lease], float] = (0, [], 0.0)
        token = _new_token()
        leased: list[tuple[Any, ...]] = []
        ready: list[tuple[Any, ...]] = []
        for seq, (job, columns) in enumerate(sent, first):
            queue = columns[1]
            n, leases, deadline = hands.get(queue, nobody)
            if len(leases) < n:
                leases.append(Lease(job, queue, f"{seq}.{token}", deadline))
                leased.append((*columns, seq, wall, deadline, token, wall, wall))
            else:
                ready.append((*columns, seq, wall, 0.0))
        return self._insert(_SEND_LEASED, leased) + self._insert(_SEND, ready) == len(sent)

    def _insert(self, statement: str, rows: list[tuple[Any, ...]]) -> int:
        """Insert jobs: their columns and what `statement` takes behind them. Those whose ids are known are left alone;
        answers how many were inserted.
        """
        if not rows:
            return 0
        if all(row[_PAYLOAD].__class__ is str for row in rows):
            return self._run_many(statement, rows).rowcount
        count = 0
        for row in rows:
            payload = row[_PAYLOAD]
            if not isinstance(payload, Large):
                count += self._run(statement, row).rowcount
            elif not self._run(_KNOWN, row[:1]).fetchall():
                kept = self._bodies.keep(payload)
                count += self._run(statement, (*row[:_PAYLOAD], kept, *row[_PAYLOAD + 1 :])).rowcount
        return count

    def _claim(self, want: Wanted, now: float, wall: float) -> list[Lease]:
        """Lease what is ready, oldest first. A job whose payload is lost becomes a dead letter instead."""
        queue, n = want.queue, want.n
        if n < 1:
            return []
        rows = self._run(_READY, (queue, now, n)).fetchall()
        if not rows:
            return []
        if rows[-1][1] > 0 or (len(rows) == n and self._is_search_due(queue, now)):
            self._searched[queue] = now
            if self._promote(queue, now):
                rows = self._run(_READY, (queue, now, n)).fetchall()
        deadline = now + want.lease
        token = _new_token()
        leases = []
        claimed = []
        for seq, _, job_id, bot, payload, run, parent, attempt, tags in rows:
            try:
                value = decode(payload) if payload.__class__ is str else self._bodies.load(payload)
            except FactoryError as error:
                self._bury(seq, attempt, error.message, wall)
                continue
            job = Job(job_id, bot, value, run, parent, attempt, json.loads(tags) if tags else {})
            leases.append(Lease(job, queue, f"{seq}.{token}", deadline))
            claimed.append(seq)
        self._run(_CLAIM.format(", ".join("?" * len(claimed))), (token, deadline, wall, wall, *claimed))
        if len(leases) < len(rows):  # those behind the buried ones go before what is sent on
            leases += self._claim(want._replace(n=n - len(leases)), now, wall)
        return leases

    def extend(self, lease: Lease, deadline: float) -> bool:
        """Move a lease's deadline; False when it was lost."""
        return self._run(_EXTEND, (deadline, *_address(lease))).rowcount == 1

    def release(self, lease: Lease) -> bool:
        """Make a leased job ready without counting the attempt; False when the lease was lost."""
        return self._run(_AGAIN, (0.0, 0, *_address(lease))).rowcount == 1

    def reclaim(self) -> int:
        """End every lease of the database, its attempt counted and failed; answers how many there were."""
        leased = self._run(_LEASED).fetchall()
        self._make_ready(leased, Failure("RunnerDied", "its runner died while it had the job in hand", "", 0))
        return len(leased)

    def _finish_large(self, lease: Lease, result: Large, cursor: int, wall: float) -> bool:
        if not self._is_held(lease):
            return False
        return self._run(_FINISH, (cursor, wall, self._bodies.keep(result), *_address(lease))).rowcount == 1

    def _is_held(self, lease: Lease) -> bool:
        return bool(self._run(_HELD, _address(lease)).fetchall())

    def _fail(self, failed: Failed, cursor: int, now: float, wall: float) -> bool:
        seq, token = _address(failed.lease)
        if failed.delay is None:
            held = self._run(_DIE, (cursor, wall, seq, token)).rowcount == 1
        else:
            due = now + failed.delay if failed.delay > 0 else 0.0
            held = self._run(_AGAIN, (due, 1, seq, token)).rowcount == 1
        if held:
            self._record(seq, failed.failure)
        return held

    def _record(self, seq: int, failure: Failure) -> None:
        self._run(_FAILURE, (seq, failure.attempt, failure.type, failure.message, failure.traceback))

    def _bury(self, seq: int, attempt: int, message: str, wall: float) -> None:
        self._record(seq, Failure("PayloadLost", message, "", attempt))
        self._run(_BURY, (next_cursor(self._run), wall, seq))

    def _is_search_due(self, queue: str, now: float) -> bool:
        searched = self._searched.get(queue)
        return searched is None or not 0 <= now - searched < _OVERDUE_SECONDS

    def _promote(self, queue: str, now: float) -> bool:
        """Make ready what was delayed until now, and what was leased until now with its attempt counted."""
        overdue = self._run(_OVERDUE, (queue, now)).fetchall()
        gone = "the worker or its runner went away before the job was done"
        self._make_ready(overdue, Failure("LeaseExpired", gone, "", 0))
        return bool(overdue)

    def _make_ready(self, rows: list[tuple[int, str | None, int]], failure: Failure) -> None:
        """Make jobs ready at their places; of those that were leased the attempt counts, and failed."""
        for seq, token, attempt in rows:
            if token is not None:
                self._record(seq, replace(failure, attempt=attempt))
            self._run(_PROMOTE, (attempt + (token is not None), seq))


def next_cursor(run: Run, n: int = 1) -> int:
    """The last of the next `n` numbers of the counter that orders everything."""
    return int(run(_CURSORS, (n,)).fetchall()[0][0])


def _new_token() -> str:
    """A token for leases that are given at once: the job's number makes it that of one delivery."""
    return os.urandom(_TOKEN_BYTES).hex()


def _address(lease: Lease) -> tuple[int, str]:
    """Where the lease's job is and the token that opens it; a foreign token opens nothing."""
    seq, dot, token = lease.token.partition(".")
    return (int(seq), token) if dot and seq.isdecimal() else (-1, "")
