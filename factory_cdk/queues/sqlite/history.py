"""What became of the jobs: the outcome, result, failures and times of every job that a database has seen.

Watchers follow a run by its cursor; cancel, retry and purge are the only ways to change what is history.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from factory_cdk.doorbell import Ringer
from factory_cdk.queues.client import BotStatistics, FailedAttempt, Search
from factory_cdk.queues.port import Depth, Failure, Job, JobRecord, Outcome
from factory_cdk.queues.sqlite.faults import faults_explained
from factory_cdk.queues.sqlite.file import QueueFile
from factory_cdk.queues.sqlite.search import condition
from factory_cdk.queues.sqlite.statistics import statistics
from factory_cdk.queues.sqlite.steps import next_cursor
from factory_cdk.runs.store import RunStore

_STAGED_SECONDS = 3600
_COLUMNS = """seq, id, queue, bot, run, parent, tags, attempt, earlier, due, token, outcome, final, enqueued,
    first_started, started, finished, payload, result"""
_CANCEL = """
UPDATE jobs SET outcome = 'cancelled', final = ?, finished = ?, due = NULL, token = NULL,
    attempt = attempt - (token IS NULL)
WHERE id = ? AND outcome IS NULL"""
_RETRY = """
UPDATE jobs SET outcome = NULL, final = NULL, finished = NULL, due = 0,
    earlier = earlier + attempt, attempt = 1
WHERE id = ? AND outcome IN ('dead', 'cancelled') RETURNING queue"""
_OLD = """
SELECT seq FROM jobs WHERE finished < ? AND outcome IN ('success', 'cancelled')
AND final < coalesce((SELECT min(final) FROM jobs WHERE finished >= ?), 9223372036854775807) LIMIT ?"""
_STILL_OLD = """SELECT seq, payload, result FROM jobs
WHERE seq = ? AND finished < ? AND outcome IN ('success', 'cancelled')"""
_WAITING = "SELECT count(*) FROM jobs WHERE queue = ? AND due <= ?"
_LATER = "SELECT count(*), count(token) FROM jobs WHERE queue = ? AND due > ?"
_DEAD = "SELECT count(*) FROM jobs WHERE queue = ? AND outcome = 'dead'"
_LAST_FAILURES = """
SELECT jobs.id, jobs.bot, jobs.outcome IS 'dead', failures.type, failures.message, failures.traceback,
    failures.attempt
