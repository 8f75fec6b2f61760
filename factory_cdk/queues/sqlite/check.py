"""What is wrong with a queue database, and what of a damaged one can be saved.

    python -m factory_cdk.queues.sqlite.check FILE [--rescue NEW]

The check only reads. A rescue (rescue.py) copies every job that can still be read into a new database. Of a stage that
is built, `factory-cdk jobs check` and `jobs rescue` take care. Exit 0: nothing wrong (or all saved); 1: something is.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import DamagedError
from factory_cdk.queues.sqlite.faults import faults_explained
from factory_cdk.queues.sqlite.file import Paths
from factory_cdk.queues.sqlite.missing import refuse_missing
from factory_cdk.queues.sqlite.rescue import rescue
from factory_cdk.queues.sqlite.schema import refuse_other_versions, version

_NAMED = """
SELECT sha256 FROM bodies WHERE num NOT IN (SELECT num FROM contents)
AND num IN (SELECT payload FROM jobs UNION SELECT result FROM jobs)"""


def check(path: Path) -> tuple[str, ...]:
    """Every problem of the database at `path`, one sentence each; none when it is sound.

    It reads the whole file and every payload beside it. Raises FactoryError if there is no such file, or it
    is of a newer version.
    """
    _must_exist(path)
    if Paths(path.absolute()).log_is_missing:
        return (f"{path}: its log (-wal) is missing, and with it what was done last",)
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


def check_built(path: Path) -> tuple[str, ...]:
    """As `check`; that the database or its log is missing is a problem like others."""
    try:
        refuse_missing(path)
    except DamagedError as error:
        return (error.message,)
    return check(path)


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
    """A connection that changes nothing, not even as it is closed."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise FactoryError(f"there is no queue database {path}", "name the queues' file of a factory's state")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, or rescue, and say what was found; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m factory_cdk.queues.sqlite.check", description="check a queue database"
    )
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
