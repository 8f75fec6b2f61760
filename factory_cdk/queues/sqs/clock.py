"""The clock of AWS, as its answers tell it: the runners of a stage agree on the time whatever their machines think."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

_TOLERANCE = 2.0
"""Seconds by which clocks may differ unnoticed: answers tell whole seconds, and take their time."""


class ServiceClock:
    """Seconds since the epoch on the clock of the service that has answered last; this machine's until one has."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """The time."""
        return time.time() + self._ahead

    def hear(self, answer: Mapping[str, Any]) -> None:
        """Take the time from an answer's headers."""
        told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not told:
            return
        try:
            ahead = parsedate_to_datetime(told).timestamp() + 0.5 - time.time()
        except (ValueError, TypeError):
            return
        if abs(ahead - self._ahead) > _TOLERANCE:
            self._ahead = ahead if abs(ahead) > _TOLERANCE else 0.0
