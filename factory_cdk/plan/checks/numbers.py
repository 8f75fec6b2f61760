"""Numbers and booleans as CloudFormation reads them."""

from __future__ import annotations

from typing import Any


def number(value: Any) -> float | None:
    """`value` as CloudFormation reads it where it wants a number; None when it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def is_true(value: Any) -> bool:
    """Whether CloudFormation reads `value` as true; it takes the text, too."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