FROM failures JOIN jobs ON jobs.seq = failures.job ORDER BY failures.rowid DESC LIMIT ?"""


class SqliteHistory:
    """The job history of one queue database; see `client.History` for what each method promises."""

    def __init__(self, file: QueueFile, ringer: Ringer) -> None:
        self._file = file
        self._ringer = ringer

    def outcomes(self, run: str, *, after: int = 0, n: int = 1000) -> list[JobRecord]:
        """Up to `n` jobs of `run` that became final after the cursor `after`, in the order in which they did.
        Hand the last record's `cursor` back to go on. A job that is retried becomes final again.
        """
        return self._records("run = ? AND final > ? ORDER BY final LIMIT ?", (run, after, n))

    def dead_letters(self, queue: str, n: int) -> list[JobRecord]:
        """Up to `n` dead letters of `queue`, the first to die first."""
        return self._records("queue = ? AND outcome = 'dead' ORDER BY final LIMIT ?", (queue, max(0, n)))

    def in_hand(self) -> list[JobRecord]:
        """Every job that is leased, the first to be begun first."""
        return self._records("due > 0 AND token IS NOT NULL ORDER BY started", ())

    def remaining(self, run: str) -> int:
        """How many jobs of `run` are not final yet. When it is 0 after `send`, the run is complete."""
        return self._count("SELECT count(*) FROM jobs WHERE run = ? AND final IS NULL", (run,))

    def job(self, job_id: str) -> JobRecord | None:
        """The job of that id, or None when the database has not seen it (or has purged it)."""
        return next(iter(self._records("id = ?", (job_id,))), None)

    def find(self, search: Search, n: int = -1) -> list[JobRecord]:
        """Up to `n` jobs (all when it is negative) that `search` means, the last to be sent first."""
        where, values = condition(search, self._file.clock())
        return self._records(f"{where} ORDER BY seq DESC LIMIT ?", (*values, n))

    def ids(self, search: Search) -> list[str]:
        """The ids of all jobs that `search` means, in the order in which they were sent."""
        where, values = condition(search, self._file.clock())
        query = f"SELECT id FROM jobs WHERE {where} ORDER BY seq"  # noqa: S608 - made of constants
        run = self._file.connection.execute
        return self._file.reading(lambda: [job_id for (job_id,) in run(query, values).fetchall()])

    def statistics(self, search: Search) -> list[BotStatistics]:
        """How the jobs that `search` means went, bot by bot."""
        return self._file.reading(lambda: statistics(self._file.connection, search, self._file.clock()))

    def last_failures(self, n: int) -> list[FailedAttempt]:
        """The last `n` attempts that failed, the newest first."""
        run = self._file.connection.execute
        rows = self._file.reading(lambda: run(_LAST_FAILURES, (n,)).fetchall())
        return [FailedAttempt(job_id, bot, bool(dead), Failure(*failure)) for job_id, bot, dead, *failure in rows]

    def depths(self, queues: Iterable[str] | None = None) -> dict[str, Depth]:
        """The depth of each queue, by name, from one moment; of every queue with jobs when none are named."""
        run = self._file.connection.execute
        now = self._file.clock()

        def read() -> dict[str, Depth]:
            named = queues
            if named is None:
                live = "SELECT DISTINCT queue FROM jobs WHERE due IS NOT NULL OR outcome = 'dead' ORDER BY queue"
                named = [queue for (queue,) in run(live)]
            return {queue: self._depth(queue, now) for queue in named}

        return self._file.reading(read)

    def cancel(self, ids: Sequence[str]) -> list[bool]:
        """Make jobs final before they are done; answers for each whether it was still live. Who has one in
        hand loses the lease: its next `extend` says so.
        """
        wall = self._file.wall()
        with self._file.writing() as connection:
            return [_cancel(connection, job_id, wall) for job_id in ids]

    def cancel_queue(self, queue: str) -> int:
        """Cancel every live job of `queue`; answers how many there were."""
        wall = self._file.wall()
        live = "SELECT id FROM jobs WHERE queue = ? AND due IS NOT NULL"
        with self._file.writing() as connection:
            ids = [job_id for (job_id,) in connection.execute(live, (queue,)).fetchall()]
            return sum(_cancel(connection, job_id, wall) for job_id in ids)

    def retry(self, ids: Sequence[str]) -> list[bool]:
        """Make dead and cancelled jobs ready again, with all attempts before them and their failures kept;
        answers for each whether it was one. Returns when that is on disk.
        """
        with self._file.writing() as connection:
            found = [connection.execute(_RETRY, (job_id,)).fetchall() for job_id in ids]
        self._file.make_durable()
        self._ringer.ring({queue for rows in found for (queue,) in rows})
        return [bool(rows) for rows in found]

    def purge(self, keep: float, *, n: int = 1000) -> int:
        """Forget up to `n` jobs that became final more than `keep` seconds ago, dead letters excepted.

        Both clocks have to say so: one that is set ahead makes nothing old. A job that became final after another that
        is to be kept is kept too: its time is of a clock that was behind.
        """
        before = min(self._file.wall(), self._file.clock()) - keep
        self._purge_runs(before)
        run = self._file.connection.execute
        seqs = self._file.reading(lambda: run(_OLD, (before, before, n)).fetchall())
        if not seqs:  # the search may take long; nobody waits for it
            return 0
        with self._file.writing() as connection:
            rows = [row for (seq,) in seqs for row in connection.execute(_STILL_OLD, (seq, before)).fetchall()]
            for seq, _, _ in rows:
                connection.execute("DELETE FROM failures WHERE job = ?", (seq,))
                connection.execute("DELETE FROM jobs WHERE seq = ?", (seq,))
            files = [self._file.bodies.drop(column) for _, *columns in rows for column in columns]
        if self._file.is_checkpoint_due(len(rows)):
            self._file.checkpoint()
        self._remove([path for path in files if path is not None])
        return len(rows)

    def _purge_runs(self, before: float) -> None:
        """Forget runs that ended before a time, each in a transaction of its own."""
        store = RunStore(self._file.connection, moves_all=True)
        for run_id in self._file.reading(lambda: store.old(before) if store.has_tables() else []):
            with self._file.writing():
                store.drop(run_id)

    def sweep(self) -> int:
        """Remove files of payloads that a killed process left behind, named by no job and over an hour old;
        answers how many. Both clocks have to say so: one that is set ahead meanwhile makes no file old.
        """
        old = min(time.time(), self._file.clock()) - _STAGED_SECONDS
        with faults_explained(self._file.paths.bodies):
            return self._remove([path for path in self._file.bodies.files() if path.stat().st_mtime < old])

    def _remove(self, files: Sequence[Path]) -> int:
        """Remove those of `files` that no job needs, once it is on disk that none does."""
        if not files:
            return 0
        self._file.make_durable()
        with self._file.writing():
            unused = [path for path in files if not self._file.bodies.is_used(path)]
            for path in unused:
                path.unlink(missing_ok=True)
        return len(unused)

    def _count(self, query: str, arguments: tuple[object, ...]) -> int:
        run = self._file.connection.execute
        return self._file.reading(lambda: int(run(query, arguments).fetchone()[0]))

    def _depth(self, queue: str, now: float) -> Depth:
        run = self._file.connection.execute
        ready = run(_WAITING, (queue, now)).fetchone()[0]
        later, leased = run(_LATER, (queue, now)).fetchone()
        return Depth(ready, later - leased, leased, run(_DEAD, (queue,)).fetchone()[0])

    def _records(self, where: str, arguments: tuple[object, ...]) -> list[JobRecord]:
        query = f"SELECT {_COLUMNS} FROM jobs WHERE {where}"  # noqa: S608 - `where` is made of constants
        run = self._file.connection.execute
        now = self._file.clock()
        return self._file.reading(lambda: [self._record(row, now) for row in run(query, arguments).fetchall()])

    def _record(self, row: tuple[Any, ...], now: float) -> JobRecord:
        (seq, job_id, queue, bot, run, parent, tags, attempt, earlier, due, token, outcome, final) = row[:13]
        (enqueued, first_started, started, finished, payload, result) = row[13:]
        load = self._file.bodies.load
        state = outcome or ("ready" if due <= now else "leased" if token else "delayed")
        return JobRecord(
            job=Job(job_id, bot, load(payload), run, parent, attempt, json.loads(tags) if tags else {}),
            queue=queue,
            state=state,
            outcome=Outcome(outcome) if outcome else None,
            attempts=earlier + attempt - (outcome is None and token is None),
            result=load(result),
            failures=failures_of(self._file.connection, seq),
            enqueued=enqueued,
            first_started=first_started,
            started=started,
            finished=finished,
            cursor=final,
        )


def _cancel(connection: sqlite3.Connection, job_id: str, wall: float) -> bool:
    return connection.execute(_CANCEL, (next_cursor(connection.execute), wall, job_id)).rowcount == 1


def failures_of(connection: sqlite3.Connection, seq: int) -> tuple[Failure, ...]:
    """Every failure of the job with that number, oldest first."""
    query = "SELECT type, message, traceback, attempt FROM failures WHERE job = ? ORDER BY rowid"
    return tuple(Failure(*row) for row in connection.execute(query, (seq,)).fetchall())
