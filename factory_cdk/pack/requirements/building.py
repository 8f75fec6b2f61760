"""What a private copy of a project needs before uv and a build backend see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_SETUP = "import setuptools\n\nsetuptools.setup()\n"

_FROM_GIT: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "setuptools-scm": (
        re.compile(r"\b(?:setuptools|flit)[-_]scm\b|\buse_scm_version\b|\bvcs[-_]versioning\b"),
        ("SETUPTOOLS_SCM_PRETEND_VERSION",),
    ),
    "hatch-vcs": (re.compile(r"\bhatch[-_]vcs\b"), ("SETUPTOOLS_SCM_PRETEND_VERSION",)),
    "pdm-backend": (re.compile(r"\bsource\s*=\s*[\"']scm[\"']"), ("PDM_BUILD_SCM_VERSION",)),
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


def versioned_by(texts: Mapping[str, str]) -> str | None:
    """The tool by which a project takes its version from git, or None; `texts` are its pyproject.toml, setup.py, … ."""
    for tool, (named, _) in _FROM_GIT.items():
        if any(named.search(text) for text in texts.values()):
            return tool
    return None


def can_be_told(tool: str) -> bool:
    """Whether a tool that takes versions from git can be told one where there is no git."""
    return bool(_FROM_GIT[tool][1])


def environment_for_version(version: str) -> dict[str, str]:
    """The variables by which every tool that can be told a version is told it."""
    return {name: version for _, names in _FROM_GIT.values() for name in names}


def make_buildable(folder: Path) -> None:
    """Give a project that is a setup.cfg alone the setup.py that it lacks, as setuptools has it."""
    if (folder / "setup.cfg").is_file() and not (folder / "pyproject.toml").exists():
        setup = folder / "setup.py"
        if not setup.exists():
            setup.write_text(_SETUP, encoding="utf-8")


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
