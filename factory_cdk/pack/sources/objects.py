"""Reading the tree of a commit out of a bare repository's objects, and laying it into a private folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import TooMuchError
from factory_cdk.pack.paths import checked, native, portable
from factory_cdk.pack.sources.git import Git
from factory_cdk.pack.tree import MOST_FILES, bounded

_EXECUTABLE, _LINK, _MODULE = "100755", "120000", "160000"
_BATCH_BYTES, _BATCH_COUNT = 64 * 1024**2, 20_000
_LONGEST_LINK = 4096
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


@dataclass(frozen=True, slots=True)
class Blob:
    """One file or link of a commit's tree: its checked path, mode as git writes it, object id, size in bytes."""

    path: str
    mode: str
    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a commit holds: its files and links, and its submodules as path → commit."""

    blobs: tuple[Blob, ...]
    modules: Mapping[str, str]


def listing(git: Git, repository: Path, commit: str, shown: str, only: Sequence[str] = ()) -> Listing:
    """The tree of a commit, or the files and folders `only` of it, every path checked; FactoryError for a path that a
    bundle cannot hold.

    A few objects can be a tree without end (folders that share their content), so no more of it is read than a
    bundle may hold.
    """
    try:
        said = git.say(
            ["--literal-pathspecs", "ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", *only], cwd=repository
        )
    except TooMuchError:
        bounded(MOST_FILES + 1, 0, shown)
        raise
    if said.code:
        raise git.failure(said, "reading", shown)
    blobs: list[Blob] = []
    modules: dict[str, str] = {}
    for line in said.stdout.split(b"\0")[:-1]:
        about, _, raw = line.partition(b"\t")
        mode, _, identity, size = about.decode().split()
        path = checked(raw, shown)
        if mode == _MODULE:
            modules[path] = identity
        else:
            blobs.append(Blob(path, mode, identity, int(size) if size.isdigit() else 0))
    bounded(len(blobs), sum(blob.size for blob in blobs), shown)
    return Listing(tuple(blobs), modules)


def lay_out(git: Git, repository: Path, blobs: Iterable[Blob], into: Path, shown: str) -> list[str]:
    """Write files, then links, below the private folder `into`; returns the paths of Git LFS pointers.

    Links come last, when nothing is written any more, so that nothing is written through one.
    """
    pointers: list[str] = []
    links: list[tuple[Path, str]] = []
    whole: list[Blob] = []
    for blob in blobs:
        if blob.mode == _LINK and blob.size > _LONGEST_LINK:
            raise _nowhere(blob, shown)
        if blob.size > _BATCH_BYTES:
            _write_large(git, repository, blob, into / native(blob.path), shown)
        else:
            whole.append(blob)
    for blob, content in _contents(git, repository, whole, shown):
        target = into / native(blob.path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if blob.mode == _LINK:
                links.append((target, _link(blob, content, shown)))
                continue
            with target.open("xb") as file:
                file.write(content)
        except (FileExistsError, NotADirectoryError) as error:
            raise _twice(blob.path, shown) from error
        target.chmod(0o755 if blob.mode == _EXECUTABLE else 0o644)
        if content.startswith(_LFS_POINTER):
            pointers.append(blob.path)
    for target, leads_to in links:
        try:
            target.symlink_to(leads_to)
        except FileExistsError as error:
            raise _twice(portable(str(target.relative_to(into))), shown) from error
    return pointers


def _write_large(git: Git, repository: Path, blob: Blob, target: Path, shown: str) -> None:
    """Write a file that is too large for this process's memory."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            said = git.say(["cat-file", "blob", blob.id], cwd=repository, most=blob.size, into=file)
    except (FileExistsError, NotADirectoryError) as error:
        raise _twice(blob.path, shown) from error
    if said.code:
        raise git.failure(said, "reading", shown)
    target.chmod(0o755 if blob.mode == _EXECUTABLE else 0o644)


def _link(blob: Blob, content: bytes, shown: str) -> str:
    if not content or b"\0" in content:
        raise _nowhere(blob, shown)
    return os.fsdecode(content)


def _nowhere(blob: Blob, shown: str) -> FactoryError:
    return FactoryError(f"{shown}: {blob.path!r} is a symbolic link without a target", "correct or delete the link")


def _twice(path: str, shown: str) -> FactoryError:
    return FactoryError(
        f"{shown}: {path!r} exists twice, or is both a file and a folder",
        "rename one of them: their names may differ only in upper and lower case",
    )


def _contents(git: Git, repository: Path, blobs: Iterable[Blob], shown: str) -> Iterator[tuple[Blob, bytes]]:
    """Every blob with its content, read from git in bounded batches."""
    batch: list[Blob] = []
    size = 0
    for blob in blobs:
        batch.append(blob)
        size += blob.size
        if size > _BATCH_BYTES or len(batch) > _BATCH_COUNT:
            yield from _batch(git, repository, batch, shown)
            batch, size = [], 0
    if batch:
        yield from _batch(git, repository, batch, shown)


def _batch(git: Git, repository: Path, blobs: list[Blob], shown: str) -> Iterator[tuple[Blob, bytes]]:
    asked = "".join(f"{blob.id}\n" for blob in blobs).encode()
    most = 2 * _BATCH_BYTES + 100 * len(blobs)  # the last blob of a batch may overstep it, headers come on top
    said = git.say(["cat-file", "--batch"], cwd=repository, stdin=asked, most=most)
    if said.code:
        raise git.failure(said, "reading", shown)
    at = 0
    for blob in blobs:
        end = said.stdout.index(b"\n", at)
        header = said.stdout[at:end].decode().split()
        if header[1:2] != ["blob"]:
            raise FactoryError(f"{shown}: the content of {blob.path!r} is missing", "see `git fsck` there")
        at = end + 1 + int(header[2])
        yield blob, said.stdout[end + 1 : at]
        at += 1
