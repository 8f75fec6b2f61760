"""Where a bot's requirements stand, found by reading alone. The first of these says all of them:

the plan's requirements_path; the metadata of a script (PEP 723) in the bot's module; from the module upwards a
pyproject.toml that describes a project, or a setup.py; upwards again a requirements.txt; and a setup.cfg alone.
"""

from __future__ import annotations

import configparser
import hashlib
import posixpath
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.requirements.building import BUILD_FILES
from factory_cdk.pack.requirements.outside import (
    AROUND,
    is_in_workspace,
    path_in_bundle,
    path_in_source,
    refers_outside,
)
from factory_cdk.pack.requirements.policy import (
    ARCHIVES,
    check_include,
    check_pyproject,
    check_requirement,
    check_uv_toml,
    configurations,
    local_place,
)
from factory_cdk.pack.tree import Tree, folders_of
from factory_cdk.plan.model import Bot

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+)?(?P<file>\S.*?)\s*(?:\s#.*)?$")
_BESIDE = ("pyproject.toml", "setup.cfg", "setup.py", "uv.toml")
_LISTED = re.compile(r"requirements[^/]*\.(?:txt|in)")
"""What in a project's folder can change its requirements: setup.py may well read requirements files."""

_BUILD_MODULES = (*_BESIDE, "hatch_build.py", "build.py")
"""What in a project's folder says how it is built, and may refer to files around it."""

_MOST_INCLUDED = 100
"""Files that a requirements file may include, directly or not."""

_FLOOR = re.compile(r"(?:>=|~=|==)\s*(3\.\d+)")
_SCRIPT = re.compile(r"(?m)^# /// script\s*$\s(?P<lines>(^#(| .*)$\s)+)^# ///\s*$")
"""The metadata of a script, as PEP 723 finds it."""

Kind = Literal["project", "requirements", "script"]

Reader = Callable[[str], bytes]
"""Reads a file of a source by its path there."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where requirements stand: the file `path` of a source, `/` between its parts. `pyproject` is what the
    pyproject.toml beside it says, or the metadata of a script. `builds` says whether it is a project that can be built
    and installed: one with a build system or a setup.py, which does not say of itself that it is none (poetry's
    `package-mode = false`, uv's `package = false`, PDM's `distribution = false`); without them a pyproject.toml lists
    what its code needs, and no more.
    """

    kind: Kind
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

    A `project` that builds is installed itself, too, from the folder that the file is in.
    """

    kind: Kind
    path: str
    digest: str
    floor: str | None = None
    """The lowest Python that the project says it runs on (`3.12`), or None."""

    @property
    def folder(self) -> str:
        """The folder of the manifest, relative to the bundle's root (`""` for the root itself)."""
        return self.path.rpartition("/")[0]


def find_manifest(
    tree: Tree, bot: Bot, module: str | None = None, subdirectory: str | None = None
) -> tuple[Located, Manifest] | None:
    """The manifest of a bot whose code is `tree`, and where it stands; None where there is none.

    `module` is the path of its module in the tree (see `target.module_file`), None for a command; `subdirectory` is
    what the root of the tree is in its source, of which AROUND has the rest where that counts. Raises FactoryError when
    the plan's requirements_path is not there or leaves the source, when a file includes one outside of it or holds
    credentials, for a pyproject.toml that is no TOML, and for what reaches into this machine (see `policy`).
    """
    read = reader_of(tree)
    found = locate(tree.paths, read, bot.requirements_path, module)
    if found is None:
        return None
    for path in configurations(tree.paths, found.folder, subdirectory):
        check = check_uv_toml if path.rpartition("/")[2] == "uv.toml" else check_pyproject
        check(path, _toml(read, path))
    if found.kind == "script":
        check_pyproject(found.path, {"project": found.pyproject, "tool": found.pyproject.get("tool")})
        return found, _script_manifest(tree, found)
    if found.kind == "project":
        return found, _project(tree, found)
    return found, _requirements(tree, found.path, bot, subdirectory)


def locate(paths: Collection[str], read: Reader, requirements_path: str | None, module: str | None) -> Located | None:
    """Where the requirements of a bot stand among the files `paths` of its source, or None.

    `module` is the path of its module there, None for a command. A `requirements_path` is taken at its word:
    `included` finds out whether it is there. FactoryError for a pyproject.toml that is no TOML.
    """
    if requirements_path is not None:
        return Located("requirements", posixpath.normpath(requirements_path))
    if module is not None and (script := script_metadata(read(module))) is not None:
        return Located("script", module, script)
    folders = [*folders_of(module or ""), ""]
    for folder in folders:
        if (project := _located_project(paths, read, f"{folder}/" if folder else "")) is not None:
            return project
    for folder in folders:
        path = f"{folder}/requirements.txt" if folder else "requirements.txt"
        if path in paths:
            return Located("requirements", path)
    for folder in folders:
        path = f"{folder}/setup.cfg" if folder else "setup.cfg"
        if path in paths and "options" in setup_cfg(read(path)):
            return Located("project", path, {}, True)
    return None


def script_metadata(content: bytes) -> dict[str, Any] | None:
    """The metadata in a Python file that is a script with some (PEP 723), or None."""
    if b"# /// script" not in content:
        return None
    found = _SCRIPT.search(content.decode("utf-8-sig", "replace").replace("\r\n", "\n"))
    if found is None:
        return None
    lines = (line[2:] if line.startswith("# ") else line[1:] for line in found["lines"].splitlines())
    try:
        return tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FactoryError(
            f"the metadata of a script in the bot's module is not valid TOML: {error}", "correct it in the source"
        ) from error


def setup_cfg(content: bytes) -> Mapping[str, Mapping[str, str]]:
    """The sections of a setup.cfg; none where it is not one."""
    reader = configparser.RawConfigParser()
    try:
        reader.read_string(content.decode("utf-8-sig", "replace"))
    except configparser.Error:
        return {}
    return {name: dict(reader.items(name)) for name in reader.sections()}


def reaches_outside(
    tree: Tree, bot: Bot, module: str | None, subdirectory: str, read_source: Callable[[str], bytes | None]
) -> bool:
    """Whether a bot's requirements refer to files of its source that are outside of the `subdirectory`, which `tree`
    is; `read_source` reads the source's files (None: not there).
    """
    read = reader_of(tree)
    found = locate(tree.paths, read, bot.requirements_path, module)
    if found is None or found.kind == "script":
        return False
    if found.kind == "requirements":
        return found.path in tree.paths and _includes_outside(tree, found.path, set())
    whole = posixpath.normpath(posixpath.join(subdirectory, found.folder))
    return _project_refers_outside(tree, found) or is_in_workspace(whole, read_source)


def _project_refers_outside(tree: Tree, found: Located) -> bool:
    folder = f"{found.folder}/" if found.folder else ""
    names = [folder + name for name in _BUILD_MODULES if folder + name in tree.paths]
    names += _own_backend(tree, found)
    texts = (tree.at(name).read_bytes().decode("utf-8", "replace") for name in names)
    return refers_outside(texts, folder.count("/"))


def _own_backend(tree: Tree, found: Located) -> list[str]:
    """The files of a build backend that is in the project itself (PEP 517's `backend-path`)."""
    system = found.pyproject.get("build-system", {})
    places = system.get("backend-path", ()) if isinstance(system, dict) else ()
    folders = [posixpath.normpath(posixpath.join(found.folder, str(place))) for place in places]
    starts = tuple("" if folder == "." else f"{folder}/" for folder in folders)
    return [path for path in sorted(tree.paths) if path.endswith(".py") and _is_right_in(path, starts)]


def _is_right_in(path: str, starts: tuple[str, ...]) -> bool:
    return any(path.startswith(start) and "/" not in path[len(start) :] for start in starts)


def _includes_outside(tree: Tree, path: str, seen: set[str]) -> bool:
    seen.add(path)
    content = tree.at(path).read_bytes()
    if any(_is_or_refers_outside(tree, posixpath.normpath(place)) for place in local_places(content)):
        return True
    for file in _includes(content):
        inner = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.strip("\"'")))
        if inner.startswith("../"):
            return True
        if inner in tree.paths and inner not in seen and _includes_outside(tree, inner, seen):
            return True
    return False


