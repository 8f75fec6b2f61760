"""The logs of a stage in a folder: one file per process, rotated, and one stream of all of them with labels.

A line of the stream reads `<time> <sector>/<bot>.<n> <job id or -> | <text>`; the runner's own label is `runner`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from factory_cdk.home import make_private
from factory_cdk.state.logs import stamp

LARGEST_FILE = 10 << 20
"""Bytes after which a file is put aside."""

KEPT = 3
"""How many files that were put aside are kept, `.1` the youngest."""

STREAM = "stream.log"


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


class LogFolder:
    """The log files below `folder`: a LogSink (ports.py). A worker and the one that replaces it have one label, and
    share a file, which is named after it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_private(folder)
        self._stream = RotatedFile(folder / STREAM)
        self._files: dict[str, RotatedFile] = {}

    def write(self, label: str, output: bytes) -> None:
        """Append to the file of the process `label`."""
        if label not in self._files:
            self._files[label] = RotatedFile(self._folder / f"{label.replace('/', '.')}.log")
        self._files[label].write(output)

    def add_lines(self, label: str, job: str | None, moment: float, lines: Sequence[bytes]) -> None:
        """Append to the stream."""
        start = f"{stamp(moment)} {label} {job or '-'} | ".encode()
        self._stream.write(b"".join(start + line + b"\n" for line in lines))

    @property
    def lost(self) -> int:
        """Bytes that could not be written."""
        return self._stream.lost + sum(file.lost for file in self._files.values())

    def close(self) -> None:
        """Let go of all files; writing opens them again."""
        for file in (self._stream, *self._files.values()):
            file.close()


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
