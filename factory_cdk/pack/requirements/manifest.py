"""Where a bot's requirements stand, in the order of the reference, found by reading alone.

From the bot's module upwards a pyproject.toml that describes a project, or a setup.py; else the plan's
requirements_path; else, upwards again, a requirements.txt.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.requirements.policy import (
    check_include,
    check_pyproject,
    check_requirement,
    check_uv_toml,
    configurations,
)
from factory_cdk.pack.tree import Tree, folders_of
from factory_cdk.plan.model import Bot

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+)?(?P<file>\S.*?)\s*(?:\s#.*)?$")
_BESIDE = ("pyproject.toml", "setup.cfg", "setup.py", "uv.toml")
_LISTED = re.compile(r"requirements[^/]*\.(?:txt|in)")
"""What in a project's folder can change its requirements: setup.py may well read requirements files."""

_MOST_INCLUDED = 100
"""Files that a requirements file may include, directly or not."""

_FLOOR = re.compile(r"(?:>=|~=|==)\s*(3\.\d+)")


Reader = Callable[[str], bytes]
"""Reads a file of a source by its path there."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where requirements stand: the file `path` of a source, `/` between its parts. `pyproject` is what the
    pyproject.toml beside it says. `builds` says whether it is a project that can be built and installed: one with
    a build system or a setup.py; without them a pyproject.toml lists what its code needs, and no more.
    """

    kind: Literal["project", "requirements"]
    path: str
    pyproject: Mapping[str, Any] = field(default_factory=dict)
    builds: bool = False

    @property
    def folder(self) -> str:
        """The folder of the file (`""` for the root)."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The file that says what a bot requires. `path` is relative to the bundle's root, `/` between its parts;
    `digest` is the SHA-256, in hex, of everything in the bundle that its answer depends on.

    A `project` is installed itself, too, from the folder that the file is in.
    """

    kind: Literal["project", "requirements"]
    path: str
    digest: str
    floor: str | None = None
    """The lowest Python that the project says it runs on (`3.12`), or None."""

    @property
    def folder(self) -> str:
        """The folder of the manifest, relative to the bundle's root (`""` for the root itself)."""
        return self.path.rpartition("/")[0]


def find_manifest(tree: Tree, bot: Bot, module: str | None = None) -> Manifest | None:
    """The manifest of a bot whose code is `tree`, or None where there is none; files outside of it do not count.

    `module` is the path of its module in the tree (see `target.module_file`), None for a command. Raises
    FactoryError when the plan's requirements_path is not there or leaves the source, when a file includes one
    outside of it or holds credentials, for a pyproject.toml that does not parse, and for what reaches into this machine
    (see `policy`).
    """
    read = reader_of(tree)
    found = locate(tree.paths, read, bot.requirements_path, module)
    if found is None:
        return None
    for path in configurations(tree.paths, found.folder):
        check = check_uv_toml if path.rpartition("/")[2] == "uv.toml" else check_pyproject
        check(path, _toml(read, path))
    return _project(tree, found) if found.kind == "project" else _requirements(tree, found.path, bot)


def locate(paths: Collection[str], read: Reader, requirements_path: str | None, module: str | None) -> Located | None:
    """Where the requirements of a bot stand among the files `paths` of its source, or None.

    `module` is the path of its module there, None for a command. A `requirements_path` is taken at its word:
    `included` finds out whether it is there. FactoryError for a pyproject.toml that does not parse.
    """
    folders = [*folders_of(module or ""), ""]
    for folder in folders:
        if (project := _located_project(paths, read, f"{folder}/" if folder else "")) is not None:
            return project
    if requirements_path is not None:
        return Located("requirements", posixpath.normpath(requirements_path))
    for folder in folders:
        path = f"{folder}/requirements.txt" if folder else "requirements.txt"
        if path in paths:
            return Located("requirements", path)
    return None


def reader_of(tree: Tree) -> Reader:
    """Reads the files of a tree."""
    return lambda path: tree.at(path).read_bytes()


def _located_project(paths: Collection[str], read: Reader, folder: str) -> Located | None:
    said = _pyproject(paths, read, f"{folder}pyproject.toml")
    has_setup = f"{folder}setup.py" in paths
    builds = has_setup or "build-system" in (said or {})
    if said is not None and ("project" in said or "build-system" in said):
        return Located("project", f"{folder}pyproject.toml", said, builds)
    return Located("project", f"{folder}setup.py", said or {}, builds) if has_setup else None


def _project(tree: Tree, found: Located) -> Manifest:
    folder = f"{found.folder}/" if found.folder else ""
    total = hashlib.sha256(f"{found.path}\0".encode())
    for file in tree.files:
        beside = file.path.removeprefix(folder)
        if file.path == folder + beside and (beside in _BESIDE or _LISTED.fullmatch(beside)):
            total.update(f"{file.path}\0{file.sha256}\0".encode())
    lowest = _FLOOR.search(str(found.pyproject.get("project", {}).get("requires-python", "")))
    return Manifest("project", found.path, total.hexdigest(), lowest[1] if lowest else None)


def _pyproject(paths: Collection[str], read: Reader, path: str) -> dict[str, Any] | None:
    if path not in paths:
        return None
    said = _toml(read, path)
    return said if isinstance(said.get("project", {}), dict) else None


def _toml(read: Reader, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(read(path).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FactoryError(f"{path} is not valid TOML: {error}", "correct it in the source") from error
    except RecursionError:
        raise FactoryError(f"{path} is not valid TOML: it is nested too deep", "correct it in the source") from None


def _requirements(tree: Tree, path: str, bot: Bot) -> Manifest:
    total = hashlib.sha256()
    for name, content in included(tree.paths, reader_of(tree), path, bot.name):
        total.update(f"{name}\0".encode() + hashlib.sha256(content).digest())
    return Manifest("requirements", path, total.hexdigest())


def included(
    paths: Collection[str], read: Reader, path: str, bot: str, seen: set[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """The requirements file `path` of `bot` and all that it includes, each once, with their contents.

    FactoryError when one is not among the files `paths` of the source, or holds credentials.
    """
    seen = set() if seen is None else seen
    if path in seen:
        return
    seen.add(path)
    if len(seen) > _MOST_INCLUDED:
        raise FactoryError(
            f"the requirements of {bot} include more than {_MOST_INCLUDED} files", "merge them into fewer files"
        )
    if path.startswith(("/", "../")) or path == "..":
        raise FactoryError(
            f"the requirements file {path!r} leaves the source of {bot}", "move the file into the source"
        )
    if path not in paths:
        raise FactoryError(
            f"the requirements file {path!r} is not in the source of {bot}",
            "correct its path, or check what the ignore files exclude",
        )
    content = read(path)
    yield path, content
    for line in re.sub(r"\\\r?\n", " ", content.decode("utf-8", "replace")).splitlines():
        check_requirement(path, line)
        if include := _INCLUDE.match(line):
            check_include(path, include["file"])
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(path), include["file"].strip("\"'")))
            yield from included(paths, read, inner, bot, seen)
