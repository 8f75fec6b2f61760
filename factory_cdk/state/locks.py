"""Locks on files and folders, which the kernel lets go of when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from factory_cdk.home import FULL, disk, disk_error, make_private


def take_lock(path: Path, *, wait: float = 0.0) -> int | None:
    """Take the lock at `path`, trying for `wait` seconds; returns its descriptor, to be closed by the holder.

    None when someone else holds it. The file holds the pid of the holder, for messages; the kernel lets go
    of the lock when the holder dies. FactoryError when the file cannot be written.
    """
    deadline = time.monotonic() + wait
    with disk(path):
        while (descriptor := _open_locked(path)) is None:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.01)
    return descriptor


def take_folder(folder: Path, *, shared: bool, wait: float = 0.0) -> int | None:
    """Take the lock of `folder` itself, alone or `shared`, trying for `wait` seconds; its descriptor as `take_lock`.

    The lock goes with the folder, and nothing is left of it. None when someone holds it otherwise.
    FileNotFoundError when there is no such folder, or no longer; FactoryError when it cannot be read.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise disk_error(error, folder) from error
        if _try_lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if _is_at(descriptor, folder):
                return descriptor
            os.close(descriptor)
            continue  # it was removed before we had it: there is none now, or another
        os.close(descriptor)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)


def _open_locked(path: Path) -> int | None:
    make_private(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # whoever held it took the folder away with it
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, path):
            _name_holder(descriptor)
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _name_holder(descriptor: int) -> None:
    """Write down who holds the lock. A full disk keeps nobody from holding it: the name is for messages."""
    name = str(os.getpid()).encode()
    try:
        os.pwrite(descriptor, name, 0)  # over the last one, whose room is kept for it
        os.truncate(descriptor, len(name))
    except OSError as error:
        if error.errno not in FULL:
            raise
        os.truncate(descriptor, 0)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file is still the one at `path`: its last holder may have removed it."""
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def holding(descriptor: int) -> Iterator[None]:
    """Let go of the lock `descriptor` at the end of the block."""
    try:
        yield
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> int | None:
    """The pid of whoever holds the lock at `path` (0 when it has not said yet); None when nobody does. FactoryError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(error, path) from error
    with holding(descriptor):
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        said = os.pread(descriptor, 20, 0)
        return int(said) if said.isdigit() else 0


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
