"""The logs of processes: what each of them printed, line by line, with the job that printed it.

Where they go is a LogSink's to say: a folder (log_folder.py), for one.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from factory_cdk.worker.marking import END, START

LONGEST_LINE = 64 << 10
"""Bytes after which a line without an end is cut."""

REMEMBERED = 40
"""How many of its last lines are kept at hand of every process, to say why it failed."""

MARK_START = START.encode()
MARK = re.compile(re.escape(MARK_START) + rb"([^\n\x1e\x1f]{1,200})" + re.escape(END.encode()))
LONGEST_MARK = 202

RUNNER = "runner"
"""The label of the runner's own log."""


class LogSink(Protocol):
    """Where logs go. No method fails or waits for long: logging never stops a factory. What cannot be taken is counted
    in `lost`.
    """

    def write(self, label: str, output: bytes) -> None:
        """What the process `label` (`<sector>/<bot>.<n>`, or RUNNER) printed, byte for byte."""

    def add_lines(self, label: str, job: str | None, moment: float, lines: Sequence[bytes]) -> None:
        """The same line by line, without their ends, with the job that printed them and the time of that, in seconds
        since the epoch.
        """

    @property
    def lost(self) -> int:
        """Bytes that could not be taken."""

    def close(self) -> None:
        """No more comes: hand over what was not handed over yet."""


def stamp(moment: float) -> str:
    """Seconds since the epoch as `2026-11-22T03:04:05.678Z`."""
    milliseconds = int(moment * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"


class Stream:
    """What every process of a stage prints, for `sink`."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def log(self, label: str) -> ProcessLog:
        """The log of the process `label`."""
        return ProcessLog(label, self._sink)

    @property
    def lost(self) -> int:
        """Bytes that could not be taken."""
        return self._sink.lost

    def close(self) -> None:
        """No more comes."""
        self._sink.close()


class ProcessLog:
    """The log of the process `label`, whose lines `sink` gets; restarts of a worker go on in the same one."""

    def __init__(self, label: str, sink: LogSink) -> None:
        self._label, self._sink = label, sink
        self._partial = b""
        self._unmarked = b""
        self._marked: str | None = None
        self._last: deque[tuple[str | None, bytes]] = deque(maxlen=REMEMBERED)

    def write(self, output: bytes, jobs: Sequence[str] = ()) -> None:
        """Take what the process printed, in pieces of any size; `jobs` are the ids of those that it has in hand, the
        one that was begun first first. Marks (worker/marking.py) say which of them printed what, and are left out.
        """
        if MARK_START in output or self._unmarked:
            parts = MARK.split(self._unmarked + output)
            parts[-1], self._unmarked = _without_half_a_mark(parts[-1])
            for number, part in enumerate(parts):
                if number % 2:
                    self._marked = part.decode(errors="replace")
                elif part:
                    self._take(part, jobs)
        else:
            self._take(output, jobs)

    def _take(self, output: bytes, jobs: Sequence[str]) -> None:
        self._sink.write(self._label, output)
        *lines, self._partial = (self._partial + output).split(b"\n")
        while len(self._partial) > LONGEST_LINE:
            lines.append(self._partial[:LONGEST_LINE])
            self._partial = self._partial[LONGEST_LINE:]
        if lines:
            job = self._marked if self._marked in jobs else jobs[0] if jobs else None
            self._last.extend((job, line) for line in lines)
            self._pass_on(lines, job)

    def say(self, text: str, level: str = "INFO", job: str | None = None) -> None:
        """Add lines of the runner's own, about `job` if given, below what the process printed until now: its file
        tells their time as the stream does. `level` is one of log_filter.LEVELS.
        """
        if self._partial and self._marked in (None, job):
            self._take(b"\n", (job,) if job else ())
        elif self._partial:  # it is the next job's, which goes on with it
            self._sink.write(self._label, b"\n")
        lines = f"{level} {text}".encode().split(b"\n")
        moment = stamp(time.time()).encode()
        self._sink.write(self._label, b"".join(moment + b" " + line + b"\n" for line in lines))
        self._pass_on(lines, job)

    def end(self, jobs: Sequence[str] = ()) -> None:
        """The process ended: what it left of a line is one, of the first of the `jobs` that it had in hand."""
        if self._unmarked:
            self._take(self._unmarked, jobs)
            self._unmarked = b""
        if self._partial:
            self.write(b"\n", jobs)
        self._marked = None

    def last_lines(self, job: str | None = None) -> str:
        """The last that the process printed, or that `job` did, for messages."""
        lines = [line for whose, line in self._last if job in (None, whose)]
        return b"\n".join(lines).decode(errors="replace")

    def forget(self, job: str) -> None:
        """An attempt at `job` is over: what it printed says nothing about the next one."""
        self._last = deque(((whose, line) for whose, line in self._last if whose != job), maxlen=REMEMBERED)

    def _pass_on(self, lines: list[bytes], job: str | None) -> None:
        self._sink.add_lines(self._label, job, time.time(), lines)


def _without_half_a_mark(output: bytes) -> tuple[bytes, bytes]:
    """`output`, and the mark at its end whose rest is still to come, if there is one."""
    start = output.rfind(MARK_START)
    if start < 0 or len(output) - start > LONGEST_MARK or b"\n" in output[start:]:
        return output, b""
    return output[:start], output[start:]
