"""Orphans: processes that bots left behind, in a session of their own perhaps, so that no signal to a group ends them.

Linux gives a process whose parent has ended to the nearest of its ancestors that asked for such (prctl(2), "child
subreaper"). The runner asks, so it gets what its workers leave behind, and its guardian (guardian.py), so it gets what
the runner does. Neither starts any process but workers: what they are given comes from a bot, by descent, and nothing
else ever does. On other systems orphans are nobody's, and live on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from factory_cdk.worker.prctl import SET_CHILD_SUBREAPER, prctl

MARK = "FACTORY_PROCESS"
"""The variable that says which worker a process comes from, unless it was started without it."""

SOON = 0.02
"""Seconds between two looks while something is being ended: what it leaves behind comes to light only then."""


NAMED = 3
"""So many of those that are ended at once are named."""


def adopt() -> bool:
    """Be given orphans from now on, and be told how they end; False where the system has no such thing, or does not say
    who they are (a kernel without CONFIG_PROC_CHILDREN): nobody would wait for them then.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started us may have had it ignored, and we inherited that
    return Path(f"/proc/self/task/{os.getpid()}/children").exists() and prctl(SET_CHILD_SUBREAPER, 1)


def children(pid: int | str = "self") -> set[int]:
    """The processes that are children of process `pid`, those that have ended and were not waited for among them."""
    found: set[int] = set()
    with contextlib.suppress(OSError):  # it has ended, or there is no /proc
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found.update(map(int, (thread / "children").read_bytes().split()))
    return found


def end_all(patience: float) -> bool:
    """Kill everything that descends from this process, wait for it, and answer whether nothing is left.

    All are stopped before the first is killed: what forks all the time cannot slip away. Tried for `patience` seconds:
    some may be root's, by sudo, and what waits for a broken disk cannot be killed.
    """
    deadline = time.monotonic() + patience
    while True:
        seen: set[int] = set()
        while (found := _descendants() - seen) and time.monotonic() <= deadline:
            _send(found, signal.SIGSTOP)
            seen |= found
        _send(seen, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not children():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)


def _descendants() -> set[int]:
    found: set[int] = set()
    level = children()
    while level:
        found |= level
        level = {below for pid in level for below in children(pid)} - found
    return found


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _mark(pid: int) -> str | None:
    """The MARK that a process was started with; None when it has none, or keeps its variables to itself."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    start = f"{MARK}=".encode()
    return next((one[len(start) :].decode(errors="replace") for one in variables if one.startswith(start)), None)


class Orphans:
    """Those that were given to this process, each ended when the worker is gone that it comes from. One that does not
    say comes from one of the workers that are there when it turns up, and is ended when the last of these is gone.
    `note` is told what was ended.
    """

    def __init__(self) -> None:
        self.note: Callable[[str], None] = lambda _: None
        self._ours: dict[int, str | None] = {}
        self._suspects: dict[int, set[int]] = {}
        self._doomed: set[int] = set()
        self._unsaid: int | None = None
        self._again: asyncio.TimerHandle | None = None

    def expect(self, pid: int, mark: str) -> None:
        """`pid`, known by its `mark`, is a worker of ours from now on."""
        self._ours[pid] = None
        self.look()  # whoever is here already does not come from it
        self._ours[pid] = mark

    def forget(self, pid: int) -> None:
        """`pid` has ended, and was waited for: end what it left behind."""
        self._ours.pop(pid, None)
        self.look()

    def look(self) -> None:
        """Take note of who was given to us, wait for those that have ended, and end those whose worker is gone."""
        if self._again:
            self._again.cancel()
            self._again = None
        strangers = {pid for pid in children() - self._ours.keys() if not os.waitpid(pid, os.WNOHANG)[0]}
        known = self._suspects
        self._suspects = {pid: known[pid] if pid in known else self._origins(pid) for pid in strangers}
        doomed = {pid for pid, suspects in self._suspects.items() if not suspects & self._ours.keys()}
        self._tell(doomed - self._doomed, last=not doomed)
        self._doomed = doomed
        _send(doomed, signal.SIGKILL)
        if doomed:
            self._again = asyncio.get_running_loop().call_later(SOON, self.look)

    def _tell(self, new: set[int], *, last: bool) -> None:
        """Say whose end has begun and, when more of them came to light until the last was gone, how many."""
        if new and self._unsaid is None:
            self._unsaid = 0
            what = "a process" if len(new) == 1 else f"{len(new)} processes"
            self.note(f"{what} that a worker left behind {'is' if len(new) == 1 else 'are'} ended: {_named(new)}")
        elif new:
            self._unsaid = (self._unsaid or 0) + len(new)
        elif last:
            if self._unsaid:
                self.note(f"{self._unsaid} more that came from there {'is' if self._unsaid == 1 else 'are'} ended")
            self._unsaid = None

    def _origins(self, pid: int) -> set[int]:
        workers = {ours: mark for ours, mark in self._ours.items() if mark}
        its = _mark(pid)
        return {ours for ours, mark in workers.items() if its in (None, mark)}


def _named(pids: Iterable[int]) -> str:
    """The first of `pids`, each with the name of its program."""
    first = sorted(pids)
    names = []
    for pid in first[:NAMED]:
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_bytes().decode(errors="replace").removesuffix("\n")
            names.append(f"{pid} ({name if name.isprintable() else '?'})")
    return ", ".join([*names, *(["…"] if len(first) > NAMED else [])])
