"""The write lock: who writes to a queue database takes a `flock` first, then begins the transaction.

SQLite's own lock makes a loser sleep and try again; queueing for a `flock` instead nearly doubles what
several writers get done. The kernel drops it when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from factory_cdk.diagnostics import FactoryError

_FIRST_PAUSE = 0.00002
_LONGEST_PAUSE = 0.001
_PROC_LOCKS = Path("/proc/locks")


class WriteLock:
    """An exclusive lock on a file of its own, for one holder of this process at a time.

    `patience` is in seconds: how long `acquire` waits for another process before it raises FactoryError,
    naming that process where the system tells (a holder that was suspended would block everybody for ever).
    """

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; whether it was."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self) -> None:
        """Take the lock. Raises FactoryError when another process keeps it for longer than `patience`."""
        if not self.try_acquire():
            self._wait()

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            if self.try_acquire():
                return
        holder = self._holder()
        who = f"process {holder}" if holder else "another process"
        raise FactoryError(
            f"{self._path}: {who} has held the write lock for more than {self._patience:g} s",
            f"continue or end {who}: a suspended program (Ctrl-Z) keeps the lock; then run the command again",
        )

    def _holder(self) -> int | None:
        """The process id that /proc/locks names for our file, if the system has such a file."""
        inode = os.fstat(self._descriptor).st_ino
        try:
            text = _PROC_LOCKS.read_text()
        except OSError:
            return None
        found = re.search(rf"FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+\S+:{inode}\s", text)
        return int(found.group(1)) if found else None
