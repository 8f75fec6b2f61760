"""The names of steps."""

from __future__ import annotations

import re

STEP_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"


def is_step_name(text: str) -> bool:
    """Whether `text` can be the name of a step; `and` and `or` mean something else in conditions."""
    return re.fullmatch(STEP_NAME, text) is not None
