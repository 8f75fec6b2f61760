"""The archive of a bundle: a zip whose every byte follows from the files, and its safe unpacking.

Files are stored, not deflated: what deflate makes of the same bytes differs between builds of zlib (zlib-ng,
Windows, newer Pythons), and an archive must have one SHA-256 on every machine. Code is small; what is not
(models, data) is mostly compressed already.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.paths import OURS, checked, native
from factory_cdk.pack.tree import File, Tree, bounded, tree_of

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20
_UNIX = 3


def write_archive(tree: Tree, target: Path) -> str:
    """Write the files of `tree` to a new zip at `target`; returns the SHA-256 of the zip in hex.

    FactoryError when a file is no longer what the tree says it is.
    """
    with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED) as archive:
        for file in tree.files:
            entry = entry_of(file.path, file.size, executable=file.executable)
            total = hashlib.sha256()
            with tree.open(file) as source, archive.open(entry, "w") as sink:
                while chunk := source.read(_CHUNK):
                    total.update(chunk)
                    sink.write(chunk)
            if total.hexdigest() != file.sha256:
                raise FactoryError(f"{file.path!r} changed while it was being packed", "pack again")
    return sha256_of(target)


def entry_of(name: str, size: int, *, executable: bool = False) -> zipfile.ZipInfo:
    """The entry of a file of `size` bytes in an archive whose every byte follows from its files."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = _UNIX  # on Windows, too
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    entry.file_size = size
    return entry


def unpack(archive: Path, into: Path) -> Tree:
    """Unpack a bundle's archive into the new or empty folder `into`; returns its tree.

    Nothing is written outside `into` whatever the archive holds: FactoryError for names that climb, links,
    devices, doubles, encrypted entries, or more than a bundle may hold.
    """
    into.mkdir(parents=True, exist_ok=True)
    files: list[File] = []
    try:
        with zipfile.ZipFile(archive) as source:
            entries = source.infolist()
            bounded(len(entries), sum(entry.file_size for entry in entries), str(archive))
            for entry in entries:
                files.append(_unpack_one(source, entry, into, str(archive)))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, FileExistsError, NotADirectoryError) as error:
        raise FactoryError(f"{archive} is not a valid bundle: {error}", "delete it and pack again") from error
    return tree_of(into, files, str(archive))


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpack_one(source: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path, where: str) -> File:
    mode = entry.external_attr >> 16
    if entry.is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise FactoryError(f"{where}: {entry.filename!r} is not a regular file", "delete it and pack again")
    inner = entry.filename.removeprefix(f"{OURS}/")
    path = entry.filename[: -len(inner)] + checked(inner, where)
    target = into / native(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    total, size = hashlib.sha256(), 0
    with source.open(entry) as stream, target.open("xb") as sink:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)
            sink.write(chunk)
            size += len(chunk)
    target.chmod(0o755 if mode & 0o100 else 0o644)
    return File(path, bool(mode & 0o100), size, total.hexdigest())


def copy(tree: Tree, into: Path, below: str = "") -> Tree:
    """A copy of a tree's files in the folder `into`, as they are at this moment; their paths there are without `below`,
    which they all begin with.
    """
    for file in tree.files:
        target = into / native(file.path.removeprefix(below))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tree.open(file) as source, target.open("xb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
        target.chmod(0o755 if file.executable else 0o644)
    return Tree(into, tree.files)
