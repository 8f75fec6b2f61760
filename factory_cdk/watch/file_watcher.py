"""The file watcher: sees that the code of path sources, or a plan, was changed, soon after it was and once for a burst.

Only folders that packing looks through are watched, each on its own, so that what is ignored (a virtual environment,
node_modules, .git) costs nothing. What an event is about is decided by how the source stands afterwards, so none is
needed of the file system but that something happened: a file that is replaced, renamed, new or gone is all one.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.sources.folder import Snapshot, snapshot_of_folder
from factory_cdk.plan.model import PathSource

TICK = 0.1
"""Seconds without an event after which a burst is over."""

LONGEST_BURST = 2.0
"""Seconds after which changes are told though more are coming."""

SLOW_TICK = 1.0
"""Seconds between two looks at what sends no events: a folder that was replaced as a whole, the plan, a file system of
another machine.
"""

EVENTLESS = (
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fakeowner",
    "fuse.",
    "gfs2",
    "lustre",
    "ncp",
    "nfs",
    "smb",
    "vboxsf",
    "virtiofs",
)
"""How the names of file systems begin on which others write without this machine being told."""

Watched = PathSource | Path

Changes = Mapping[Watched, Collection[str]]
"""What changed: sources, with the paths of the files that did as far as they are known, and plans."""


class FileWatcher:
    """Watches the path `sources` and the `files` (plans) from the moment it is made, until `stop` is set."""

    def __init__(
        self, sources: Iterable[PathSource], files: Iterable[Path], stop: threading.Event, say: Callable[[str], None]
    ) -> None:
        self._stop, self._say = stop, say
        self._snapshots = {source: _snapshot(source) for source in sources}
        self._files = tuple(files)
        self._marks = self._look_at_marks()
        self._marked_at = time.monotonic()
        mounts = _mounts()
        self._polls = any(is_eventless(source.folder.resolve(), mounts) for source in self._snapshots)

    @property
    def polls(self) -> bool:
        """Whether files are looked at every second, for want of events."""
        return self._polls

    def source_with(self, folder: Path) -> PathSource | None:
        """The source that `folder` would be packed with, if any."""
        real = str(folder.resolve())
        return next((source for source, snapshot in self._snapshots.items() if real in snapshot.folders), None)

    def changes(self) -> Iterator[Changes]:
        """What has changed, once it is quiet again; nothing about every `TICK` seconds while nothing does."""
        waiting: dict[Watched, set[str]] = {}
        since = 0.0
        while not self._stop.is_set():
            folders, fresh = self._folders(), True
            for paths in self._events(folders):
                found = self._look(paths, everything=fresh)
                fresh = False
                if found and not waiting:
                    since = time.monotonic()
                for one, names in found.items():
                    waiting.setdefault(one, set()).update(names)
                if waiting and (not found or time.monotonic() - since > LONGEST_BURST):
                    yield waiting
                    waiting = {}
                elif not waiting:
                    yield {}
                if self._folders() != folders:
                    break

    def _look(self, paths: frozenset[str], *, everything: bool) -> dict[Watched, set[str]]:
        """What changed, given that something happened at `paths`."""
        found: dict[Watched, set[str]] = {}
        replaced: set[Watched] = set()
        if everything or time.monotonic() - self._marked_at >= SLOW_TICK:
            marks = self._look_at_marks()
            replaced = {one for one, mark in marks.items() if mark != self._marks[one]}
            self._marks, self._marked_at = marks, time.monotonic()
            found.update({one: set() for one in replaced if isinstance(one, Path)})
        for source, before in self._snapshots.items():
            if everything or source in replaced or any(before.has(path) for path in paths):
                now = self._snapshots[source] = _snapshot(source)
                # A file that is written twice within a tick of the clock may look the same.
                names = now.differences(before) | {name for name, (real, *_) in now.files.items() if real in paths}
                if names or now != before:
                    found[source] = names
        return found

    def _look_at_marks(self) -> dict[Watched, object]:
        """What tells that a folder, or an ignore file above it, or a plan is another one now."""
        marks: dict[Watched, object] = {}
        for source, snapshot in self._snapshots.items():
            root = _mark(source.folder / (source.subdirectory or ""))
            marks[source] = (root and root[:2], *(_mark(file) for file in snapshot.rules))
        return {**marks, **{file: _mark(file) for file in self._files}}

    def _folders(self) -> frozenset[str]:
        return frozenset().union(*(snapshot.folders for snapshot in self._snapshots.values()))

    def _events(self, folders: frozenset[str]) -> Iterator[frozenset[str]]:
        """The paths of what happened, an empty set at least every `TICK` seconds; ends when a folder cannot be watched
        as it was meant.
        """
        if not folders:
            while not self._stop.wait(TICK):
                yield frozenset()
            return
        from watchfiles import watch  # noqa: PLC0415 - 30 ms that only those who watch pay

        try:
            for changes in watch(
                *sorted(folders),
                watch_filter=None,
                debounce=int(LONGEST_BURST * 1000),
                rust_timeout=int(TICK * 1000),
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
                force_polling=self._polls or None,
                poll_delay_ms=int(SLOW_TICK * 1000),
                recursive=False,
                ignore_permission_denied=True,
            ):
                yield frozenset(path for _, path in changes)
        except FileNotFoundError:
            self._stop.wait(TICK)  # a folder went; what is left of it is seen by the next look
        except (OSError, RuntimeError) as error:
            if self._polls:
                raise FactoryError(f"the folders cannot be watched: {error}", "build without --watch") from error
            self._polls = True
            self._say(f"no events are to be had ({error}): looking every {SLOW_TICK:g} s")


def is_eventless(folder: Path, mounts: Iterable[tuple[str, str]]) -> bool:
    """Whether `folder` lies on a file system on which others may write unnoticed, given `mounts`: (place, type)."""
    around = [(place, kind) for place, kind in mounts if folder.is_relative_to(place)]
    _, kind = max(around, key=lambda mount: len(mount[0]), default=("", ""))
    return kind.startswith(EVENTLESS)


def _mounts() -> list[tuple[str, str]]:
    """What is mounted where, the last first where several are mounted on one place (proc_pid_mountinfo(5))."""
    if not sys.platform.startswith("linux"):
        return []
    lines = Path("/proc/self/mountinfo").read_bytes().decode(errors="surrogateescape").splitlines()
    parts = [line.split(" ") for line in reversed(lines)]
    return [(_unescaped(part[4]), part[part.index("-") + 1]) for part in parts]


def _unescaped(place: str) -> str:
    for code, sign in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        place = place.replace(f"\\{code}", sign)
    return place


def _snapshot(source: PathSource) -> Snapshot:
    return snapshot_of_folder(source.folder, source.path, source.subdirectory)


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size
