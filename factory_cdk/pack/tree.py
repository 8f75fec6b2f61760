"""A tree: the files of a bundle with what counts of them, and the digest that names them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.left_out import LeftOut
from factory_cdk.pack.paths import native

MOST_FILES = 100_000
MOST_BYTES = 4 * 1024**3
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """One file of a tree: its checked path, whether it may be run, its size in bytes, its SHA-256 in hex."""

    path: str
    executable: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The files below `root`, sorted by the bytes of their paths; no folders, no links.

    `added` holds the contents of files that are not on disk, `elsewhere` where those are that are not below `root`,
    `left_out` what ignore files kept out of it.
    """

    root: Path
    files: tuple[File, ...]
    added: Mapping[str, bytes] = field(default_factory=dict)
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all files."""
        return frozenset(file.path for file in self.files)

    def adding(self, path: str, content: bytes) -> Tree:
        """The same tree with one more file, which is not on disk."""
        file = File(path, False, len(content), hashlib.sha256(content).hexdigest())
        return replace(self, files=_ordered((*self.files, file)), added={**self.added, path: content})

    def joined(self, files: Iterable[File], elsewhere: Mapping[str, Path]) -> Tree:
        """The same tree with more files, which lie `elsewhere`."""
        return replace(self, files=_ordered((*self.files, *files)), elsewhere={**self.elsewhere, **elsewhere})

    def select(self, keep: Callable[[str], bool]) -> Tree:
        """The same tree with those of its files alone whose paths `keep` accepts."""
        return replace(self, files=tuple(file for file in self.files if keep(file.path)))

    def open(self, file: File) -> BinaryIO:
        """The content of a file of this tree, to be read."""
        return io.BytesIO(self.added[file.path]) if file.path in self.added else self.at(file.path).open("rb")

    def at(self, path: str) -> Path:
        """Where a file of this tree is on disk."""
        return self.elsewhere.get(path) or self.root / native(path)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over each file's run bit, content, size and path; nothing else counts."""
        total = hashlib.sha256(b"factory_cdk tree 1\0")
        for file in self.files:
            mark = "x" if file.executable else "-"
            total.update(f"{mark} {file.sha256} {file.size} {file.path}\0".encode())
        return total.hexdigest()


def tree_of(root: Path, files: Iterable[File], where: str) -> Tree:
    """A tree in its one order. FactoryError when a file is also a folder, or when it is too much for a bundle."""
    ordered = _ordered(files)
    paths = {file.path for file in ordered}
    for path in paths:
        if any(folder in paths for folder in folders_of(path)):
            raise FactoryError(f"{where}: {path!r} is inside a file", "the repository is damaged")
    if len(paths) != len(ordered):
        raise FactoryError(f"{where}: two files have the same name", "the repository is damaged")
    bounded(len(ordered), sum(file.size for file in ordered), where)
    return Tree(root, ordered)


def bounded(files: int, size: int, where: str) -> None:
    """FactoryError when `files` files of `size` bytes in all are more than a bundle may hold."""
    remedy = "leave out what the bot does not need with lines in .factoryignore"
    if files > MOST_FILES:
        raise FactoryError(f"{where}: more than {MOST_FILES:,} files", remedy)
    if size > MOST_BYTES:
        raise FactoryError(f"{where}: more than {MOST_BYTES // 1024**3} GiB", remedy)


def folders_of(path: str) -> list[str]:
    """The folders that `path` lies in, the nearest first, without the root."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def hashed(file: Path, path: str, *, executable: bool) -> File:
    """The facts of one file on disk, read in pieces."""
    total, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)
            size += len(chunk)
    return File(path, executable, size, total.hexdigest())


def _ordered(files: Iterable[File]) -> tuple[File, ...]:
    return tuple(sorted(files, key=lambda file: file.path.encode()))
