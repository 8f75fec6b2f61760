"""The bots of the storm. Each notes what it begins and ends in a file of its own process, which only grows, so that
what happened is known without asking the engine.

The lines: `begin ID ATTEMPT NONCE WALL MONOTONIC`, the nonce being the one that came with the payload, then
`fail ID ATTEMPT`, or `end ID ATTEMPT NONCE`, with the one that goes on. A nonce is random, so it says which execution a
result is of.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

NOTES = os.open(
    f"{os.environ['STORM_NOTES']}/{os.getpid()}.{time.monotonic_ns()}.notes",
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL,
    0o600,
)


def note(*words: object) -> None:
    """Append a line, in one write."""
    os.write(NOTES, (" ".join(map(str, words)) + "\n").encode())


def work(job: Any) -> dict[str, Any]:
    """Take a moment, seldom a long one, fail by chance, and pass the payload on with a nonce of its own."""
    note("begin", job.id, job.attempt, job.payload["nonce"], time.time(), time.monotonic())
    dice = random.Random(f"{job.id} {job.attempt}")  # noqa: S311
    if dice.random() < 0.02:
        note("fail", job.id, job.attempt)
        raise OSError("by chance")
    time.sleep(dice.choice([0, 0.002, 0.01] if dice.random() < 0.95 else [0.1, 0.5]))
    nonce = os.urandom(8).hex()
    note("end", job.id, job.attempt, nonce)
    return {**job.payload, "nonce": nonce}