def _is_or_refers_outside(tree: Tree, place: str) -> bool:
    if place.startswith(".."):
        return True
    found = _located_project(tree.paths, reader_of(tree), "" if place == "." else f"{place}/")
    return found is not None and _project_refers_outside(tree, found)


def reader_of(tree: Tree) -> Reader:
    """Reads the files of a tree."""
    return lambda path: tree.at(path).read_bytes()


def _located_project(paths: Collection[str], read: Reader, folder: str) -> Located | None:
    said = _pyproject(paths, read, f"{folder}pyproject.toml")
    has_setup = f"{folder}setup.py" in paths
    builds = (has_setup or "build-system" in (said or {})) and not _is_virtual(said or {})
    if said is not None and ("project" in said or "build-system" in said):
        return Located("project", f"{folder}pyproject.toml", said, builds)
    return Located("project", f"{folder}setup.py", said or {}, builds) if has_setup else None


def _is_virtual(said: Mapping[str, Any]) -> bool:
    """Whether a pyproject.toml says of its project that it is not to be installed."""
    tool = said.get("tool")
    marks = {"poetry": "package-mode", "uv": "package", "pdm": "distribution"}
    of_tools = ((tool.get(name), key) for name, key in marks.items()) if isinstance(tool, dict) else ()
    return any(isinstance(table, dict) and table.get(key) is False for table, key in of_tools)


def _script_manifest(tree: Tree, found: Located) -> Manifest:
    content = tree.at(found.path).read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n")
    block = _SCRIPT.search(content)
    lowest = _FLOOR.search(str(found.pyproject.get("requires-python", "")))
    digest = hashlib.sha256((block[0] if block else "").encode()).hexdigest()
    return Manifest("script", found.path, digest, lowest[1] if lowest else None)


