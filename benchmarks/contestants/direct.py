"""A direct call: the chain as three function calls in one process, nothing kept."""

from __future__ import annotations

import time


def _add(number: int) -> int:
    return number + 1


def calls(chains: int) -> float:
    """Seconds of `chains` chains."""
    begun = time.perf_counter()
    for number in range(chains):
        assert _add(_add(_add(number))) == number + 3
    return time.perf_counter() - begun
