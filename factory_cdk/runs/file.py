"""A file of runs of its own, for a Flow: SQLite, which any number of processes may have open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs.store import RunStore

VERSION = 1
MARK = 0x466C6F77
"""SQLite's application id of such a file: `Flow` in ASCII."""

BUSY_SECONDS = 30.0


class RunFile:
    """The runs in the file at `path`, made if need be; `:memory:` for runs that are gone with it. FactoryError when it
    cannot be opened, or is something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        try:
            self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            raise _refused(self.path, error) from error
        self.store = RunStore(self._connection, moves_all=False)
        try:
            with self.writing():
                self._check()
                self.store.create_tables()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[RunStore]:
        """A write transaction: committed at its end, rolled back when anything is raised inside."""
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            try:
                yield self.store
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    run("ROLLBACK")
                self.store.forget()
                raise
        except sqlite3.Error as error:
            raise _refused(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _check(self) -> None:
        run = self._connection.execute
        mark, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        if mark != MARK:
            if run("SELECT 1 FROM sqlite_master").fetchone():
                raise FactoryError(f"{self.path} is a database of something else", "give the flow another store")
            run(f"PRAGMA application_id = {MARK}")
            run(f"PRAGMA user_version = {VERSION}")
        elif version > VERSION:
            raise FactoryError(f"{self.path} was made by a newer factory_cdk", "use that, or another store")


def _refused(path: str, error: sqlite3.Error) -> FactoryError:
    return FactoryError(f"{path}: {error}", "check that the path of the store is right, can be written and has room")
