"""Where a bot's requirements stand, in the order of the reference, found by reading alone.

From the bot's module upwards a pyproject.toml that describes a project, or a setup.py; else the plan's
requirements_path; else, upwards again, a requirements.txt.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.tree import Tree, folders_of
from factory_cdk.plan.model import Bot

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+)?(?P<file>\S.*?)\s*(?:\s#.*)?$")
_CREDENTIALS = re.compile(r"[a-z+]+://[^/\s]*@", re.IGNORECASE)
_BESIDE = ("pyproject.toml", "setup.cfg", "setup.py", "uv.toml")
_LISTED = re.compile(r"requirements[^/]*\.(?:txt|in)")
"""What in a project's folder can change its requirements: setup.py may well read requirements files."""

_FLOOR = re.compile(r"(?:>=|~=|==)\s*(3\.\d+)")


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
    outside of it or holds credentials, and for a pyproject.toml that does not parse.
    """
    folders = [*folders_of(module or ""), ""]
    for folder in folders:
        if (manifest := _project(tree, f"{folder}/" if folder else "")) is not None:
            return manifest
    if bot.requirements_path is not None:
        return _requirements(tree, bot.requirements_path, bot)
    for folder in folders:
        path = f"{folder}/requirements.txt" if folder else "requirements.txt"
        if path in tree.paths:
            return _requirements(tree, path, bot)
    return None


def _project(tree: Tree, folder: str) -> Manifest | None:
    said = _pyproject(tree, f"{folder}pyproject.toml")
    if said is not None and ("project" in said or "build-system" in said):
        name = "pyproject.toml"
    elif f"{folder}setup.py" in tree.paths:
        name = "setup.py"
    else:
        return None
    total = hashlib.sha256(f"{folder}{name}\0".encode())
    for file in tree.files:
        beside = file.path.removeprefix(folder)
        if file.path == folder + beside and (beside in _BESIDE or _LISTED.fullmatch(beside)):
            total.update(f"{file.path}\0{file.sha256}\0".encode())
    project = (said or {}).get("project", {})
    lowest = _FLOOR.search(str(project.get("requires-python", "")))
    return Manifest("project", folder + name, total.hexdigest(), lowest[1] if lowest else None)


def _pyproject(tree: Tree, path: str) -> dict[str, Any] | None:
    if path not in tree.paths:
        return None
    try:
        said = tomllib.loads(tree.at(path).read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FactoryError(f"{path} does not parse: {error}", "correct it in the source") from error
    return said if isinstance(said.get("project", {}), dict) else None


def _requirements(tree: Tree, path: str, bot: Bot) -> Manifest:
    total = hashlib.sha256()
    name = posixpath.normpath(path)
    for included, content in _included(tree, name, bot, set()):
        total.update(f"{included}\0".encode() + hashlib.sha256(content).digest())
    return Manifest("requirements", name, total.hexdigest())


def _included(tree: Tree, path: str, bot: Bot, seen: set[str]) -> Iterator[tuple[str, bytes]]:
    """A requirements file and all that it includes, each once; every one of them in the tree."""
    if path in seen:
        return
    seen.add(path)
    if path.startswith(("/", "../")) or path == "..":
        raise FactoryError(f"the requirements file {path!r} leaves the source of {bot.name}", "move it inside")
    if path not in tree.paths:
        raise FactoryError(
            f"the requirements file {path!r} is not in the source of {bot.name}",
            "correct its path, or see what the ignore files leave out",
        )
    content = tree.at(path).read_bytes()
    yield path, content
    for line in content.decode("utf-8", "replace").splitlines():
        if _CREDENTIALS.search(line):
            raise FactoryError(
                f"{path}: an address in it holds credentials, which would be packed with it",
                "take them out: uv finds them in its own configuration, in pip's, in netrc or in a keyring",
            )
        if (include := _INCLUDE.match(line)) and "://" not in include["file"]:
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(path), include["file"].strip("\"'")))
            yield from _included(tree, inner, bot, seen)
