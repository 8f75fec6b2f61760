"""What SQLite and the disk can refuse, as FactoryErrors that name the file and what to do about it."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import DamagedError

_FULL = "free some space on its disk (nothing that was acknowledged is lost), then run the command again"
_READ_ONLY = "make the file and its folder writable, or set FACTORY_CDK_HOME to a folder that is"
_CORRUPT = (
    "stop the factory, keep a copy of the file with its -wal beside it, and see what is left with "
    "`python -m factory_cdk.queues.sqlite.check FILE`"
)
_BUSY = "another program holds the file: end it (or bring it to the foreground), then run the command again"
_DISK = "look at the disk (dmesg, its free space and quota), then run the command again"

_BY_CODE = {
    sqlite3.SQLITE_FULL: ("the disk is full", _FULL),
    sqlite3.SQLITE_READONLY: ("it cannot be written", _READ_ONLY),
    sqlite3.SQLITE_PERM: ("access is denied", _READ_ONLY),
    sqlite3.SQLITE_AUTH: ("access is denied", _READ_ONLY),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", _READ_ONLY),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", _CORRUPT),
    sqlite3.SQLITE_NOTADB: ("it is not a queue database", _CORRUPT),
    sqlite3.SQLITE_BUSY: ("it stayed locked", _BUSY),
    sqlite3.SQLITE_LOCKED: ("it stayed locked", _BUSY),
    sqlite3.SQLITE_PROTOCOL: ("it stayed locked", _BUSY),
    sqlite3.SQLITE_IOERR: ("the disk refused", _DISK),
}
_BY_ERRNO = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("the disk quota is used up", _FULL),
    errno.EROFS: ("the file system is read-only", _READ_ONLY),
    errno.EACCES: ("access is denied", _READ_ONLY),
    errno.EPERM: ("access is denied", _READ_ONLY),
    errno.ENOTDIR: ("its folder is a file", _READ_ONLY),
}


def explained(path: Path, error: sqlite3.Error | OSError) -> FactoryError:
    """The FactoryError for what went wrong with the database at `path`."""
    if isinstance(error, OSError):
        what, remedy = _BY_ERRNO.get(error.errno or 0, ("the disk refused", _DISK))
    else:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary code
        what, remedy = _BY_CODE.get(code, ("it cannot be used", _CORRUPT))
    kind = DamagedError if remedy is _CORRUPT else FactoryError
    return kind(f"queue database {path}: {what} ({error})", remedy)


@contextlib.contextmanager
def faults_explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise inside into FactoryErrors that name `path`."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
        raise explained(path, error) from error
