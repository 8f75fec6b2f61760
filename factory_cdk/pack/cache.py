"""The cache of packed bundles: addressed by content, shared by any number of packs at once.

    bundles/<digest>.zip   the archive of a bundle, and beside it, as .json, what it is made of
    files/<sha256>.<suffix>  what offline sectors install: archives of wheels, builds of Python
    records/<kind>/<key>.json  what was found out before: the commit of a branch, the requirements of a manifest
    work/<random>/         where one pack is at work; removed at its end, or by the next pack when it was killed
    locks/<key>            held by the pack that fetches that one thing
    logs/<program>-<key>.log  all that git or uv printed when it failed

Whatever has a final name is complete: files are written in work/ and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factory_cdk.atomic import replace_file
from factory_cdk.home import disk
from factory_cdk.pack.archive import sha256_of, write_archive
from factory_cdk.pack.command import Stopped
from factory_cdk.pack.tree import Tree

LOGS = "logs"

_WAIT = 0.05
"""Seconds between two looks at a lock that another pack holds."""


@dataclass(frozen=True, slots=True)
class CachedBundle:
    """A bundle in the cache: its digest, its archive with its SHA-256, and the size and count of its files."""

    digest: str
    archive: Path
    archive_sha256: str
    size: int
    files: int


class BundleCache:
    """The cache below one folder. Every method may be called from several threads and processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the cache's folders and clear away what killed packs left; FactoryError when that is refused."""
        with disk(self.folder):
            for name in ("bundles", "files", "records", "work", "locks"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._clear_work()

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A new private folder, removed at the end; as long as it is open no other pack removes it."""
        work = self.folder / "work"
        with self._cleaning(), contextlib.ExitStack() as until_made:
            folder = Path(tempfile.mkdtemp(dir=work))
            until_made.callback(shutil.rmtree, folder, ignore_errors=True)
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_SH)
            until_made.pop_all()
        try:
            yield folder
        finally:
            _remove(folder)
            os.close(lock)

    @contextlib.contextmanager
    def exclusive(self, key: str, stop: threading.Event) -> Iterator[None]:
        """Hold the lock of one thing, so that nobody else fetches it meanwhile; `Stopped` when told to stop."""
        handle = os.open(self.folder / "locks" / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if stop.wait(_WAIT):
                    raise Stopped
            yield
        finally:
            os.close(handle)

    def read_record(self, kind: str, key: str) -> dict[str, Any] | None:
        """What was found out before under `key`, or None."""
        try:
            said = json.loads(self._record_file(kind, key).read_bytes())
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None

    def write_record(self, kind: str, key: str, said: Mapping[str, Any], workspace: Path) -> None:
        """Keep what was found out under `key` for later packs."""
        self._write(self._record_file(kind, key), said, workspace)

    def find(self, digest: str) -> CachedBundle | None:
        """The bundle of that digest, its archive read and found sound; None when it is not in the cache."""
        archive = self.folder / "bundles" / f"{digest}.zip"
        try:
            facts = json.loads(archive.with_suffix(".json").read_bytes())
            sound = sha256_of(archive) == facts["archive_sha256"]
            return CachedBundle(archive=archive, **facts) if sound and facts["digest"] == digest else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self, digest: str, since: float) -> None:
        """Remove the bundle of that digest, if it was made since the moment `since` (seconds since the epoch)."""
        archive = self.folder / "bundles" / f"{digest}.zip"
        with contextlib.suppress(FileNotFoundError):
            if archive.stat().st_ctime >= since:
                archive.with_suffix(".json").unlink(missing_ok=True)
                archive.unlink()

    def add(self, tree: Tree, workspace: Path) -> CachedBundle:
        """Put the bundle with the files of `tree` into the cache, if it is not there yet."""
        if (there := self.find(tree.digest)) is not None:
            return there
        target = self.folder / "bundles" / f"{tree.digest}.zip"
        fresh = workspace / target.name
        fresh.unlink(missing_ok=True)
        sha256 = write_archive(tree, fresh)
        fresh.chmod(0o644)
        _flush(fresh)
        stored = CachedBundle(tree.digest, target, sha256, tree.size, len(tree.files))
        fresh.replace(target)
        facts = asdict(stored)
        del facts["archive"]
        self._write(target.with_suffix(".json"), facts, workspace)
        return stored

    def file(self, key: str) -> Path:
        """Where the file of that `key`, its SHA-256 and a suffix, is kept, whether it is there or not."""
        return self.folder / "files" / key

    def keep_file(self, fresh: Path, key: str) -> None:
        """Move the file `fresh`, of a workspace, to where that of `key` is kept."""
        fresh.chmod(0o644)
        _flush(fresh)
        fresh.replace(self.file(key))

    def _record_file(self, kind: str, key: str) -> Path:
        return self.folder / "records" / kind / f"{key}.json"

    def _write(self, target: Path, said: Mapping[str, Any], workspace: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = f"{json.dumps(said, sort_keys=True, indent=1)}\n".encode()
        replace_file(target, content, mode=0o600, workspace=workspace)

    @contextlib.contextmanager
    def _cleaning(self) -> Iterator[None]:
        """Hold the lock under which workspaces are made and leftovers are removed; both take no time."""
        handle = os.open(self.folder / "locks" / "work", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _clear_work(self) -> None:
        """Remove the workspaces that nobody holds."""
        with self._cleaning():
            for folder in (self.folder / "work").iterdir():
                handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(folder)
                except BlockingIOError:
                    continue
                finally:
                    os.close(handle)


def _flush(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a folder of ours; git makes its objects read-only, which matters on some file systems alone."""
    shutil.rmtree(folder, ignore_errors=True)
