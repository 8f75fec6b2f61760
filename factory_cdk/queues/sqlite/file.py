"""A queue database that is open: its connection, its write transactions, its clocks and what makes it durable."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import sync_folder
from factory_cdk.queues.sqlite.bodies import Bodies, Sync
from factory_cdk.queues.sqlite.boot_clock import Clock, boot_id, read_anchor, steady_clock, write_anchor
from factory_cdk.queues.sqlite.faults import explained, faults_explained
from factory_cdk.queues.sqlite.schema import (
    BUSY_SECONDS,
    connect,
    create_tables,
    refuse_other_versions,
    version,
)
from factory_cdk.queues.sqlite.write_lock import WriteLock

Answer = TypeVar("Answer")

_CHECKPOINT_WRITES = 200
"""After so many transactions the log, which has some 2000 pages by then, is moved into the database."""

_JOBS = 10
"""So many jobs fill as many pages more as a transaction of one."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Everything that belongs to the database at `database`; all of it lies in one folder."""

    database: Path

    @property
    def log(self) -> Path:
        """SQLite's write-ahead log."""
        return self._beside("-wal")

    @property
    def shared(self) -> Path:
        """The memory in which SQLite's processes share where what is in the log."""
        return self._beside("-shm")

    @property
    def lock(self) -> Path:
        """The write lock's file."""
        return self._beside(".lock")

    @property
    def bells(self) -> Path:
        """The folder of the queues' named pipes."""
        return self._beside(".bells")

    @property
    def bodies(self) -> Path:
        """The folder of payloads and results over 1 MiB."""
        return self._beside(".bodies")

    @property
    def log_is_missing(self) -> bool:
        """Whether somebody took the log away: SQLite removes the shared memory before it, and makes it later."""
        return not self.log.exists() and self.shared.exists()

    def _beside(self, suffix: str) -> Path:
        return self.database.with_name(self.database.name + suffix)


