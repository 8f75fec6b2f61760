"""The tables of a queue database, and how one is opened.

A job is one row of `jobs` for ever (until it is purged). `due` says where it stands:

    due = 0                 ready; the lowest `seq` of its queue goes first
    due > 0, token NULL     delayed until then
    due > 0, token set      leased until then
    due NULL                final: `outcome` says how, `final` is the cursor that watchers follow

`seq` and `final` are drawn from one counter that never goes back (AUTOINCREMENT's), so neither is ever
reused. A payload or result is JSON text, or the number of a row in `bodies` when it is large
(bodies.py). Times named `due` are on the steady clock, all others on the wall clock.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from factory_cdk.diagnostics import FactoryError

VERSION = 1
"""The `user_version` of the tables below. An engine refuses a higher one."""

OLDEST_SQLITE = (3, 35, 0)  # RETURNING
BUSY_SECONDS = 30.0
CHECKPOINT_PAGES = 40_000
"""A commit that finds more pages in the log moves them into the database: for what nobody did before (file.py)."""

_TABLES = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    bot TEXT NOT NULL,
    run TEXT NOT NULL,
    parent TEXT,
    tags TEXT,
    attempt INTEGER NOT NULL,
    earlier INTEGER NOT NULL DEFAULT 0,
    due REAL,
    token TEXT,
    outcome TEXT,
    final INTEGER,
    enqueued REAL NOT NULL,
    first_started REAL,
    started REAL,
    finished REAL,
    payload,
    result
);
CREATE INDEX jobs_live ON jobs (queue, due) WHERE due IS NOT NULL;
CREATE INDEX jobs_of_run ON jobs (run, final);
CREATE INDEX jobs_dead ON jobs (queue, final) WHERE outcome = 'dead';
CREATE TABLE failures (
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    traceback TEXT NOT NULL
);
CREATE INDEX failures_of_job ON failures (job);
CREATE TABLE bodies (
    num INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    uses INTEGER NOT NULL
);
CREATE TABLE contents (
    num INTEGER PRIMARY KEY,
    body TEXT NOT NULL
);
CREATE TABLE anchor (
    boot TEXT PRIMARY KEY,
    epoch REAL NOT NULL
);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode to the database at `path`, made if need be, in WAL mode, tables not yet.

    Commits are not synced here (synchronous=NORMAL): the engine syncs what it acknowledges itself.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise FactoryError(
            f"this Python has SQLite {sqlite3.sqlite_version}; the queues need 3.35 or newer",
            "use a newer Python (`uv python install`)",
        )
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise FactoryError(
                f"queue database {path}: this file system cannot share a write-ahead log",
                "keep the factory's state (FACTORY_CDK_HOME) on a local disk, not on a network file system",
            )
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def version(connection: sqlite3.Connection) -> int:
    """The `user_version` of the database: 0 when it has no tables yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables; call it inside a transaction."""
    for statement in _TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("INSERT INTO sqlite_sequence VALUES ('jobs', 0)")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def refuse_other_versions(path: Path, found: int) -> None:
    """Raise FactoryError unless the tables are of this version."""
    if found > VERSION:
        raise FactoryError(
            f"queue database {path} is of version {found}; this factory-cdk knows version {VERSION}",
            "use the newer factory-cdk that made it",
        )
    if found < VERSION:
        raise FactoryError(
            f"queue database {path} is of version {found}, which is no longer supported",
            "demolish the factory with the factory-cdk that built it, then build it again; "
            "if the queues are those of bot-start, let that one finish their jobs, then move the folder away",
        )
