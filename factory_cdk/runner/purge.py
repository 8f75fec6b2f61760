"""Housekeeping of a stage's queues, beside the runner's loop: nothing of it holds a job up."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from factory_cdk.queues.sqlite.engine import SqliteQueues

AT_ONCE = 200
"""How many old jobs are forgotten in one transaction, for which everybody else waits."""


def tidy(database: Path, keep: float, stop: threading.Event) -> int:
    """Remove payloads that killed processes left behind, and forget jobs that became final more than `keep` seconds
    ago, dead letters excepted; answers how many, and returns early when told to `stop`.

    A clock that is set far ahead by mistake makes nothing old: the steady clock has to agree. To be called in a
    thread of its own: it opens the queues anew. FactoryError.
    """
    forgotten = 0
    with SqliteQueues(database) as queues:
        queues.history.sweep()
        before = min(time.time(), queues.now()) - keep
        while not stop.is_set():
            found = queues.history.purge(before, n=AT_ONCE)
            forgotten += found
            if found < AT_ONCE:
                break
    return forgotten
