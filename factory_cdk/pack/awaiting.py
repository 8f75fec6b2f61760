"""Waiting for work in threads, in a way that a Ctrl-C always ends.

A signal that comes when the interpreter has looked for one already, and has not begun to wait yet, wakes nobody: a main
thread that waits without end hears of it when the work is done, which may be never. So it waits for moments.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

MOMENT = 0.2
"""Seconds that one wait of a main thread lasts at most."""


def results(attempts: Sequence[Future[T]]) -> list[T]:
    """What all of `attempts` come to; raises what the first one that fails raises, as soon as it does."""
    left: Collection[Future[T]] = attempts
    while left:
        done, left = wait(left, MOMENT, FIRST_EXCEPTION)
        for attempt in done:
            attempt.result()
    return [attempt.result() for attempt in attempts]


def all_ended(attempts: Sequence[Future[Any]]) -> None:
    """Wait until all of `attempts` have ended, however they did."""
    while wait(attempts, MOMENT).not_done:
        pass
