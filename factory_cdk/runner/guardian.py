"""The guardian: a tiny process that outlives the runner and ends what is left of its workers, and of all they started.

It is the runner's parent, so that on Linux all that the runner leaves behind is given to it (subreaper.py), whatever
session or group it may have moved to. Where there is no such thing it ends the process groups of the workers.

A worker ends itself too (worker/lifeline.py), but one whose bot holds the interpreter's lock can be ended by
the kernel alone, which leaves the bot's own children.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Protocol

from factory_cdk.runner.ports import ProcessGuard
from factory_cdk.runner.subreaper import Orphans, adopt, end_all

IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

RUNNER_PATIENCE, PATIENCE = 1.0, 10.0
"""Seconds for which the runner, then the guardian, try to end what is left."""

GUARDIAN_GONE = (
    "the guardian was killed: should the runner be, too, what bots have started in sessions of their own would go on"
)
"""Said once; the workers' own lifelines (worker/lifeline.py) remain."""


def guard(*, pass_on: bool) -> ParentGuardian:
    """Fork: the child, in which this returns, is the runner; this process stays, as its guardian, and ends with its
    exit code. `pass_on`: SIGTERM is meant for the runner; else it is ignored.

    To be called before any thread, lock or loop exists.
    """
    adopt()
    reader, writer = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    runner = os.fork()
    if runner == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reader)
        adopt()
        return ParentGuardian(writer)
    code = 70
    try:
        os.close(writer)
        signal.signal(signal.SIGTERM, (lambda *_: _send_term(runner)) if pass_on else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = _guard(runner, reader)
    finally:
        os._exit(code)


class Guardian(ProcessGuard, Protocol):
    """Ends what workers leave behind, each of which leads a process group and is a child of the runner."""

    def report_to(self, note: Callable[[str], None]) -> None:
        """From now on `note` gets a line about what was ended that a worker had left behind."""

    def look(self) -> None:
        """To be called now and then: what bots left behind and has ended is waited for."""

    def dismiss(self) -> None:
        """The runner is about to end, and has no worker any more: end what is left."""


class ParentGuardian:
    """The runner's end of the guardian that is its parent."""

    def __init__(self, writer: int) -> None:
        self._writer = writer
        self._gone_noted = False
        self._note: Callable[[str], None] = lambda _: None
        self._orphans = Orphans()

    def report_to(self, note: Callable[[str], None]) -> None:
        """From now on `note` gets a line about what was ended that a worker had left behind, and about its own end."""
        self._note = self._orphans.note = note

    def watch(self, pid: int, mark: str) -> None:
        """`pid`, which leads a process group, is a worker and a child of the runner; `mark` is its own (process.py)."""
        self._tell(f"+{pid}\n")
        self._orphans.expect(pid, mark)

    def forget(self, pid: int) -> None:
        """`pid` has ended: what it left behind is ended too."""
        self._tell(f"-{pid}\n")
        self._orphans.forget(pid)

    def look(self) -> None:
        """To be called now and then: what bots left behind and has ended is waited for."""
        self._orphans.look()

    def dismiss(self) -> None:
        """The runner is about to end, and has no worker any more: end what is left."""
        end_all(RUNNER_PATIENCE)

    def _tell(self, line: str) -> None:
        try:
            os.write(self._writer, line.encode())
        except BrokenPipeError:
            if not self._gone_noted:
                self._gone_noted = True
                self._note(GUARDIAN_GONE)


def _send_term(runner: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.kill(runner, signal.SIGTERM)


def _guard(runner: int, reader: int) -> int:
    """Live on as the guardian until the runner has ended; its exit code."""
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
    _, status = os.waitpid(runner, 0)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    end_all(PATIENCE)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
