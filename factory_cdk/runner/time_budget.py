"""How much of the runner's time one worker may use: a bot that prints or sends without end holds up no other bot."""

from __future__ import annotations

from collections.abc import Callable

from factory_cdk.runner.ports import Clock, Timer

WINDOW = 0.1
"""Seconds over which time is counted."""

SHARE = 0.1
"""The part of a window that one worker's messages and output may use; what is left of them waits for the next one. One
that uses more than a window at once, for a result of megabytes, waits as long as that took.
"""


class TimeBudget:
    """The time that one worker may take up. `overdrawn` until the window ends in which it took too much."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends = 0.0
        self._taken = 0.0

    @property
    def overdrawn(self) -> bool:
        """Whether its messages and output have to wait."""
        return self._taken > SHARE * WINDOW and self._clock.monotonic() < self._ends

    def take(self, seconds: float) -> None:
        """Count `seconds` that were spent on it."""
        now = self._clock.monotonic()
        if now >= self._ends:
            self._ends, self._taken = now + max(WINDOW, seconds), 0.0
        self._taken += seconds

    def when_left(self, then: Callable[[], object]) -> Timer:
        """Call `then` soon or, when overdrawn, in the next window."""
        return self._clock.call_later(self._ends - self._clock.monotonic() if self.overdrawn else 0.0, then)
