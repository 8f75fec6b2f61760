"""How a verb tells what it is doing: the caller gives a function that takes lines."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes a line of progress; `print` will do."""


def silent(line: str) -> None:
    """No progress."""
