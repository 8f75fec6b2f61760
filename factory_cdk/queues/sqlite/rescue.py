"""Saving what can still be read of a damaged queue database, job by job, into a new one.

It works on a copy, so that the damaged files stay as they are. Where the first page is lost, with which SQLite takes
the whole file for something else, that of a new database stands in for it: the tables are always made in one order,
so they begin at the same pages. SQLite's own means (`.recover`, sqlite_dbpage) are not in the library that Python uses.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.repair import Rescue
from factory_cdk.queues.sqlite.faults import faults_explained
from factory_cdk.queues.sqlite.file import Paths, QueueFile
from factory_cdk.queues.sqlite.schema import VERSION, refuse_other_versions, version

_PAGE = 4096
_SIZE = slice(28, 32)
"""Where the first page says how many there are."""

_MISSES = 1 << 16
"""After so many numbers without a row none is looked for, where the database cannot say which is the last."""


def rescue(path: Path, into: Path) -> Rescue:
    """Copy every job of the damaged database at `path`, which nobody has open, that can be read into a new one at
    `into`; those that were leased are ready there.

    FactoryError when nothing can be read at all, something is at `into` already, or it is of a newer version.
    """
    if not path.is_file():
        raise FactoryError(f"there is no queue database {path}", "name the queues' file of a factory's state")
    if into.exists():
        raise FactoryError(f"{into} exists already", "name a file that does not exist")
    with faults_explained(into), tempfile.TemporaryDirectory(prefix=".rescue-", dir=into.absolute().parent) as folder:
        copy = Path(folder) / "copy.sqlite3"
        shutil.copyfile(path, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(Paths(path.absolute()).log, Paths(copy).log)
        source, whole = _opened(copy), True
        if source is None:
            source, whole = _opened(_with_first_page(copy)), False
        if source is None:
            raise _nothing(path)
        with closing(source):
            refuse_other_versions(path, version(source) or VERSION)
            target = QueueFile(into, clock=None, wall=None, sync=None)
            try:
                saved, lost = _copy_jobs(source, target)
                target.make_durable()
            finally:
                target.close()
        if not saved and not whole:
            _remove(into)
            raise _nothing(path)
        bodies = Paths(path.absolute()).bodies
        if bodies.is_dir():
            shutil.copytree(bodies, Paths(into.absolute()).bodies, dirs_exist_ok=True, copy_function=_link_or_copy)
    return Rescue(saved, lost)


def _nothing(path: Path) -> FactoryError:
    return FactoryError(f"nothing of {path} can be read: it is no queue database, or nothing is left of it", None)


def _remove(database: Path) -> None:
    for found in database.parent.glob(f"{database.name}*"):
        shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)


def _opened(path: Path) -> sqlite3.Connection | None:
    """The database at `path`, though it is damaged; None when SQLite does not know it for one of ours."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA writable_schema = ON")  # reads a file that is shorter than it says
        if connection.execute("PRAGMA table_info(jobs)").fetchall():
            return connection
    except sqlite3.DatabaseError:
        pass  # the caller knows what else can be tried
    connection.close()
    return None


def _with_first_page(path: Path) -> Path:
    """Give the file at `path` the first page of a new database."""
    new = path.with_name("new.sqlite3")
    QueueFile(new, clock=None, wall=None, sync=None).close()  # the last to close it moves the log into the file
    page = bytearray(new.read_bytes()[:_PAGE])
    page[_SIZE] = (path.stat().st_size // _PAGE).to_bytes(4, "big")
    with path.open("r+b") as file:
        file.write(page)
    return path


def _link_or_copy(source: str, target: str) -> None:
    """The same file under another name, where it can be: what is in it never changes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _copy_jobs(source: sqlite3.Connection, target: QueueFile) -> tuple[int, int]:
    saved = lost = 0
    with target.writing() as connection:
        for table in ("bodies", "contents", "failures", "jobs"):
            for row in _rows(source, table):
                copied = 0
                if row is not None:
                    places = ", ".join("?" * len(row))
                    with contextlib.suppress(sqlite3.Error):  # what is not a row any more is lost
                        insert = f"INSERT OR IGNORE INTO {table} VALUES ({places})"  # noqa: S608 - our own names
                        copied = connection.execute(insert, row).rowcount
                if table == "jobs":
                    saved, lost = saved + copied, lost + 1 - copied
        connection.execute("UPDATE jobs SET due = 0, token = NULL WHERE token IS NOT NULL")
        connection.execute("UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(final), 0) FROM jobs))")
    return saved, lost


def _rows(source: sqlite3.Connection, table: str) -> Iterator[Sequence[object] | None]:
    """Every row of a table by its number, None where the page that holds it cannot be read."""
    last = _last_number(source, table)
    misses = number = 0
    query = f"SELECT * FROM {table} NOT INDEXED WHERE rowid = ?"  # noqa: S608 - our own table names
    while number < last if last is not None else misses < _MISSES:
        number += 1
        try:
            row = source.execute(query, (number,)).fetchone()
        except sqlite3.DatabaseError:
            misses += 1
            if last is not None:
                yield None
        else:
            misses = 0 if row is not None else misses + 1
            if row is not None:
                yield row


def _last_number(source: sqlite3.Connection, table: str) -> int | None:
    """The highest number that a row of the table can have; None when that cannot be read."""
    for query in (
        f"SELECT max(rowid) FROM {table}",  # noqa: S608 - our own table names
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",  # noqa: S608
    ):
        try:
            row = source.execute(query).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row is not None:
            return int(row[0] or 0)
    return None
