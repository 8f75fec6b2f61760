"""How the end of a process, and an error, are told."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping
from typing import Any


def exit_reason(code: int) -> str:
    """How a process with the exit code `code` ended, in words."""
    if code >= 0:
        return f"exited with {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def error_message(kind: str, message: str, details: str = "") -> Mapping[str, Any]:
    """An error of the runner's own, in the form in which a worker reports those of its bot."""
    return {"type": kind, "message": message, "traceback": details}


def storable(text: Any) -> str:
    """Text that UTF-8 can hold: exceptions may quote file names that it cannot."""
    return str(text).encode(errors="backslashreplace").decode()
