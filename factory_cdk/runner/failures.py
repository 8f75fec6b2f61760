"""How an error is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def error_message(kind: str, message: str, details: str = "") -> Mapping[str, Any]:
    """An error of the runner's own, in the form in which a worker reports those of its bot."""
    return {"type": kind, "message": message, "traceback": details}


def storable(text: Any) -> str:
    """Text that UTF-8 can hold: exceptions may quote file names that it cannot."""
    return str(text).encode(errors="backslashreplace").decode()
