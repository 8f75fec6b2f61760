"""How often something is looked at that takes from a moment to an hour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

FIRST, LONGEST, GROWTH = 0.2, 5.0, 1.4
"""Seconds between two looks: the first ones, those when nothing has happened for long, and how they grow."""


@dataclass
class Pace:
    """Pauses that grow while nothing happens, up to `longest` seconds."""

    first: float = FIRST
    longest: float = LONGEST

    def __post_init__(self) -> None:
        self._pause = self.first

    def looks(self) -> Iterator[None]:
        """One item for each look, with pauses between them; `again` makes them short again."""
        self.again()
        while True:
            yield
            time.sleep(self._pause)
            self._pause = min(self.longest, self._pause * GROWTH)

    def again(self) -> None:
        """Something has happened: the next look is soon."""
        self._pause = self.first
