"""Housekeeping of a stage's queues, beside the runner's loop: nothing of it holds a job up."""

from __future__ import annotations

import threading

from factory_cdk.queues.opening import Location, open_queues

AT_ONCE = 200
"""How many old jobs are forgotten in one transaction, for which everybody else waits."""


def tidy(location: Location, keep: float, stop: threading.Event) -> int:
    """Remove payloads that killed processes left behind, and forget jobs that became final more than `keep` seconds
    ago, dead letters excepted; answers how many, and returns early when told to `stop`.

    To be called in a thread of its own: it opens the queues anew. FactoryError.
    """
    forgotten = 0
    with open_queues(location) as queues:
        queues.history.sweep()
        while not stop.is_set():
            found = queues.history.purge(keep, n=AT_ONCE)
            forgotten += found
            if found < AT_ONCE:
                break
    return forgotten
