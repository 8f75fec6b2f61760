"""The guardian: a tiny process beside the runner that ends all workers, and their children, when the runner dies.

A worker ends itself too (worker/lifeline.py), but one whose bot holds the interpreter's lock can be ended by
the kernel alone, which leaves the bot's own children; the guardian knows every worker's process group.
"""

from __future__ import annotations

import contextlib
import os
import signal

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Guardian:
    """The runner's end. Make it before any thread, lock or loop exists: it forks."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _guard(reader)
            finally:
                os._exit(0)
        os.close(reader)

    def watch(self, group: int) -> None:
        """End the process group `group` when the runner dies."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """The process group `group` has ended."""
        self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        """Let the guardian end; it ends whom it still watches."""
        os.close(self._writer)
        os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was killed: the workers' own lifelines remain
            os.write(self._writer, line.encode())


def _guard(reader: int) -> None:
    """Live on as the guardian until the pipe ends."""
    os.setsid()
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(reader, 3)
    for standard in range(3):
        os.dup2(null, standard)
    os.closerange(4, 1 << 20)
    os.chdir("/")
    groups: set[int] = set()
    rest = b""
    while received := os.read(3, 65536):
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