def _project(tree: Tree, found: Located) -> Manifest:
    folder = f"{found.folder}/" if found.folder else ""
    total = hashlib.sha256(f"{found.path}\0".encode())
    for file in tree.files:
        beside = file.path.removeprefix(folder)
        around = file.path.startswith(f"{AROUND}/")
        name = file.path.rpartition("/")[2] if around else beside
        if (around or file.path == folder + beside) and (name in _BESIDE or _LISTED.fullmatch(name)):
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


def _requirements(tree: Tree, path: str, bot: Bot, subdirectory: str | None) -> Manifest:
    total = hashlib.sha256()
    for name, content in included(tree.paths, reader_of(tree), path, bot.name, subdirectory):
        total.update(f"{name}\0".encode() + hashlib.sha256(content).digest())
    projects = local_projects(tree, path, bot, subdirectory)
    for file in tree.files if projects else ():  # what these say may stand in others, beside them
        name = file.path.rpartition("/")[2]
        if name in _BESIDE or _LISTED.fullmatch(name) or name.endswith(ARCHIVES):
            total.update(f"{file.path}\0{file.sha256}\0".encode())
    return Manifest("requirements", path, total.hexdigest())


def local_projects(tree: Tree, path: str, bot: Bot, subdirectory: str | None) -> tuple[str, ...]:
    """The projects, and archives of some, that the requirements file `path` of a bot and those that it includes name,
    as paths in its `tree`. FactoryError as of `included`, and when one is not there.
    """
    found = included(tree.paths, reader_of(tree), path, bot.name, subdirectory)
    return tuple(
        _local_project(tree, path_in_source(name, subdirectory), place, bot, subdirectory)
        for name, content in list(found)  # every line of all of them is checked first
        for place in local_places(content)
    )


def _local_project(tree: Tree, listed_in: str, place: str, bot: Bot, subdirectory: str | None) -> str:
    whole = posixpath.normpath(posixpath.join(subdirectory or "", place))
    folder = "" if whole == posixpath.normpath(subdirectory or "") else path_in_bundle(whole, subdirectory)
    start = f"{folder}/" if folder else ""
    if folder in tree.paths or any(f"{start}{name}" in tree.paths for name in BUILD_FILES):
        return folder
    if any(path.startswith(start) for path in tree.paths):
        message = f"{listed_in}: the folder {place!r} has no {', '.join(BUILD_FILES[:-1])} or {BUILD_FILES[-1]}"
        raise FactoryError(message, "give it a pyproject.toml; code that is not to be installed needs no line")
    raise FactoryError(
        f"{listed_in}: {place!r} is not in the source of {bot.name}",
        "it starts from the source's root, or from its `subdirectory`: correct it, or check what the ignore files "
        "exclude",
    )


def included(
    paths: Collection[str],
    read: Reader,
    path: str,
    bot: str,
    subdirectory: str | None = None,
    seen: set[str] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The requirements file `path` of `bot` and all that it includes, each once, with their contents; paths are those
    in the bundle, whose root is the `subdirectory` of its source.

    FactoryError when one is not among the files `paths` of the source, or holds credentials.
    """
    seen = set() if seen is None else seen
    if path in seen:
        return
    seen.add(path)
    if len(seen) > _MOST_INCLUDED:
        raise FactoryError(f"the requirements of {bot} include more than {_MOST_INCLUDED} files", "merge some of them")
    if path.startswith(("/", "../")) or path == "..":
        raise FactoryError(f"the requirements file {path!r} leaves the source of {bot}", "move it into the source")
    if path not in paths:
        shown = path.removeprefix(f"{AROUND}/")
        raise FactoryError(
            f"the requirements file {shown!r} is not in the source of {bot}",
            "correct its path, or check what the ignore files exclude",
        )
    content = read(path)
    yield path, content
    whole = path_in_source(path, subdirectory)
    for line in _logical_lines(content):
        check_requirement(whole, line, subdirectory)
    for file in _includes(content):
        check_include(path, file)
        inner = posixpath.normpath(posixpath.join(posixpath.dirname(whole), file.strip("\"'")))
        yield from included(paths, read, path_in_bundle(inner, subdirectory), bot, subdirectory, seen)


def _includes(content: bytes) -> Iterator[str]:
    """The files that a requirements file includes, as it names them."""
    for line in _logical_lines(content):
        if include := _INCLUDE.match(line):
            yield include["file"]


def local_places(content: bytes) -> Iterator[str]:
    """The folders and archives of the source that a requirements file names as requirements."""
    for line in _logical_lines(content):
        if (place := local_place(line)) is not None:
            yield place


def _logical_lines(content: bytes) -> list[str]:
    return re.sub(r"\\\r?\n", " ", content.decode("utf-8", "replace")).splitlines()
