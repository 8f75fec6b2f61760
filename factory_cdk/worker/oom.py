"""Whom the kernel ends when memory runs out: a worker, or what it started, rather than the runner of all of them."""

from __future__ import annotations

import contextlib

HANDICAP = 100
"""Added to what a worker has inherited; counts as if it had a tenth of the machine's memory more. See proc(5)."""

MOST = 1000


def offer(file: str = "/proc/self/oom_score_adj") -> None:
    """Let this process, and those that it starts, be ended before others; nothing where the system is not Linux."""
    with contextlib.suppress(OSError, ValueError):
        with open(file) as present:  # noqa: PTH123
            inherited = int(present.read())
        with open(file, "w") as changed:  # noqa: PTH123
            changed.write(str(min(MOST, inherited + HANDICAP)))
