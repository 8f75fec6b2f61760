"""Large payloads and results: kept once per content, in the database or, over 1 MiB, in a file beside it.

A row of `jobs` is rewritten at every step of the job, so only JSON up to `INLINE_BYTES` lives in it. What is
larger is stored once per SHA-256 and counted: the payload of a successor is its parent's result, and a
fan-out sends it many times. A file is synced before the row that names it is committed, and removed only
when the row's end is on disk, so that no power loss leaves a job without its payload.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.queues.sqlite.faults import faults_explained
from factory_cdk.worker.depth import DEEPEST, check_depth
from factory_cdk.worker.jsontext import decode_text, encode_text
from factory_cdk.worker.size import TooLargeError, check_size

INLINE_BYTES = 1024
FILE_BYTES = 1024 * 1024
STAGING = ".staging-"

Sync = Callable[[int], None]
Column = str | int | None
"""What a column of `jobs` holds: JSON text, or the number of a body."""


def decode(text: str) -> Json:
    """What a stored JSON text says. FactoryError when it cannot be read."""
    try:
        return decode_text(text)
    except (ValueError, RecursionError) as error:
        raise FactoryError(f"a stored value cannot be read ({error})", "cancel the job that has it") from error


@dataclass(frozen=True, slots=True)
class Large:
    """An encoded value that is too large for its row. `staged` is its synced file when it goes beside the
    database; `text` is the JSON when it goes into it.
    """

    sha256: str
    text: str | None
    staged: Path | None


Encoded = str | Large


class UnstorableError(FactoryError):
    """One value cannot be stored, for what it is: trying again is of no use, the queues themselves are well."""


class Bodies:
    """The bodies of one database. `sync` makes an open file's content durable (os.fsync)."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, sync: Sync) -> None:
        self._connection = connection
        self.folder = folder
        self._sync = sync

    def encode(self, value: Json, what: str, job_id: str) -> Encoded:
        """`value` as it will be kept; over 1 MiB it is staged in a file. Call it outside of a transaction.
        Raises UnstorableError, naming `what` of which job, if it is not JSON, too large or too deep.
        """
        try:
            text = encode_text(value)
            check_size(len(text))
            if len(text) > DEEPEST:  # it takes a character to go a level down
                check_depth(value, text)
        except TooLargeError as error:
            raise UnstorableError(f"the {what} of job {job_id} is not kept: {error}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise UnstorableError(
                f"the {what} of job {job_id} is not JSON: {error}", "submit and return JSON only"
            ) from error
        if len(text) <= INLINE_BYTES:
            return text
        body = text.encode("ascii")
        sha256 = hashlib.sha256(body).hexdigest()
        if len(body) <= FILE_BYTES:
            return Large(sha256, text, None)
        return Large(sha256, None, self._stage(body))

    def keep(self, encoded: Encoded) -> Column:
        """Count one more use; answers what the column holds. Call it inside the transaction."""
        if isinstance(encoded, str):
            return encoded
        run = self._connection.execute
        row = run("UPDATE bodies SET uses = uses + 1 WHERE sha256 = ? RETURNING num", (encoded.sha256,)).fetchall()
        if row:
            return int(row[0][0])
        if encoded.staged is not None:
            self._place(encoded.staged, self.path(encoded.sha256))
        num = run("INSERT INTO bodies (sha256, uses) VALUES (?, 1)", (encoded.sha256,)).lastrowid
        if encoded.text is not None:
            run("INSERT INTO contents VALUES (?, ?)", (num, encoded.text))
        return num

    def load(self, column: Column) -> Json:
        """The value of a column; None for one that was never set. Raises FactoryError when the file of a
        large one is missing.
        """
        if column is None:
            return None
        if isinstance(column, str):
            return decode(column)
        row = self._connection.execute("SELECT body FROM contents WHERE num = ?", (column,)).fetchone()
        if row is not None:
            return decode(row[0])
        row = self._connection.execute("SELECT sha256 FROM bodies WHERE num = ?", (column,)).fetchone()
        path = self.path(row[0]) if row else self.folder
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise FactoryError(
                f"the payload in {path} cannot be read ({error})",
                "bring the file back from a copy, or cancel the jobs that need it",
            ) from error

    def drop(self, column: Column) -> Path | None:
        """Count one use less. Answers the file that is to be removed once that is on disk. Call it inside
        the transaction.
        """
        if not isinstance(column, int):
            return None
        run = self._connection.execute
        sha256, uses = run("SELECT sha256, uses FROM bodies WHERE num = ?", (column,)).fetchone()
        if uses > 1:
            run("UPDATE bodies SET uses = uses - 1 WHERE num = ?", (column,))
            return None
        run("DELETE FROM bodies WHERE num = ?", (column,))
        in_database = run("DELETE FROM contents WHERE num = ?", (column,)).rowcount
        return None if in_database else self.path(sha256)

    def path(self, sha256: str) -> Path:
        """The file of a body over 1 MiB."""
        return self.folder / sha256[:2] / sha256

    def is_used(self, path: Path) -> bool:
        """Whether a job needs the file at `path`."""
        query = "SELECT 1 FROM bodies WHERE sha256 = ?"
        return self._connection.execute(query, (path.name,)).fetchone() is not None

    def files(self) -> Iterator[Path]:
        """Every file in the folder, staged ones included."""
        for folder, _, names in os.walk(self.folder):
            yield from (Path(folder, name) for name in names)

    def _stage(self, body: bytes) -> Path:
        path = self.folder / (STAGING + secrets.token_hex(8))
        with faults_explained(self.folder):
            self.folder.mkdir(exist_ok=True, mode=0o700)
            try:
                with path.open("xb") as file:
                    file.write(body)
                    file.flush()
                    self._sync(file.fileno())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    def _place(self, staged: Path, path: Path) -> None:
        """Give the synced file its name, durably. The write lock is held, so nobody removes it meanwhile."""
        path.parent.mkdir(exist_ok=True, mode=0o700)
        staged.replace(path)  # a file left there by a power loss has the same content
        for folder in (path.parent, self.folder, self.folder.parent):
            sync_folder(folder, self._sync)


def sync_folder(folder: Path, sync: Sync) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
