"""Housekeeping of a stage's queues, beside the runner's loop: nothing of it holds a job up."""

from __future__ import annotations

import threading
from pathlib import Path

from factory_cdk.queues.sqlite import SqliteQueues

AT_ONCE = 200
"""How many old jobs are forgotten in one transaction, for which everybody else waits."""


def tidy(database: Path, before: float, stop: threading.Event) -> int:
    """Remove payloads that killed processes left behind, and forget jobs that became final before `before`
    (seconds since the epoch), dead letters excepted; answers how many, and returns early when told to `stop`.

    To be called in a thread of its own: it opens the queues anew. FactoryError.
    """
    forgotten = 0
    with SqliteQueues(database) as queues:
        queues.history.sweep()
        while not stop.is_set():
            found = queues.history.purge(before, n=AT_ONCE)
            forgotten += found
            if found < AT_ONCE:
                break
    return forgotten
