"""Which job printed what: the first thing that a job prints is preceded by a mark with its id, for the runner.

The runner reads a worker's output and its frames from two descriptors, so with several jobs in hand it cannot tell by
itself where the output of one ends and that of the next begins. It takes the marks out of what it logs. What programs
that a bot starts print by themselves has none, and is taken for that of the job that was begun first.
"""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from typing import IO

START, END = "\x1e", "\x1f"
"""Around the id; ASCII's record and unit separators."""


class MarkedStream(io.TextIOWrapper):
    """stdout or stderr of a worker. `job` is the id of the job in hand, None between jobs."""

    job: str | None = None
    _marked: str | None = None

    def write(self, text: str) -> int:
        """Write `text`, the mark before it if it is the first of the job."""
        if self._marked != self.job:
            self._marked = self.job
            if self.job is not None:
                super().write(f"{START}{self.job}{END}")
        return super().write(text)


def mark_streams() -> list[MarkedStream]:
    """Put marked streams, as UTF-8 and line by line, in the place of sys.stdout and sys.stderr; they are answered."""
    sys.stdout, sys.stderr = streams = _marked(sys.stdout), _marked(sys.stderr)
    return list(streams)


def _marked(stream: IO[str]) -> MarkedStream:
    stream.flush()
    return MarkedStream(stream.buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[attr-defined]
