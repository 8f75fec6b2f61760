"""Where a bot's requirements stand, in the order of the reference, found by reading alone.

From the bot's module upwards a pyproject.toml that describes a project, or a setup.py; else the plan's
requirements_path; else, upwards again, a requirements.txt.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.names import REQUIREMENTS
from factory_cdk.plan.model import Bot

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+)?(?P<file>\S.*?)\s*(?:\s#.*)?$")
_CREDENTIALS = re.compile(r"[a-z+]+://[^/\s]*@", re.IGNORECASE)
_BESIDE = ("setup.cfg", "setup.py", "uv.toml")
"""What else in a project's folder can change its requirements."""


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


def find_manifest(root: Path, bot: Bot, module: str | None = None) -> Manifest | None:
    """The manifest of a bot whose code lies in `root`, or None where there is none.

    `module` is the path of its module below `root` (see `target.module_file`), None for a command. Raises
    FactoryError when the plan's requirements_path is not there or leaves the source, when a file includes one
    outside of it, and for a pyproject.toml that does not parse.
    """
    folders = _upwards(root, module)
    for folder in folders:
        if (manifest := _project(root, folder)) is not None:
            return manifest
    if bot.requirements_path is not None:
        return _requirements(root, bot.requirements_path, bot)
    for folder in folders:
        if (folder / "requirements.txt").is_file():
            return _requirements(root, (folder / "requirements.txt").relative_to(root).as_posix(), bot)
    return None


def _upwards(root: Path, module: str | None) -> list[Path]:
    """The folders from that of a module up to the root."""
    if module is None:
        return [root]
    folder = (root / module).parent
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def locked_by(root: Path) -> Path | None:
    """The file of locked requirements in an unpacked bundle, or None where it has none."""
    file = root / REQUIREMENTS
    return file if file.is_file() else None


def _project(root: Path, folder: Path) -> Manifest | None:
    said = _pyproject(folder / "pyproject.toml", root)
    if said is not None and ("project" in said or "build-system" in said):
        name = "pyproject.toml"
    elif (folder / "setup.py").is_file():
        name = "setup.py"
    else:
        return None
    total = hashlib.sha256()
    for beside in sorted({name, *_BESIDE}):
        if (folder / beside).is_file():
            total.update(f"{beside}\0".encode() + hashlib.sha256((folder / beside).read_bytes()).digest())
    requires = str((said or {}).get("project", {}).get("requires-python", "")) if said else ""
    lowest = re.search(r"(?:>=|~=|==)\s*(3\.\d+)", requires)
    path = (folder / name).relative_to(root).as_posix()
    return Manifest("project", path, total.hexdigest(), lowest[1] if lowest else None)


def _pyproject(file: Path, root: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        said = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FactoryError(f"{file.relative_to(root)} does not parse: {error}", "correct it in the source") from error
    return said if isinstance(said.get("project", {}), dict) else None


def _requirements(root: Path, path: str, bot: Bot) -> Manifest:
    total = hashlib.sha256()
    for name, content in _included(root.resolve(), Path(path), bot, set()):
        total.update(f"{name}\0".encode() + hashlib.sha256(content).digest())
    return Manifest("requirements", Path(path).as_posix(), total.hexdigest())


def _included(root: Path, path: Path, bot: Bot, seen: set[Path]) -> Iterator[tuple[str, bytes]]:
    """A requirements file and all that it includes, each once; every one of them inside `root`."""
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise FactoryError(f"the requirements file {str(path)!r} leaves the source of {bot.name}", "move it inside")
    if file in seen:
        return
    seen.add(file)
    if not file.is_file():
        raise FactoryError(
            f"the requirements file {str(path)!r} is not in the source of {bot.name}",
            "correct requirements_path in the plan, or see what the ignore files leave out",
        )
    content = file.read_bytes()
    yield file.relative_to(root).as_posix(), content
    for line in content.decode("utf-8", "replace").splitlines():
        if _CREDENTIALS.search(line):
            raise FactoryError(
                f"{path}: an address in it holds credentials, which would be packed and locked with it",
                "take them out; uv finds them in its configuration, in netrc or in a keyring",
            )
        if (include := _INCLUDE.match(line)) and "://" not in include["file"]:
            inner = (file.parent / include["file"].strip("\"'")).resolve()
            yield from _included(root, inner, bot, seen)
