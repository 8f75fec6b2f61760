"""How deep JSON may be nested: what is deeper would exhaust the stack of whoever reads it."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from typing import Any

DEEPEST = 200
"""Lists and mappings within each other, in payloads and results. Python's own JSON reader gives up near 1000."""


def check_depth(value: Any, text: str) -> None:
    """ValueError when `value`, whose JSON is `text`, is nested deeper than DEEPEST.

    Most values have fewer brackets than that, and only those of others are walked.
    """
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    level = [value]
    for _ in range(DEEPEST):
        below = []
        for one in level:
            if isinstance(one, dict):
                below += [part for part in one.values() if isinstance(part, (dict, list, tuple))]
            elif isinstance(one, (list, tuple)):
                below += [part for part in one if isinstance(part, (dict, list, tuple))]
        if not below:
            return
        level = below
    raise ValueError(f"nested deeper than {DEEPEST} levels")
