"""Which process has a run in hand, so that another can tell whether it is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """The running process, by its host, its id and when it was started."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether it is certain that the process that `this_process` named is gone: it is this one, or was on this host."""
    host, pid, started = owner.rsplit(":", 2)
    if owner == this_process():
        return True
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process was started, in ticks since the host was; empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
