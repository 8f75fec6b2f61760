"""Path sources: the files of a folder that belong to a bundle, links followed where they stay inside."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.left_out import LeftOut, left_out_at
from factory_cdk.pack.paths import checked, native, portable
from factory_cdk.pack.sources.ignore import (
    FACTORYIGNORE,
    IGNORE_FILES,
    Rules,
    left_by_editor,
    never_packed,
    rule_files_above,
    rules_above,
)
from factory_cdk.pack.tree import File, Tree, bounded, hashed, tree_of

_OWNER_MAY_RUN = 0o100
_MOST_LINKED = 5_000


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    file: Path
    executable: bool
    written: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a path source stands, told by the file system's own facts: two are equal unless something was written.

    `files` has these facts by the path of every file that would be packed, the file's real path first. `folders`
    are the real paths of the folders that are looked through, `rules` the ignore files above that have a say.
    `error` is why it cannot be packed as it stands, or None.
    """

    files: Mapping[str, tuple[str, bool, tuple[int, ...]]]
    folders: frozenset[str]
    rules: tuple[Path, ...] = ()
    error: str | None = None

    def differences(self, other: Snapshot) -> set[str]:
        """The paths of the files that are new, gone or written anew."""
        names = self.files.keys() | other.files.keys()
        return {name for name in names if self.files.get(name) != other.files.get(name)}

    def has(self, path: str) -> bool:
        """Whether what lies at the real `path` may be part of it."""
        return path in self.folders or os.path.dirname(path) in self.folders  # noqa: PTH120 - a text, and many of them


def snapshot_of_folder(folder: Path, shown: str, subdirectory: str | None = None) -> Snapshot:
    """How the source that `tree_of_folder` would read stands; no file is read but ignore files."""
    files: dict[str, tuple[str, bool, tuple[int, ...]]] = {}
    walk: _Walk | None = None
    rule_files: tuple[Path, ...] = ()
    error = None
    try:
        start = inside(folder, subdirectory, shown)
        rule_files = rule_files_above(start)
        rules, prefix = rules_above(start)
        walk = _Walk(folder.resolve(), prefix, IGNORE_FILES, shown, counts=False)
        for found in walk.files(start, "", rules, (walk.root, start)):
            files[found.path] = (str(found.file), found.executable, found.written)
    except FactoryError as refused:
        error = refused.message
    except OSError as refused:  # it went away while it was looked at
        error = str(refused)
    folders = {str(one) for one in walk.folders} if walk else set()
    folders.update(str(Path(real).parent) for real, *_ in files.values())  # links lead there
    return Snapshot(files, frozenset(folders), rule_files, error)


def tree_of_folder(folder: Path, shown: str, subdirectory: str | None = None) -> Tree:
    """The tree of a path source, hashed where it lies; nothing is written.

    Left out: what .gitignore and .factoryignore say (also those above the folder in its git work tree),
    version control's own folders, byte code, what editors keep beside open files, and virtual environments
    (folders that hold a pyvenv.cfg). A link is followed, and what it points at is packed in its place. With
    `subdirectory` that folder is the root of the bundle, and links may lead anywhere in `folder`. `shown` is what
    messages call the folder.

    Raises FactoryError for a folder that does not exist or cannot be read, a link that leaves the folder or
    turns in a circle, a device or socket, a name that a bundle cannot hold, an empty folder, or too much.
    """
    root, start = folder.resolve(), inside(folder, subdirectory, shown)
    rules, prefix = rules_above(start)
    return _tree(_Walk(root, prefix, IGNORE_FILES, shown), start, rules)


def tree_of_checkout(folder: Path, shown: str, subdirectory: str | None = None) -> Tree:
    """The tree of what was laid out from a commit: as `tree_of_folder`, but only .factoryignore leaves out."""
    start = inside(folder, subdirectory, shown)
    return _tree(_Walk(folder.resolve(), "", (FACTORYIGNORE,), shown), start, Rules())


def inside(folder: Path, subdirectory: str | None, shown: str) -> Path:
    """The real path of a source's root; FactoryError when it is no folder or lies outside of the source."""
    root = folder.resolve()
    start = (root / native(subdirectory)).resolve() if subdirectory else root
    if not start.is_relative_to(root):
        raise FactoryError(f"{shown}: the subdirectory {subdirectory!r} leaves the source", "correct it in the plan")
    if not os.path.isdir(start):  # noqa: PTH112 - a name that is too long is not there, and no error
        what = "is not a folder" if os.path.exists(start) else "does not exist"  # noqa: PTH110
        name = f"{shown}: the subdirectory {subdirectory!r}" if subdirectory else shown
        raise FactoryError(f"{name} {what}", f"correct the source in the plan (looked for {folder})")
    return start


