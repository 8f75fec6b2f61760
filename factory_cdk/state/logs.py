"""Log files: one per process, rotated, and one stream of all of them with labels."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from factory_cdk.home import make_private
from factory_cdk.worker.marking import END, START

LARGEST_FILE = 10 << 20
"""Bytes after which a file is put aside."""

KEPT = 3
"""How many files that were put aside are kept, `.1` the youngest."""

LONGEST_LINE = 64 << 10
"""Bytes after which a line without an end is cut."""

REMEMBERED = 40
"""How many of its last lines are kept at hand of every process, to say why it failed."""

MARK_START = START.encode()
MARK = re.compile(re.escape(MARK_START) + rb"([^\n\x1e\x1f]{1,200})" + re.escape(END.encode()))
LONGEST_MARK = 202

STREAM = "stream.log"
RUNNER = "runner"


def stamp(moment: float) -> str:
    """Seconds since the epoch as `2026-11-22T03:04:05.678Z`."""
    milliseconds = int(moment * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"


class RotatedFile:
    """An append-only file that is put aside when it has grown large. `lost` counts the bytes that a full disk
    refused: logging never stops a factory.
    """

    def __init__(self, path: Path, *, largest: int = LARGEST_FILE, kept: int = KEPT) -> None:
        self._path, self._largest, self._kept = path, largest, kept
        self._descriptor = -1
        self._size = 0
        self.lost = 0

    def write(self, text: bytes) -> None:
        """Append `text`."""
        try:
            if self._descriptor < 0:
                self._open()
            if self._size and self._size + len(text) > self._largest:
                self._rotate()
            written = os.write(self._descriptor, text)
        except OSError:
            written = 0
        self._size += written
        self.lost += len(text) - written

    def close(self) -> None:
        """Let go of the file; closing twice is allowed, and writing opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept - 1, 0, -1):
            older = self._aside(number)
            if older.exists():
                older.replace(self._aside(number + 1))
        self._path.replace(self._aside(1))
        self._open()

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class Stream:
    """The labelled stream: what every process of a stage printed, line by line, with time, label and job.

    A line reads `<time> <sector>/<bot>.<n> <job id or -> | <text>`; the runner's own label is `runner`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_private(folder)
        self._stream = RotatedFile(folder / STREAM)
        self._files: dict[str, RotatedFile] = {"": self._stream}

    def log(self, label: str) -> ProcessLog:
        """The log of the process with the label `label`; its file is named after it. A worker and the one that replace
        it have one label, and share the file.
        """
        if label not in self._files:
            self._files[label] = RotatedFile(self._folder / f"{label.replace('/', '.')}.log")
        return ProcessLog(label, self._files[label], self._stream)

    @property
    def lost(self) -> int:
        """Bytes that could not be written."""
        return sum(file.lost for file in self._files.values())

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files.values():
            file.close()


class ProcessLog:
    """The log of one process; restarts of a worker go on in the same one."""

    def __init__(self, label: str, file: RotatedFile, stream: RotatedFile) -> None:
        self._label, self._file, self._stream = label, file, stream
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
        self._file.write(output)
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
        tells their time as the stream does. `level` is one of logfilter.LEVELS.
        """
        if self._partial and self._marked in (None, job):
            self._take(b"\n", (job,) if job else ())
        elif self._partial:  # it is the next job's, which goes on with it
            self._file.write(b"\n")
        lines = f"{level} {text}".encode().split(b"\n")
        moment = stamp(time.time()).encode()
        self._file.write(b"".join(moment + b" " + line + b"\n" for line in lines))
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
        start = f"{stamp(time.time())} {self._label} {job or '-'} | ".encode()
        self._stream.write(b"".join(start + line + b"\n" for line in lines))


def _without_half_a_mark(output: bytes) -> tuple[bytes, bytes]:
    """`output`, and the mark at its end whose rest is still to come, if there is one."""
    start = output.rfind(MARK_START)
    if start < 0 or len(output) - start > LONGEST_MARK or b"\n" in output[start:]:
        return output, b""
    return output[:start], output[start:]


def read_stream(folder: Path, bot: str | None = None) -> Iterator[str]:
    """The lines of the stream under `folder`, oldest first, those put aside included; of `bot` alone if given."""
    for path in [*_put_aside(folder), folder / STREAM]:
        try:
            with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
                yield from (line.rstrip("\n") for line in file if is_of(line, bot))
        except FileNotFoundError:
            continue


def follow_stream(
    folder: Path, bot: str | None = None, *, whole: bool = False, pause: float = 0.1
) -> Iterator[str | None]:
    """Lines as they are written from now on (with `whole`, after all that were before: none is missed between);
    None after each look, `pause` seconds apart, that found nothing. A stream that is put aside is followed on.
    """
    path = folder / STREAM
    for older in _put_aside(folder) if whole else ():
        with contextlib.suppress(FileNotFoundError), older.open("rb") as file:
            yield from _of_bot(file.read().split(b"\n")[:-1], bot)
    tail = _Tail(path, from_end=not whole)
    try:
        while True:
            lines = tail.lines()
            yield from _of_bot(lines, bot)
            if not lines:
                yield None
                time.sleep(pause)
    finally:
        tail.close()


def _put_aside(folder: Path) -> list[Path]:
    return [folder / f"{STREAM}.{number}" for number in range(KEPT, 0, -1)]


def _of_bot(lines: Iterable[bytes], bot: str | None) -> Iterator[str]:
    return (text for text in (line.decode(errors="replace") for line in lines) if is_of(text, bot))


class _Tail:
    """The end of a file that grows, and that is put aside and begun anew now and then."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._path = path
        self._partial = b""
        self._file: BinaryIO | None = None
        self._open()
        if self._file and from_end:
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> list[bytes]:
        """What was completed since the last time; the rest of one that was put aside comes before the new one."""
        replaced = self._is_replaced()  # asked first: what is written until then is read below
        received = self._file.read() if self._file else b""
        *lines, self._partial = (self._partial + received).split(b"\n")
        if replaced:
            self.close()
            self._open()
            self._partial = b""
            return lines + self.lines()
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file = self._path.open("rb")

    def _is_replaced(self) -> bool:
        try:
            there = self._path.stat().st_ino
        except FileNotFoundError:
            return False
        return self._file is None or os.fstat(self._file.fileno()).st_ino != there


def is_of(line: str, bot: str | None) -> bool:
    """Whether a line of the stream is `bot`'s; every line is when it is None."""
    if bot is None:
        return True
    label = line.split(" ", 2)[1] if line.count(" ") > 1 else ""
    return label.rpartition("/")[2].rpartition(".")[0] == bot
