"""What a private copy of a project needs before uv and a build backend see it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
"""What says how a project is built; a folder with one of them is one that can be."""

_SETUP = "import setuptools\n\nsetuptools.setup()\n"

_FROM_GIT: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "setuptools-scm": (
        re.compile(r"\b(?:setuptools|flit)[-_]scm\b|\buse_scm_version\b|\bvcs[-_]versioning\b"),
        ("SETUPTOOLS_SCM_PRETEND_VERSION",),
    ),
    "hatch-vcs": (re.compile(r"\bhatch[-_]vcs\b"), ("SETUPTOOLS_SCM_PRETEND_VERSION",)),
    "pdm-backend": (re.compile(r"'source': 'scm'"), ("PDM_BUILD_SCM_VERSION",)),
    "pbr": (re.compile(r"\bpbr\b"), ("PBR_VERSION",)),
    "poetry-dynamic-versioning": (
        re.compile(r"\bpoetry[-_]dynamic[-_]versioning\b"),
        ("POETRY_DYNAMIC_VERSIONING_BYPASS",),
    ),
    "uv-dynamic-versioning": (re.compile(r"\buv[-_]dynamic[-_]versioning\b"), ("UV_DYNAMIC_VERSIONING_BYPASS",)),
    "versioneer": (re.compile(r"\bversioneer\b"), ()),
    "versioningit": (re.compile(r"\bversioningit\b"), ()),
    "setuptools-git-versioning": (re.compile(r"\bsetuptools[-_]git[-_]versioning\b"), ()),
}
"""The tools that take a project's version from git: how a project names them, and the variables by which they are told
a version where there is no git (none: they cannot be told).
"""

_POETRY_TABLE = re.compile(r"(?m)^\s*\[tool\.poetry\][ \t]*(?:#.*)?$")
_NO_PACKAGE = re.compile(r"(?m)^(\s*package-mode\s*=\s*)false\b")
_NAME = "bot-dependencies"

_LISTS_FILES = re.compile(r"\b(?:setuptools|flit)[-_]scm\b|\buse_scm_version\b|\bsetuptools[-_]git\b|\bpbr\b")
"""The tools by which setuptools takes every file that git has in a package for one of its data files."""

UV_CONFIGURATIONS = frozenset({"uv.toml", "pyproject.toml"})

_REQUIRED_UV = re.compile(r"(?m)^[ \t]*required-version[ \t]*=.*$")
_UV_TABLE = re.compile(r"(?ms)^[ \t]*\[tool\.uv\].*?(?=^[ \t]*\[|\Z)")

_RUNS_GIT = re.compile(
    r"[\"']git[\"']\s*,|[\"'`]git (?:-\w|describe|rev-parse|log|rev-list|show|tag|status|ls-files)"
    r"|(?m:^\s*(?:import|from) (?:git|dulwich|pygit2)\b)"
)
_IMPORTED = re.compile(r"(?m)^\s*(?:from\s+(\w+)(?:\.\w+)*\s+import|import\s+(\w+))")


def versioned_by(texts: Mapping[str, str]) -> str | None:
    """The tool by which a project takes its version from git, or None; `texts` are the files of its folder by their
    paths, of which BUILD_FILES count.
    """
    built_by = {path: text for path, text in texts.items() if path.rpartition("/")[2] in BUILD_FILES}
    if any(_has_version(toml_of(text)) for path, text in built_by.items() if path.endswith("pyproject.toml")):
        return None
    said = [_build_tools(path, text) for path, text in built_by.items()]
    return next((tool for tool, (named, _) in _FROM_GIT.items() if any(named.search(text) for text in said)), None)


def _build_tools(path: str, text: str) -> str:
    """What of a build file names the tools that it is built with: all of it, but of a pyproject.toml, which names a lot
    of others, what its build requires, the tables of tools and where some of them say that the version is.
    """
    if not path.endswith("pyproject.toml"):
        return text
    said = toml_of(text)
    tool = said.get("tool")
    tables = tool if isinstance(tool, Mapping) else {}
    versions = (table.get("version") for table in tables.values() if isinstance(table, Mapping))
    sources = [{"source": version.get("source")} for version in versions if isinstance(version, Mapping)]
    return repr([said.get("build-system"), list(tables), sources])


def can_be_told(tool: str) -> bool:
    """Whether a tool that takes versions from git can be told one where there is no git."""
    return bool(_FROM_GIT[tool][1])


def runs_git(texts: Mapping[str, str]) -> str | None:
    """The path of the file of a project, or of a module beside it that its setup.py imports, which runs git itself, or
    None. `texts` are the files of its folder; they are read, not run: one that hides it better is not understood.
    """
    for path, text in texts.items():
        if path.rpartition("/")[2] in ("setup.py", "hatch_build.py", "build.py"):
            folder = path[: path.rindex("/") + 1] if "/" in path else ""
            beside = [f"{folder}{one or other}.py" for one, other in _IMPORTED.findall(text)]
            for name in (path, *beside):
                if _RUNS_GIT.search(texts.get(name, "")):
                    return name
    return None


def build_variables(source: Path, version: str) -> dict[str, str]:
    """The variables under which the projects in the folder `source` are built: those by which they are told a `version`
    where they take it from git, and none for other tools, since what these are told holds for every package that is
    built, those of an index too; and one that hides the work tree around the folder, if it is in one, from git.
    """
    tools = {versioned_by({path.name: _read(path) for path in files}) for files in _projects_in(source)}
    told = {name: version for tool in tools if tool is not None for name in _FROM_GIT[tool][1]}
    return {**told, "GIT_CEILING_DIRECTORIES": str(source.parent.resolve())}


def make_buildable(folder: Path) -> None:
    """Give a project what it lacks for setuptools outside of a work tree of git: one that is a setup.cfg alone its
    setup.py, and one whose data files are what git has (setuptools-scm, pbr) a MANIFEST.in that says so.
    """
    if (folder / "setup.cfg").is_file() and not (folder / "pyproject.toml").exists():
        setup = folder / "setup.py"
        if not setup.exists():
            setup.write_text(_SETUP, encoding="utf-8")
    requires = toml_of(_read(folder / "pyproject.toml")).get("build-system", {})
    texts = (str(requires), _read(folder / "setup.py"), _read(folder / "setup.cfg"))
    if any(_LISTS_FILES.search(text) for text in texts):
        manifest = folder / "MANIFEST.in"
        manifest.write_text(f"global-include *\n{_read(manifest)}", encoding="utf-8")


def make_all_buildable(source: Path) -> None:
    """`make_buildable` for every project in the folder `source`, and no version of uv asked for that is not ours."""
    for files in list(_projects_in(source)):
        make_buildable(files[0].parent)
    for folder, _, names in os.walk(source):
        for name in UV_CONFIGURATIONS & {*names}:
            file = Path(folder, name)
            text = _read(file)
            if (without := without_required_uv(name, text)) != text:
                file.write_text(without, encoding="utf-8")


def without_required_uv(name: str, text: str) -> str:
    """The text of a uv.toml or pyproject.toml without the version of uv that it asks its authors to use."""
    if name == "uv.toml":
        return _REQUIRED_UV.sub("", text)
    return _UV_TABLE.sub(lambda table: _REQUIRED_UV.sub("", table[0]), text)


def place_for_uv(folder: Path, scratch: Path) -> Path:
    """Where uv is run so that the configuration in `folder`, a bundle's, or in a folder above counts: there, or where
    that asks for a version of uv, in the new folder `scratch`, with a copy of it that does not.
    """
    for one in (folder, *folder.parents):
        for name in ("uv.toml", "pyproject.toml"):  # as uv looks for it: the first that there is
            text = _read(one / name)
            if (without := without_required_uv(name, text)) != text:
                scratch.mkdir()
                (scratch / name).write_text(without, encoding="utf-8")
                return scratch
            if (one / name).is_file() and (name == "uv.toml" or "uv" in toml_of(text).get("tool", {})):
                return folder
    return folder


def toml_of(text: str) -> dict[str, Any]:
    """What a pyproject.toml says; nothing where it is not valid: who reads it for the project tells that."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _has_version(said: Mapping[str, Any]) -> bool:
    project = said.get("project")
    return isinstance(project, Mapping) and "version" in project


