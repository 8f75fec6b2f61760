"""A disk that can lose its power: what processes asked of it, played back to any moment, and what could be left then.

What was synced is there. Of what was written since, any part may be: nothing, all, the first so many writes, or any
sectors of them, some of which hold noise. New names, renames and removals are there from the sync of their folder on,
and before it in the order in which they were made, so far as they are. (Linux's file systems promise more.)
"""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct("=c3xIIII4xq")
SECTOR = 512
IGNORED = ("-shm", ".lock")
"""Ends of the names of files that mean nothing after a power loss."""


@dataclass(frozen=True)
class Record:
    """A call: Write, Truncate, Begin and end of a Sync, Rename, Unlink, Mkdir; see disk_trace.c."""

    kind: str
    process: int
    path: str
    other: str
    data: bytes
    offset: int


def read_trace(trace: Path) -> Iterator[Record]:
    """Every call in its order, but for files that do not matter."""
    content = trace.read_bytes()
    at = 0
    while at < len(content):
        kind, process, path, other, data, offset = HEADER.unpack_from(content, at)
        parts = []
        at += HEADER.size
        for length in (path, other, data):
            parts.append(content[at : at + length])
            at += length
        record = Record(kind.decode(), process, parts[0].decode(), parts[1].decode(), parts[2], offset)
        if not record.path.endswith(IGNORED):
            yield record


@dataclass
class File:
    """What is certain to be in a file, and what was asked of it since, in order: (offset, bytes), or (size, None)."""

    certain: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def settle(self, count: int) -> None:
        """The first `count` of what is pending is certain now."""
        for change in self.pending[:count]:
            apply(self.certain, change)
        del self.pending[:count]

    def left(self, dice: random.Random) -> bytes:
        """What could be in the file after a power loss."""
        content, pending = bytearray(self.certain), list(self.pending)
        how = dice.choice(["none", "all", "first", "sectors", "noise"])
        if how == "none":
            return bytes(content)
        if how == "first":
            del pending[dice.randint(0, len(pending)) :]
        for offset, data in pending:
            if data is None or how in ("all", "first"):
                apply(content, (offset, data))
                continue
            for start in range(0, len(data), SECTOR):
                sector = data[start : start + SECTOR]
                fate = dice.random()
                if fate < 0.5:
                    apply(content, (offset + start, sector))
                elif how == "noise" and fate < 0.75:
                    apply(content, (offset + start, dice.randbytes(len(sector))))
        return bytes(content)


def apply(content: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, data = change
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


Names = dict[str, File | None]
"""Files by their paths; None for a folder."""


class Disk:
    """What is asked of the folder `root`: `play` it call by call; `lose_power` writes down what could be left of it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._now: Names = {}
        self._certain: Names = {}
        self._unsure: dict[str, list[tuple[str, str, File | None]]] = defaultdict(list)
        self._syncing: dict[tuple[int, str], int] = {}

    def play(self, record: Record) -> None:
        path, key = record.path, (record.process, record.path)
        if record.kind == "W":
            self._file(path).pending.append((record.offset, record.data))
        elif record.kind == "T":
            self._file(path).pending.append((record.offset, None))
        elif record.kind == "M":
            self._change("put", path, None)
        elif record.kind == "U":
            self._change("remove", path, None)
        elif record.kind == "R":
            moved = self._now[path]
            self._change("remove", path, None)
            self._change("put", record.other, moved)
        elif record.kind == "B":
            self._syncing[key] = len(self._file(path).pending) if self._is_file(path) else len(self._unsure[path])
        elif self._is_file(path):
            # Another process may have synced the file meanwhile: what is pending is less by that.
            self._file(path).settle(min(self._syncing.pop(key), len(self._file(path).pending)))
        else:
            count = self._syncing.pop(key)
            for change in self._unsure[path][:count]:
                enter(self._certain, *change)
            del self._unsure[path][:count]

    def lose_power(self, into: Path, dice: random.Random) -> None:
        """Write what could be left into the new folder `into`."""
        names = dict(self._certain)
        for changes in self._unsure.values():
            for change in changes[: dice.choice([0, len(changes), dice.randint(0, len(changes))])]:
                enter(names, *change)
        into.mkdir()
        for path in sorted(names):
            found, place = names[path], into / path[len(self._root) + 1 :]
            if not place.parent.is_dir():
                continue  # its folder was lost
            if found is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(found.left(dice))

    def _is_file(self, path: str) -> bool:
        return path != self._root and self._now.get(path, self) is not None

    def _file(self, path: str) -> File:
        found = self._now.get(path)
        if found is None:
            found = File()
            self._change("put", path, found)
        return found

    def _change(self, what: str, path: str, file: File | None) -> None:
        enter(self._now, what, path, file)
        self._unsure[path.rpartition("/")[0]].append((what, path, file))


def enter(names: Names, what: str, path: str, file: File | None) -> None:
    if what == "put":
        names[path] = file
    else:
        names.pop(path, None)
