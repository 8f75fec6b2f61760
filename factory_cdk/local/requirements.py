"""Which requirements a bot has, found by reading its folder and running nothing of it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from factory_cdk.diagnostics import FactoryError

PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
LOCAL_PATH = re.compile(r"^(?:-e\b|--editable\b|\.{0,2}[/\\]|file:)|@\s*(?:file:|\.{0,2}/)")
INCLUDE = re.compile(r"^(?:-r|--requirement|-c|--constraint)[= ]?\s*(?P<file>\S+)")


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is installed for a bot besides its own code.

    `kind` says where it is written: `project` (a pyproject.toml or setup.py, whose dependencies count),
    `file` (a requirements file), `lock` (the lines of a locked bundle) or `none`. `file` is what uv reads,
    `lines` what a person reads, and `digest` (SHA-256, hex) covers everything that the outcome depends on.
    """

    kind: Literal["project", "file", "lock", "none"]
    digest: str
    file: Path | None = None
    lines: tuple[str, ...] = ()


NOTHING = Requirements("none", hashlib.sha256(b"").hexdigest())


def locked(lines: tuple[str, ...]) -> Requirements:
    """The requirements of a packed bundle: exact versions with hashes."""
    return Requirements("lock", hashlib.sha256("\n".join(lines).encode()).hexdigest(), lines=lines)


def find_requirements(root: Path, module_folder: Path, requirements_path: str | None) -> Requirements:
    """The requirements of a bot whose source is at `root` and whose module is in `module_folder` below it.

    In the order of the reference: from the module upwards a pyproject.toml or setup.py; else
    `requirements_path`, relative to `root`; else, upwards again, a requirements.txt; else none. A
    pyproject.toml that describes no project (tool settings alone) does not count. FactoryError when
    `requirements_path` names no file or a file cannot be read.
    """
    folders = _upwards(module_folder, root)
    for folder in folders:
        for name in ("pyproject.toml", "setup.py"):
            if (folder / name).is_file() and (name == "setup.py" or _is_project(folder / name)):
                return _project(folder / name)
    if requirements_path is not None:
        file = root / requirements_path
        if not file.is_file():
            raise FactoryError(f"requirements_path: there is no file {file}", "correct the path in the plan")
        return _requirements_file(file)
    for folder in folders:
        if (folder / "requirements.txt").is_file():
            return _requirements_file(folder / "requirements.txt")
    return NOTHING


def _upwards(folder: Path, root: Path) -> list[Path]:
    below = [folder, *folder.parents]
    return below[: below.index(root) + 1] if root in below else [root]


def _is_project(file: Path) -> bool:
    content = _toml(file)
    return "project" in content or "build-system" in content


def _toml(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        raise FactoryError(f"{file} is not TOML: {error}") from None


def _project(file: Path) -> Requirements:
    """What the dependencies may depend on: the project's files, and requirements files that setup.py may read."""
    folder = file.parent
    parts = [folder / name for name in PROJECT_FILES if (folder / name).is_file()]
    parts += sorted(folder.glob("requirements*.txt"))
    lines: tuple[str, ...] = (f"the dependencies of {file.name}",)
    if file.name == "pyproject.toml":
        project = _toml(file).get("project")
        if isinstance(project, dict) and "dependencies" not in project.get("dynamic", ()):
            lines = tuple(str(line) for line in project.get("dependencies", ()))
            if not lines:
                return NOTHING
    return Requirements("project", _digest(parts, [folder] if _names_paths(lines) else []), file, lines)


def _requirements_file(file: Path) -> Requirements:
    parts: list[Path] = []
    lines = tuple(_lines(file, parts))
    if not lines:
        return NOTHING
    return Requirements("file", _digest(parts, [file.parent] if _names_paths(lines) else []), file, lines)


def _lines(file: Path, parts: list[Path]) -> Iterator[str]:
    """The lines of a requirements file without comments, includes followed; every file is added to `parts`."""
    parts.append(file)
    for line in _text(file).replace("\\\n", " ").splitlines():
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        include = INCLUDE.match(text)
        included = file.parent / include["file"] if include else None
        if included is not None and included.is_file() and included not in parts:
            yield from _lines(included, parts)
        elif text:
            yield text


def _names_paths(lines: tuple[str, ...]) -> bool:
    return any(LOCAL_PATH.search(line) for line in lines)


def _digest(files: list[Path], folders: list[Path]) -> str:
    """SHA-256 over the contents of `files`, and over the paths of `folders`, for requirements that name paths."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0".encode())
        digest.update(hashlib.sha256(_text(file).encode()).digest())
    for folder in folders:
        digest.update(f"{folder}\0".encode())
    return digest.hexdigest()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FactoryError(f"{file} cannot be read: {error}") from None
