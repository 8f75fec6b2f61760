"""What is wrong with a queue database, and what of a damaged one can be saved.

    python -m factory_cdk.queues.check FILE [--rescue NEW]

The check only reads. A rescue copies every job that can still be read, one by one, into a new database; jobs
that were leased are ready again there. Exit 0: nothing wrong (or everything saved); 1: something is.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.sqlite_faults import faults_explained
from factory_cdk.queues.sqlite_file import Paths, QueueFile
from factory_cdk.queues.sqlite_schema import VERSION, refuse_other_versions, version

_NAMED = """
SELECT sha256 FROM bodies WHERE num NOT IN (SELECT num FROM contents)
AND num IN (SELECT payload FROM jobs UNION SELECT result FROM jobs)"""


@dataclass(frozen=True, slots=True)
class Rescue:
    """How many jobs were copied, and how many numbers of jobs could not be read."""

    saved: int
    lost: int


def check(path: Path) -> tuple[str, ...]:
    """Every problem of the database at `path`, one sentence each; none when it is sound.

    It reads the whole file and every payload beside it. Raises FactoryError if there is no such file, or it
    is of a newer version.
    """
    _must_exist(path)
    with faults_explained(path), closing(_reading(path)) as connection:
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            problems = [f"{path}: {line}" for line in found if line != "ok"]
            if version(connection) == 0 and not problems:
                return (f"{path}: it is not a queue database",)
            refuse_other_versions(path, version(connection))
            return (*problems, *_body_problems(connection, Paths(path.absolute()).bodies))
        except sqlite3.DatabaseError as error:
            return (f"{path}: it is damaged where SQLite cannot read on ({error})",)


def rescue(path: Path, into: Path) -> Rescue:
    """Copy every job of the damaged database at `path` that can be read into a new one at `into`.

    Raises FactoryError when nothing can be read at all, or something is at `into` already.
    """
    _must_exist(path)
    if into.exists():
        raise FactoryError(f"{into} exists already", "name a file that does not exist")
    with faults_explained(path), closing(_reading(path)) as source:
        refuse_other_versions(path, version(source) or VERSION)
        columns = [row[1] for row in source.execute("PRAGMA table_info(jobs)")]
        if not columns:
            raise FactoryError(f"{path} is not a queue database, or its first page is lost", None)
        target = QueueFile(into, clock=None, wall=None, sync=None)
        try:
            saved, lost = _copy_jobs(source, target, columns)
            target.make_durable()
        finally:
            target.close()
    bodies = Paths(path.absolute()).bodies
    if bodies.is_dir():
        shutil.copytree(bodies, Paths(into.absolute()).bodies, dirs_exist_ok=True)
    return Rescue(saved, lost)


def _copy_jobs(source: sqlite3.Connection, target: QueueFile, columns: Sequence[str]) -> tuple[int, int]:
    saved = lost = 0
    insert = f"INSERT OR IGNORE INTO jobs VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - question marks
    with target.writing() as connection:
        for table in ("bodies", "contents", "failures"):
            for row in _rows(source, table):
                if row is not None:
                    places = ", ".join("?" * len(row))
                    connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)  # noqa: S608
        for row in _rows(source, "jobs"):
            if row is None:
                lost += 1
            else:
                saved += connection.execute(insert, row).rowcount
        connection.execute("UPDATE jobs SET due = 0, token = NULL WHERE token IS NOT NULL")
    return saved, lost


def _rows(source: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...] | None]:
    """Every row of a table by its number, NULL where the page that holds it cannot be read."""
    last = _last_number(source, table)
    for number in range(1, last + 1):
        try:
            query = f"SELECT * FROM {table} NOT INDEXED WHERE rowid = ?"  # noqa: S608 - our own table names
            row = source.execute(query, (number,)).fetchone()
        except sqlite3.DatabaseError:
            yield None
        else:
            if row is not None:
                yield row


def _last_number(source: sqlite3.Connection, table: str) -> int:
    """The highest number that a row of the table can have."""
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
    return 0


def _body_problems(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    for (sha256,) in connection.execute(_NAMED).fetchall():
        path = folder / sha256[:2] / sha256
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            yield f"{path}: the payload that jobs need cannot be read ({error.strerror})"
        else:
            if found != sha256:
                yield f"{path}: the payload that jobs need has changed"


def _reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise FactoryError(f"there is no queue database {path}", "name the queues' file of a factory's state")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, or rescue, and say what was found; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m factory_cdk.queues.check", description="check a queue database")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rescue", type=Path, metavar="NEW", help="copy what can be read into a new database")
    options = parser.parse_args(arguments)
    try:
        if options.rescue:
            done = rescue(options.file, options.rescue)
            print(f"{done.saved} jobs saved to {options.rescue}, {done.lost} could not be read")
            return 1 if done.lost else 0
        problems = check(options.file)
    except FactoryError as error:
        print(f"error: {error.message}" + (f"\n  {error.remedy}" if error.remedy else ""), file=sys.stderr)
        return error.exit_code
    print("\n".join(problems) or f"{options.file}: nothing wrong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
