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
from factory_cdk.home import sync_folder
from factory_cdk.plan.model import Json
from factory_cdk.queues.sqlite.faults import faults_explained
from factory_cdk.queues.values import decode, encode

INLINE_BYTES = 1024
FILE_BYTES = 1024 * 1024
STAGING = ".staging-"

Sync = Callable[[int], None]
Column = str | int | None
"""What a column of `jobs` holds: JSON text, or the number of a body."""


@dataclass(slots=True)
class Large:
    """An encoded value that is too large for its row. `beside`: it goes into a file beside the database, which
    `staged` is once it is written and synced; else its text goes into the database.
    """

    sha256: str
    text: str
    beside: bool
    staged: Path | None = None


Encoded = str | Large


class Bodies:
    """The bodies of one database. `sync` makes an open file's content durable (os.fsync)."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, sync: Sync) -> None:
        self._connection = connection
        self.folder = folder
        self._sync = sync

    def encode(self, value: Json, what: str, job_id: str) -> Encoded:
        """`value` as it will be kept. UnstorableError, naming `what` of which job, as `values.encode` says."""
        text = encode(value, what, job_id)
        if len(text) <= INLINE_BYTES:
            return text
        return Large(hashlib.sha256(text.encode("ascii")).hexdigest(), text, len(text) > FILE_BYTES)

    def stage(self, large: Large) -> None:
        """Write the file of a value that goes beside the database. Call it outside of a transaction: it waits for the
        disk.
        """
        path = self.folder / (STAGING + secrets.token_hex(8))
        with faults_explained(self.folder):
            self.folder.mkdir(exist_ok=True, mode=0o700)
            try:
                with path.open("xb") as file:
                    file.write(large.text.encode("ascii"))
                    file.flush()
                    self._sync(file.fileno())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        large.staged = path

    def keep(self, encoded: Encoded) -> Column:
        """Count one more use; answers what the column holds. Call it inside the transaction, a staged value given."""
        if isinstance(encoded, str):
            return encoded
        run = self._connection.execute
        row = run("UPDATE bodies SET uses = uses + 1 WHERE sha256 = ? RETURNING num", (encoded.sha256,)).fetchall()
        if row:
            return int(row[0][0])
        if encoded.staged is not None:
            self._place(encoded.staged, self.path(encoded.sha256))
        num = run("INSERT INTO bodies (sha256, uses) VALUES (?, 1)", (encoded.sha256,)).lastrowid
        if not encoded.beside:
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

    def _place(self, staged: Path, path: Path) -> None:
        """Give the synced file its name, durably. The write lock is held, so nobody removes it meanwhile."""
        path.parent.mkdir(exist_ok=True, mode=0o700)
        staged.replace(path)  # a file left there by a power loss has the same content
        for folder in (path.parent, self.folder, self.folder.parent):
            sync_folder(folder, self._sync)
