"""How an exception of a bot is told to the runner: plain text, cut to a size that a queue can hold."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from typing import Any

LONGEST_TYPE = 500
LONGEST_MESSAGE = 8_000
LONGEST_TRACEBACK = 64_000
CUT = " ... (cut)"
OUR_FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


class BotError(Exception):
    """A bot cannot be run as the plan says; `kind` is reported as the error's type."""

    def __init__(self, kind: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.details = details


def describe(error: BaseException, attempt: int = 1) -> dict[str, Any]:
    """`error` as {type, message, traceback, attempt}; the shim's own frames are left out of the traceback."""
    if isinstance(error, BotError):
        return _described(error.kind, str(error), error.details, attempt)
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except BaseException as unprintable:  # sys.exit() in a __str__ is no reason to end
        message = f"(its message cannot be printed: {type(unprintable).__name__})"
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(OUR_FOLDER):
        frames = frames.tb_next
    try:
        import traceback  # noqa: PLC0415 - 10 ms that only failures pay; a bot that has no file left cannot import

        text = "".join(traceback.format_exception(kind, error, frames))
    except BaseException as unprintable:
        text = f"(its traceback cannot be printed: {type(unprintable).__name__})"
    return _described(name, message, text, attempt)


def _described(kind: str, message: str, details: str, attempt: int) -> dict[str, Any]:
    if len(kind) > LONGEST_TYPE:
        kind = kind[:LONGEST_TYPE] + CUT
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + CUT
    if len(details) > LONGEST_TRACEBACK:
        details = "(cut) ... " + details[-LONGEST_TRACEBACK:]
    return {"type": kind, "message": message, "traceback": details, "attempt": attempt}