def _projects_in(source: Path) -> Iterator[list[Path]]:
    """The build files of every folder of a source that has some."""
    for folder, _, names in os.walk(source):
        if found := [Path(folder, name) for name in BUILD_FILES if name in names]:
            yield found


def _read(file: Path) -> str:
    return file.read_text("utf-8", errors="replace") if file.is_file() else ""


def make_package_of_poetry(folder: Path) -> None:
    """Make a poetry project of `package-mode = false` one that poetry's backend tells the dependencies of: it refuses
    to say them of others. For a copy in which requirements are locked, never for one that is installed.
    """
    file = folder / "pyproject.toml"
    text = file.read_text("utf-8-sig") if file.is_file() else ""
    if not _NO_PACKAGE.search(text) or (table := _POETRY_TABLE.search(text)) is None:
        return
    rest = text[table.end() :]
    own = rest.partition("\n[")[0]
    lines = [f'packages = [{{ include = "{_NAME}" }}]'] if not re.search(r"(?m)^\s*packages\s*=", own) else []
    has_project = re.search(r"(?m)^\s*\[project\]", text) is not None
    for key, value in (("name", _NAME), ("version", "0"), ("description", ""), ("authors", [])):
        if not has_project and not re.search(rf"(?m)^\s*{key}\s*=", own):
            lines.append(f"{key} = {value!r}")
    added = "".join(f"\n{line}" for line in lines)
    text = _NO_PACKAGE.sub(r"\1true", text[: table.end()] + added + rest)
    if "build-backend" not in text:
        text += '\n[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
    file.write_text(text, encoding="utf-8")
    package = folder / _NAME
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
