"""Projects with a build backend of their own, and what is installed of the bundles that are made of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from factory_cdk.bundle import Bundle
from factory_cdk.install.environments import Project, build_all, environment, with_project
from factory_cdk.pack import PackedBot
from factory_cdk.pack.requirements.outside import SOURCE, facts_of

BACKEND = """
import os, zipfile
def get_requires_for_build_wheel(config_settings=None): return []
get_requires_for_build_editable = get_requires_for_build_wheel
def version():
    told = os.environ.get("SETUPTOOLS_SCM_PRETEND_VERSION", "")
    return told if USES_GIT else open(VERSION).read().strip()
def metadata():
    if not version(): raise SystemExit("setuptools-scm was unable to detect version")
    needs = "".join(f"Requires-Dist: {one}\\n" for one in NEEDS)
    return f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {version()}\\n" + needs
def prepare_metadata_for_build_wheel(into, config_settings=None):
    os.makedirs(f"{into}/{NAME}-{version()}.dist-info")
    with open(f"{into}/{NAME}-{version()}.dist-info/METADATA", "w") as file: file.write(metadata())
    return f"{NAME}-{version()}.dist-info"
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
def build_wheel(into, config_settings=None, metadata_directory=None):
    name = f"{NAME}-{version()}-py3-none-any.whl"
    info = f"{NAME}-{version()}.dist-info"
    about = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    with zipfile.ZipFile(f"{into}/{name}", "w") as wheel:
        wheel.writestr(f"{NAME}.py", "def run(payload): return payload\\n")
        wheel.writestr(f"{info}/METADATA", metadata())
        wheel.writestr(f"{info}/WHEEL", about)
        wheel.writestr(f"{info}/RECORD", "")
    return name
build_editable = build_wheel
"""
"""A build backend that is in the project, so that no index is asked for one."""


def built(name: str, *needs: str, version: str = "VERSION", uses_git: bool = False, more: str = "") -> dict[str, str]:
    """The files of a project with that backend: its version is in the file `version`, or comes from git."""
    values = f"NAME, NEEDS, VERSION, USES_GIT = {name!r}, {list(needs)!r}, {version!r}, {uses_git!r}\n"
    listed = "".join(f"{need!r}, " for need in needs)
    table = "[tool.setuptools_scm]\n" if uses_git else ""
    pyproject = (
        f"[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        f"[project]\nname = {name!r}\ndynamic = ['version']\ndependencies = [{listed}]\n{table}{more}"
    )
    return {
        "pyproject.toml": pyproject,
        "backend.py": values + BACKEND,
        f"{name}.py": "def run(payload): return payload\n",
    }


def below(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{path}": content for path, content in files.items()}


def archive(packed: PackedBot) -> zipfile.ZipFile:
    assert packed.error is None, (packed.error.message, packed.error.remedy)
    assert packed.bundle is not None and packed.bundle.archive is not None
    return zipfile.ZipFile(packed.bundle.archive)


def installed(packed: PackedBot, home: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> set[str]:
    """The distributions (`name-version`) in the environment of a bot's project, made from its bundle alone."""
    found = (path for folder in site_packages(packed, home, monkeypatch, env) for path in folder.glob("*.dist-info"))
    return {path.name.removesuffix(".dist-info") for path in found}


def site_packages(
    packed: PackedBot, home: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> tuple[Path, ...]:
    """The folders with what is installed for a bot, from its bundle alone: its projects, its requirements."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    bundle = packed.bundle
    assert isinstance(bundle, Bundle) and bundle.archive is not None
    with archive(packed) as file:
        facts = facts_of(file.read(SOURCE) if SOURCE in file.namelist() else None)
    one = Project(Path(bundle.archive), bundle.digest, bundle.layout.project, (home,), facts)
    wanted = with_project(environment(home, bundle.requirements, None), one)
    build_all([wanted], lambda _: None)
    return tuple(next(made.folder.glob("lib/*/site-packages")) for made in (wanted, wanted.base) if made)
