"""Files of a source that list requirements and are not read, since something else says all of them, or nothing can
read them. Each is named when its bot is packed, with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from factory_cdk.pack.paths import OURS
from factory_cdk.pack.requirements.building import BUILD_FILES, toml_of
from factory_cdk.pack.requirements.manifest import Located, script_metadata, setup_cfg
from factory_cdk.pack.tree import Tree, folders_of

_BY_NAME = (
    (re.compile(r"requirements.*\.(?:txt|in)|requirements/[^/]+\.(?:txt|in)"), "`requirements_path: {path}` reads it"),
    (re.compile(r"Pipfile"), "write it as a requirements file (`pipenv requirements > requirements.txt`)"),
    (
        re.compile(r"(?:environment|conda|conda-env)\.ya?ml"),
        "conda's packages cannot be installed: list those of PyPI in a requirements.txt",
    ),
)
_LOCKS = {
    "uv.lock": "`uv export --no-emit-project -o requirements.txt`",
    "poetry.lock": "`poetry export -o requirements.txt`",
    "pdm.lock": "`pdm export -o requirements.txt`",
    "pylock.toml": "a requirements.txt",
    "Pipfile.lock": "`pipenv requirements > requirements.txt`",
}
"""Lock files of other tools, with what writes their versions to a file that can be read."""

_MOST = 6
"""Notes on files that are not read."""

_MOST_NAMES = 3
"""Names of groups or programs that a note shows."""


def unread(tree: Tree, found: Located | None, module: str | None, read_too: Sequence[str] = ()) -> list[str]:
    """What to say of the files that list requirements of a bot and are not read, one note for each; `found` is where
    its requirements stand, `read_too` are the files that this one includes. Folders from the module upwards count.
    """
    read = {found.path, *read_too} if found is not None else set(read_too)
    instead = f"{found.path} says what is required" if found is not None else "no requirements were found"
    builds = "".join(_text(tree, path) for path in read | {f"{_folder(found)}{name}" for name in BUILD_FILES})
    notes = [*_not_installed(tree, found)]
    if re.search(r"\bpbr\b", builds):
        builds += "requirements.txt"  # which pbr reads
    for path, what_to_do in _candidates(tree, found, module):
        name = path.rpartition("/")[2]
        if path.partition(" ")[0] not in read and name not in builds:
            verb = "are" if ", " in path else "is"
            notes.append(f"{instead}, and {path} {verb} not read: {what_to_do}")
    if len(notes) > _MOST:
        notes[_MOST - 1 :] = [f"{len(notes) - _MOST + 1} more files that list requirements are not read"]
    return notes


def _candidates(tree: Tree, found: Located | None, module: str | None) -> Iterator[tuple[str, str]]:
    """The files that list requirements, and groups of them, with what to do where they are not read."""
    folders = [*folders_of(module or ""), ""]
    for folder in folders:
        start = f"{folder}/" if folder else ""
        for path in sorted(tree.paths):
            beside = path.removeprefix(start)
            if not path.startswith(start) or path.startswith(f"{OURS}/"):
                continue
            for name, what_to_do in _BY_NAME:
                if name.fullmatch(beside):
                    yield path, what_to_do.format(path=path)
        yield from _lock_files(tree, found, start)
        yield from _of_projects(tree, found, start)
    if module is not None and (found is None or found.kind != "script") and _is_script(tree, module):
        yield f"{module} (its script metadata)", "take `requirements_path` away, and it is read"


def _of_projects(tree: Tree, found: Located | None, start: str) -> Iterator[tuple[str, str]]:
    said = toml_of(_text(tree, f"{start}pyproject.toml"))
    project = said.get("project")
    if isinstance(project, dict) and project.get("dependencies"):
        yield f"{start}pyproject.toml", "requirements are read from one file alone"
    if (found is None or found.path != f"{start}pyproject.toml") and _poetry_requires(said):
        yield (
            f"{start}pyproject.toml's [tool.poetry.dependencies]",
            "add the [build-system] of poetry-core, and it is read",
        )
    groups = said.get("dependency-groups")
    if isinstance(groups, dict) and (wanted := [name for name in groups if not _is_for_development(str(name))]):
        what_to_do = "list in `dependencies` of [project] what the bot needs of them"
        yield f"{start}pyproject.toml's [dependency-groups] {_listed(wanted)}", what_to_do
    if found is None or found.path != f"{start}setup.cfg":
        options = setup_cfg(_text(tree, f"{start}setup.cfg").encode()).get("options", {})
        is_built = found is not None and found.path in (f"{start}setup.py", f"{start}pyproject.toml")
        if options.get("install_requires") and not is_built:
            yield f"{start}setup.cfg", "add a pyproject.toml with a [build-system] beside it"


def _poetry_requires(said: dict[str, object]) -> bool:
    """Whether a pyproject.toml lists dependencies for poetry; the version of Python is none."""
    tool = said.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    wanted = poetry.get("dependencies") if isinstance(poetry, dict) else None
    return isinstance(wanted, dict) and bool(wanted.keys() - {"python"})


_FOR_DEVELOPMENT = re.compile(
    r"(?:^|[-_.])(?:dev|devel|develop|development|tests?|testing|pytest|tox|nox|cov|coverage|docs?|documentation|sphinx"
    r"|mkdocs|lint|linting|linters?|style|format|formatting|fix|typing|types?|type-?check(?:ing)?|mypy|pyright|ruff|ci"
    r"|gha|github|pre-commit|hooks?|release|releasing|publish|build|packaging|bench|benchmarks?|profiling|debug|tools?"
    r"|changelog|towncrier|quality|checks?|maint|maintenance|examples?)(?:$|[-_.])",
    re.IGNORECASE,
)
"""A word in the name of a group that nobody expects a running program to have."""


def _is_for_development(group: str) -> bool:
    return _FOR_DEVELOPMENT.search(group) is not None


def _not_installed(tree: Tree, found: Located | None) -> Iterator[str]:
    """What to say of programs that a project promises, which is not installed since it has no build system."""
    if found is None or found.kind != "project" or found.builds or "build-system" in found.pyproject:
        return
    project = found.pyproject.get("project", {})
    if f"{_folder(found)}setup.py" in tree.paths:
        return
    for table in ("scripts", "gui-scripts", "entry-points"):
        if isinstance(said := project.get(table), dict) and said:
            yield (
                f"{found.path} has no [build-system], so the project is not installed, and its [project.{table}] "
                f"{_listed(said)} {'is' if len(said) == 1 else 'are'} not there: add a [build-system]"
            )


def _lock_files(tree: Tree, found: Located | None, start: str) -> Iterator[tuple[str, str]]:
    """Lock files of other tools in the folder of what is read instead; next to a requirements file that the plan names
    they may well be where that comes from.
    """
    if found is not None and found.kind == "project":
        for name, writes in _LOCKS.items():
            if f"{start}{name}" in tree.paths:
                yield f"{start}{name}", f"to have its versions, write {writes} and name that in `requirements_path`"


def _listed(names: Iterable[object]) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:_MOST_NAMES]) + (
        f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    )


def _is_script(tree: Tree, module: str) -> bool:
    return module in tree.paths and script_metadata(tree.at(module).read_bytes()) is not None


def _folder(found: Located | None) -> str:
    return f"{found.folder}/" if found is not None and found.folder else ""


def _text(tree: Tree, path: str) -> str:
    return tree.at(path).read_bytes().decode("utf-8", "replace") if path in tree.paths else ""
