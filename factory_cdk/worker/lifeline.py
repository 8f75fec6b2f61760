"""A worker whose runner dies ends itself at once, with everything that it has started.

Two ropes, because each has a hole. The kernel's parent-death signal works even while the bot holds the
interpreter's lock, but knows nothing of the bot's own children. A thread that waits for the socket's end takes
the whole process group, but needs the interpreter's lock for a moment. (The runner's guardian process is the
third: it ends the group when both the runner and the lock are lost.)
"""

from __future__ import annotations

import os
import select
import signal
import threading

from .prctl import SET_PDEATHSIG, prctl


def end_group() -> None:
    """Kill this process and its process group, if it has one of its own; does not return."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def tie(descriptor: int) -> None:
    """From now on, end this process when the other end of the socket `descriptor` is closed or its parent dies."""
    prctl(SET_PDEATHSIG, signal.SIGKILL)  # without it, the socket and the guardian remain
    threading.Thread(target=_watch, args=(descriptor,), name="factory-lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # no events: only the end is reported, data does not wake this thread
    while True:
        if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll()):
            end_group()
