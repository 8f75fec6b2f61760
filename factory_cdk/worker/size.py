"""How large a payload or result may be: runners hold them in memory, and as Python objects up to 45 times over."""

from __future__ import annotations

LARGEST_PAYLOAD = 8 << 20
"""Bytes of its JSON, in which letters beyond ASCII are escaped."""


class TooLargeError(ValueError):
    """A payload or result is too large."""


def check_size(size: int) -> None:
    """TooLargeError when `size` bytes of JSON are too many."""
    if size > LARGEST_PAYLOAD:
        raise TooLargeError(
            f"it has more than {LARGEST_PAYLOAD >> 20} MiB as JSON: keep it in a file or a store, and pass on where"
        )
