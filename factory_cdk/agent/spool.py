"""The spool: log events on disk, in order, until CloudWatch has them. It is bounded: the oldest give way.

Events are JSON lines in segments, files that are named by the number of bytes that were written before them. One
thread appends, another reads and acknowledges; how far it has come is in a file of its own, which is on disk before it
goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.atomic import replace_file
from factory_cdk.home import make_private

SEGMENT = 1 << 20
"""Bytes after which a segment is followed by another one."""

LARGEST = 64 << 20
"""Bytes of all segments."""

SUFFIX = ".jsonl"
POSITION = "position.json"


@dataclass(frozen=True, slots=True)
class Spooled:
    """An event: its place, where the next one begins, its time in milliseconds since the epoch, and its message."""

    at: int
    end: int
    moment: int
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """How far the reader has come: all before `sent` is with CloudWatch, and all before `sending` may be."""

    sent: int = 0
    sending: int = 0


class SpoolWriter:
    """Appends to the spool in `folder`. `lost` counts the bytes that the disk refused."""

    def __init__(self, folder: Path, *, segment: int = SEGMENT, largest: int = LARGEST) -> None:
        self._folder, self._segment, self._largest = make_private(folder), segment, largest
        segments = _segments(folder)
        self._end = max([read_position(folder).sent, *(_end(one) for one in segments[-1:])])
        self._descriptor, self._size = -1, 0
        self._total = sum(one.stat().st_size for one in segments)
        self.lost = 0

    def append(self, events: Sequence[tuple[int, dict[str, Any]]]) -> None:
        """Append events: their times in milliseconds, and their messages."""
        text = b"".join(
            json.dumps([moment, message], ensure_ascii=False).encode() + b"\n" for moment, message in events
        )
        try:
            if self._descriptor < 0 or self._size >= self._segment:
                self._next_segment()
            written = os.write(self._descriptor, text)
        except OSError:
            written = 0
        self._size += written
        self._total += written
        self._end += written
        if written < len(text):
            self.lost += len(text) - written
            self.close()  # half a line: the next one begins a segment
        if self._total > self._largest:
            self._drop()

    def close(self) -> None:
        """Let go of the file; appending opens another."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _next_segment(self) -> None:
        self.close()
        path = self._folder / f"{self._end:020d}{SUFFIX}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _drop(self) -> None:
        """Remove the oldest segments but the last."""
        sizes = {one: one.stat().st_size for one in _segments(self._folder)}
        self._total = sum(sizes.values())
        for one in [*sizes][:-1]:
            if self._total <= self._largest:
                break
            one.unlink(missing_ok=True)
            self._total -= sizes[one]


class SpoolReader:
    """Reads the spool in `folder`, from where it was read last. `dropped` counts the bytes that gave way unread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.position = read_position(folder)
        self.dropped = 0

    def read(self, most_bytes: int) -> list[Spooled]:
        """The next events, of about so many bytes together; none when there is none."""
        segments = _segments(self._folder)
        if segments and _start(segments[0]) > self.position.sent:
            self.dropped += _start(segments[0]) - self.position.sent
            self._keep(Position(_start(segments[0]), _start(segments[0])))
        for number, segment in enumerate(segments):
            last = number == len(segments) - 1
            if _end(segment) <= self.position.sent:
                if not last:
                    segment.unlink(missing_ok=True)
                continue
            found, end = _events(segment, self.position.sent, most_bytes, whole=not last)
            if found:
                return found
            if not last:
                self._keep(Position(end, end))  # there was half a line, and no more
        return []

    def begin(self, events: Sequence[Spooled]) -> None:
        """`events` are about to be sent."""
        self._keep(Position(self.position.sent, events[-1].end))

    def acknowledge(self, end: int) -> None:
        """All before `end` is with CloudWatch."""
        self._keep(Position(end, end))

    def _keep(self, position: Position) -> None:
        content = json.dumps({"sent": position.sent, "sending": position.sending}).encode()
        replace_file(self._folder / POSITION, content, mode=0o600)
        self.position = position


def read_position(folder: Path) -> Position:
    """How far the spool in `folder` was read."""
    try:
        said = json.loads((folder / POSITION).read_text())
        return Position(int(said["sent"]), int(said["sending"]))
    except (OSError, ValueError, LookupError, TypeError):
        return Position()


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _start(segment: Path) -> int:
    return int(segment.name.removesuffix(SUFFIX))


def _end(segment: Path) -> int:
    try:
        return _start(segment) + segment.stat().st_size
    except FileNotFoundError:  # it gave way
        return _start(segment)


def _events(segment: Path, position: int, most: int, *, whole: bool) -> tuple[list[Spooled], int]:
    """The events of `segment` from `position` on, and where the reading ended; a line without an end is one that is
    still being written, unless the segment is `whole`: then it is half of one that never was.
    """
    at = max(position, _start(segment))
    try:
        with segment.open("rb") as file:
            file.seek(at - _start(segment))
            text = file.read(most)
            if b"\n" not in text:
                text += file.readline()
    except FileNotFoundError:
        return [], at
    complete, _, rest = text.rpartition(b"\n")
    found = []
    for line in complete.split(b"\n") if complete else ():
        end = at + len(line) + 1
        try:
            moment, message = json.loads(line)
            found.append(Spooled(at, end, int(moment), message))
        except (ValueError, TypeError):
            pass  # a line that a power loss has damaged
        at = end
    return found, at + len(rest) if whole and at + len(rest) >= _end(segment) else at