def _tree(walk: _Walk, start: Path, rules: Rules) -> Tree:
    found = list(walk.files(start, "", rules, (walk.root, start)))
    if not found:
        raise FactoryError(f"{walk.shown} has no files to pack", "check what the ignore files in it exclude")
    tree = tree_of(start, (walk.hashed(file) for file in found), walk.shown)
    return replace(tree, left_out=tuple(walk.left_out))


@dataclass(slots=True)
class _Walk:
    """One walk through a source: `root` is its real path, `prefix` the path in its git work tree that the walk
    starts from, `ignore_files` are the names of those that have a say.
    """

    root: Path
    prefix: str
    ignore_files: tuple[str, ...]
    shown: str
    entries: int = 0
    linked: int = 0
    size: int = 0
    folders: set[Path] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)
    counts: bool = True
    """Whether the files in folders that are left out are counted."""

    def files(self, folder: Path, path: str, rules: Rules, within: tuple[Path, ...]) -> Iterator[_Found]:
        """The files below `folder`, whose path in the bundle is `path`; `within` are the real folders around it,
        the second of them the bundle's root.
        """
        self.folders.add(folder)
        rules = rules.with_files_of(folder, self.prefix + path, self.ignore_files)
        for entry in self._entries(folder):
            name, linked = path + portable(entry.name), entry.is_symlink()
            if never_packed(entry.name) or (self.ignore_files == IGNORE_FILES and left_by_editor(entry.name)):
                continue
            is_folder = not linked and entry.is_dir(follow_symlinks=False)
            if rules.ignore(self.prefix + name, folder=is_folder):
                if self.counts:
                    self.left_out.append(left_out_at(name, Path(entry.path), folder=is_folder))
                continue
            real = self._target(entry, name) if linked else Path(entry.path)
            about = real.stat()
            self._count(about.st_size if stat.S_ISREG(about.st_mode) else 0, linked=real != within[1] / native(name))
            if stat.S_ISREG(about.st_mode):
                written = (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)
                yield _Found(checked(name, self.shown), real, bool(about.st_mode & _OWNER_MAY_RUN), written)
            elif not stat.S_ISDIR(about.st_mode):
                raise self._error(f"{name!r} is not a regular file", "leave it out with a line in .factoryignore")
            elif real in within:
                raise self._error(f"the link {name!r} points at a folder that it lies in", "delete the link")
            elif not (real / "pyvenv.cfg").is_file():
                yield from self.files(real, f"{name}/", rules, (*within, real))

    def hashed(self, found: _Found) -> File:
        """The facts of a file that was found."""
        try:
            return hashed(found.file, found.path, executable=found.executable)
        except OSError as error:
            raise self._unreadable(found.file, error) from error

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise self._unreadable(folder, error) from error

    def _target(self, entry: os.DirEntry[str], name: str) -> Path:
        """Where a link leads, inside the folder."""
        try:
            real = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            real = None
        if real is None or not real.is_relative_to(self.root):
            raise self._error(
                f"the link {name!r} leaves the folder" if real else f"the link {name!r} leads nowhere",
                "copy what it should point at into the folder, or leave it out with a line in .factoryignore",
            )
        if any(never_packed(part) for part in real.relative_to(self.root).parts):
            raise self._error(f"the link {name!r} points at what is never packed", "delete the link")
        return real

    def _count(self, size: int, *, linked: bool) -> None:
        """Count an entry; those behind links are fewer, since links to links multiply without end."""
        self.entries += 1
        self.linked += linked
        self.size += size
        bounded(self.entries, self.size, self.shown)
        if self.linked > _MOST_LINKED:
            raise self._error(f"more than {_MOST_LINKED:,} files are behind links", "delete the links")

    def _error(self, what: str, remedy: str) -> FactoryError:
        return FactoryError(f"{self.shown}: {what}", remedy)

    def _unreadable(self, file: Path, error: OSError) -> FactoryError:
        return self._error(f"{file} cannot be read: {error.strerror}", "give yourself read permission")