class QueueFile:
    """One process's hold on a queue database; for one thread at a time, and not to be taken through a fork.

    `clock` counts for delays and leases, `wall` stamps the history, both in seconds since the epoch; `sync`
    makes an open file's content durable.
    """

    def __init__(self, path: Path, *, clock: Clock | None, wall: Clock | None, sync: Sync | None) -> None:
        self.paths = Paths(path.absolute())
        self.sync = sync or os.fsync
        with faults_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = WriteLock(self.paths.lock, BUSY_SECONDS)
            try:
                self.connection = self._open()
            except BaseException:
                self._lock.close()
                raise
            self._log = -1
            self._written = 0
            self._writing = Writing(self.paths.database, self.connection, self._lock)
            self.bodies = Bodies(self.connection, self.paths.bodies, self.sync)
            self.clock = clock or self._steady()
            self.wall = wall or clock or time.time

    def writing(self) -> Writing:
        """A write transaction as a context: committed at its end, rolled back when anything is raised inside.
        Not nested. What SQLite refuses comes out as FactoryError.
        """
        return self._writing

    def reading(self, read: Callable[[], Answer]) -> Answer:
        """What `read` answers, from one consistent state of the database."""
        run = self.connection.execute
        with faults_explained(self.paths.database):
            self._writing.wait_for_others()
            run("BEGIN")
            try:
                return read()
            finally:
                run("ROLLBACK")

    def make_durable(self) -> None:
        """Return when every transaction committed so far will survive a power loss.

        It is the log that is synced, outside of the write lock, so other writers go on meanwhile. A commit
        that a checkpoint has moved into the database was synced there before its place in the log is reused.
        """
        with faults_explained(self.paths.database):
            if self._log < 0:
                self._log = os.open(self.paths.log, os.O_RDONLY | os.O_CLOEXEC)
            self.sync(self._log)

    def is_checkpoint_due(self, jobs: int) -> bool:
        """To be called after every transaction, which has written about so many `jobs`: whether it is time for a
        checkpoint.
        """
        self._written += 1 + jobs // _JOBS
        return self._written >= _CHECKPOINT_WRITES

    def checkpoint(self) -> None:
        """Move the log into the database, as far as nobody reads it, and begin a new one. It waits for the disk, which
        no commit has to do then: SQLite syncs a new log with the first commit in it, which is made here. It skips a
        number of the counter (schema.py), since a write that changes nothing writes nothing.

        What the disk refuses is no harm: everything is in the log, and this is tried again.
        """
        self._written = 0
        with contextlib.suppress(sqlite3.Error, FactoryError):
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            with self._writing as connection:
                connection.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'jobs'")

    def close(self) -> None:
        """Let go of everything; closing twice is allowed."""
        with faults_explained(self.paths.database):
            self.connection.close()
            self._lock.close()
            if self._log >= 0:
                os.close(self._log)
                self._log = -1

    def _open(self) -> sqlite3.Connection:
        path = self.paths.database
        if path.exists() and path.stat().st_size:
            connection = connect(path)
            found = version(connection)
        else:
            connection, found = None, 0
        try:
            if connection is None or found == 0:
                connection = self._create(connection)
                found = version(connection)
            refuse_other_versions(path, found)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        """Make the tables, unless another process was faster."""
        self._lock.acquire()
        try:
            connection = connection or connect(self.paths.database)
            connection.execute("BEGIN IMMEDIATE")
            if version(connection) == 0:
                if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                    raise FactoryError(
                        f"{self.paths.database} is a database of something else",
                        "move the file away, or set FACTORY_CDK_HOME to another folder",
                    )
                create_tables(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        finally:
            self._lock.release()
        sync_folder(self.paths.database.parent, self.sync)
        return connection

    def _steady(self) -> Clock:
        boot = boot_id()
        if boot is None:
            return time.time
        epoch = read_anchor(self.connection, boot)
        if epoch is None:
            with self._writing as connection:
                epoch = read_anchor(connection, boot) or write_anchor(connection, boot)
        return steady_clock(epoch)


class Writing:
    """A write transaction of a database, as a context that is used again and again."""

    __slots__ = ("_begun", "_connection", "_lock", "_path", "_run", "_waits")

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriteLock) -> None:
        self._path = path
        self._connection = connection
        self._run = connection.execute
        self._lock = lock
        self._begun = False
        self._waits = True

    def begin_at_once(self) -> bool:
        """Begin the transaction that the context then is; False, and nothing done, when another one is under way."""
        try:
            if not self._lock.try_acquire():
                return False
            try:
                if self._waits:
                    self._wait_for_others(0)
                self._run("BEGIN IMMEDIATE")
            except BaseException as error:
                self._lock.release()
                if _is_busy(error):
                    return False
                raise
        except (sqlite3.Error, OSError) as error:
            raise explained(self._path, error) from error
        self._begun = True
        return True

    def wait_for_others(self) -> None:
        """From now on, what others are in the way of waits for them."""
        if not self._waits:
            self._wait_for_others(BUSY_SECONDS)

    def __enter__(self) -> sqlite3.Connection:
        if self._begun:
            self._begun = False
            return self._connection
        try:
            self._lock.acquire()
            try:
                self.wait_for_others()
                self._run("BEGIN IMMEDIATE")
            except BaseException:
                self._lock.release()
                raise
        except (sqlite3.Error, OSError) as error:
            raise explained(self._path, error) from error
        return self._connection

    def _wait_for_others(self, seconds: float) -> None:
        """Set for how long SQLite tries again where another connection is in the way."""
        self._run(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        self._waits = seconds > 0

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> None:
        try:
            try:
                if raised is None:
                    self._run("COMMIT")
            finally:
                try:
                    if self._connection.in_transaction:
                        self._run("ROLLBACK")
                finally:
                    self._lock.release()
        except (sqlite3.Error, OSError) as error:
            raise explained(self._path, error) from (raised or error)
        if isinstance(raised, (sqlite3.Error, OSError)):
            raise explained(self._path, raised) from raised


def _is_busy(error: BaseException) -> bool:
    """Whether SQLite says that another connection is in the way."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
