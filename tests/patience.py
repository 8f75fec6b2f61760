"""How long tests wait for what has to happen, and how.

The deadline is there for what never happens: one that is met costs nothing, so it is generous, for machines that are
slow, or busy with something else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from factory_cdk.diagnostics import FactoryError

T = TypeVar("T")

PATIENCE = 180.0
"""Seconds."""


def until(reached: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """What `reached` answers, asked again and again until that is true; fails after `patience` seconds.

    What is not there yet (a file, a stage, a worker in its status) counts as no answer.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = reached()
        except (FactoryError, StopIteration, FileNotFoundError, ProcessLookupError):
            answer = None
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {patience:g} s in vain"
        time.sleep(0.005)
