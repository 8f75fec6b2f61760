"""What a copy of a project lacks for its build backend outside of git, and what it is told in its place."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from made_projects import built, installed, site_packages
from pack_sources import at_path, bot, git, pack_one, sdist, wheel, write_files

from factory_cdk.install.bundles import lay_out
from factory_cdk.install.environments import build_all, environment
from factory_cdk.pack.requirements.building import (
    build_variables,
    make_all_buildable,
    versioned_by,
    without_required_uv,
)

SCM = "[build-system]\nrequires = ['setuptools>=64', 'setuptools-scm>=8']\nbuild-backend = 'setuptools.build_meta'\n"
DYNAMIC = f"{SCM}[project]\nname = 'app'\ndynamic = ['version']\n[tool.setuptools_scm]\n"
STATIC = f"{SCM}[project]\nname = 'app'\nversion = '9.1'\n"


@pytest.mark.parametrize(
    ("texts", "tool"),
    [
        ({"pyproject.toml": DYNAMIC}, "setuptools-scm"),
        ({"pyproject.toml": STATIC}, None),
        ({"pyproject.toml": "[project]\nname = 'hatch-vcs'\nversion = '1'\n"}, None),
        ({"a/pyproject.toml": "[project]\nversion = '1'\ndependencies = ['pbr']\n"}, None),
        ({"pyproject.toml": "[build-system]\nrequires=['hatch-vcs']\n[project]\ndynamic=['version']\n"}, "hatch-vcs"),
        ({"pyproject.toml": "[build-system]\nrequires=['poetry-core']\n[tool.poetry]\nversion='1'\n"
                            "name='poetry-dynamic-versioning'\n"}, None),
        ({"pyproject.toml": "[tool.pdm.version]\nsource='scm'\n"}, "pdm-backend"),
        ({"setup.cfg": "[options]\nsetup_requires = pbr\n"}, "pbr"),
        ({"setup.py": "setup(use_scm_version=True)"}, "setuptools-scm"),
        ({"backend.py": "# setuptools-scm"}, None),
        ({"pyproject.toml": "[tool.poetry]\nversion = '0'\n[tool.poetry-dynamic-versioning]\n"},
         "poetry-dynamic-versioning"),
    ],
)  # fmt: skip
def test_only_a_project_without_a_version_takes_it_from_git(texts: dict[str, str], tool: str | None) -> None:
    assert versioned_by(texts) == tool


def test_only_tools_that_are_used_are_told_a_version(tmp_path: Path) -> None:
    plain = write_files(tmp_path / "plain", {"pyproject.toml": STATIC, "requirements.txt": "one\n"})
    assert build_variables(plain, "1.2") == {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    beside = write_files(
        tmp_path / "two", {"app/pyproject.toml": STATIC, "lib/setup.cfg": "[options]\nsetup_requires=pbr\n"}
    )
    assert build_variables(beside, "1.2") == {"PBR_VERSION": "1.2", "GIT_CEILING_DIRECTORIES": str(tmp_path)}


@pytest.mark.parametrize("pyproject", [DYNAMIC, STATIC, SCM.replace("setuptools-scm>=8", "pbr")])
def test_what_setuptools_takes_for_data_is_not_asked_of_git(pyproject: str, tmp_path: Path) -> None:
    files = {"lib/pyproject.toml": pyproject, "lib/MANIFEST.in": "exclude secret\n", "pyproject.toml": "[tool.ruff]\n"}
    code = write_files(tmp_path, files)
    make_all_buildable(code)
    assert (code / "lib" / "MANIFEST.in").read_text() == "global-include *\nexclude secret\n"
    assert not (code / "MANIFEST.in").exists()


def test_the_data_files_of_a_project_that_only_names_such_a_tool_are_its_own_affair(tmp_path: Path) -> None:
    named = "[build-system]\nrequires = ['setuptools']\n[dependency-groups]\ndev = ['setuptools-scm']\n"
    make_all_buildable(write_files(tmp_path, {"pyproject.toml": named}))
    assert not (tmp_path / "MANIFEST.in").exists()


def computed(name: str, version: str) -> dict[str, str]:
    """The files of a project that has to be built to know its dependencies."""
    files = {**built(name), "VERSION": version}
    static, dynamic = "dynamic = ['version']\ndependencies = []", "dynamic = ['version', 'dependencies']"
    return {**files, "pyproject.toml": files["pyproject.toml"].replace(static, dynamic)}


def test_a_library_that_has_to_be_built_is_not_told_the_version_of_the_bot(
    index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    files = computed("one", "3.0")
    backend = files["backend.py"].replace("if USES_GIT else", "or")  # as setuptools-scm: what it is told counts
    sdist(index, "one", "3.0", {**files, "backend.py": backend})
    code = write_files(tmp_path / "code", {"b.py": "def run(p): return p\n", "requirements.txt": "one\n"})
    packed = pack_one(tmp_path, bot(at_path(code), "b:run"), env)
    assert packed.error is None, (packed.error.message, packed.error.remedy)
    assert packed.bundle is not None
    assert [line.partition(" ")[0] for line in packed.bundle.requirements] == ["one==3.0"]


ASKS_GIT = """
import subprocess
def run_git():
    done = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True)
    return done.returncode == 0
assert not run_git(), "another repository"
"""


def test_a_build_does_not_see_the_repository_that_the_cache_is_in(tmp_path: Path, env: dict[str, str]) -> None:
    git(tmp_path, "init", "-q")
    files = computed("app", "1.5")
    files["backend.py"] = ASKS_GIT + files["backend.py"]
    code = write_files(tmp_path / "code", files)
    packed = pack_one(tmp_path, bot(at_path(code), "app:run"), env)
    assert packed.error is None, (packed.error.message, packed.error.remedy)


ASKED = "required-version = '==0.0.1'"
FILES = {
    "a project": {**computed("app", "1"), "uv.toml": f"{ASKED}\n"},
    "a project's own table": {
        **{path: text for path, text in computed("app", "1").items() if path != "pyproject.toml"},
        "pyproject.toml": f"[tool.ruff]\n{ASKED}\n[tool.uv]\n{ASKED} # ours\n{computed('app', '1')['pyproject.toml']}",
    },
    "requirements": {"app.py": "def run(p): return p\n", "uv.toml": ASKED, "requirements.txt": "one\n"},
    "requirements below": {
        "pyproject.toml": f"[tool.uv]\n{ASKED}\nno-index = true\n",
        "app.py": "def run(p): return p\n",
        "more/r.txt": "one\n",
    },
}


@pytest.mark.parametrize("case", FILES)
def test_the_version_of_uv_that_authors_use_is_not_asked_of_ours(
    case: str, index: Path, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(index, "one")
    reads_configuration = {name: value for name, value in env.items() if name != "UV_NO_CONFIG"}
    code = write_files(tmp_path / "code", FILES[case])
    path = {"requirements_path": "more/r.txt"} if "more/r.txt" in FILES[case] else {}
    packed = pack_one(tmp_path, bot(at_path(code), "app:run", **path), reads_configuration)
    assert packed.error is None, (packed.error.message, packed.error.remedy)
    assert packed.bundle is not None and packed.bundle.archive is not None
    for name, value in reads_configuration.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UV_NO_CONFIG", raising=False)
    root = lay_out(tmp_path / "home", packed.bundle)
    manifest = root / str(packed.bundle.layout.requirements_file)
    base = environment(tmp_path / "home", packed.bundle.requirements, None)
    build_all([replace(base, context=manifest.parent)], lambda _: None)
    if packed.bundle.layout.project is not None:
        assert "app-1" in installed(packed, tmp_path / "home", monkeypatch, reads_configuration)


def test_only_the_table_of_uv_is_asked(tmp_path: Path) -> None:
    text = f"[tool.ruff]\n{ASKED}\n[tool.uv]\n{ASKED}\nno-index = true\n[tool.uv.sources]\na = {{path = 'b'}}\n"
    said = f"[tool.ruff]\n{ASKED}\n[tool.uv]\n\nno-index = true\n[tool.uv.sources]\na = {{path = 'b'}}\n"
    assert without_required_uv("pyproject.toml", text) == said


ONLINE = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "HTTPS_PROXY")
CFG = "[metadata]\nname = app\n[files]\npackages =\n    app\n"
DATA = {
    "setuptools-scm": {"pyproject.toml": DYNAMIC},
    "setuptools-scm beside a version": {"pyproject.toml": STATIC},
    "pbr": {
        "pyproject.toml": "[build-system]\nrequires = ['pbr>=6', 'setuptools']\nbuild-backend = 'pbr.build'\n",
        "setup.cfg": CFG,
        "setup.py": "import setuptools\nsetuptools.setup(setup_requires=['pbr'], pbr=True)\n",
    },
}


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("case", DATA)
def test_files_that_git_has_in_a_package_are_installed_with_it(
    case: str, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    online = {name: value for name, value in env.items() if not name.startswith("PIP_")}
    online |= {name: os.environ[name] for name in ONLINE if name in os.environ}
    online["PIP_CONFIG_FILE"] = os.devnull
    package = {"app/__init__.py": "def run(p): return p\n", "app/model.json": "{}", "app/more/a.html": ""}
    code = write_files(tmp_path / "code", {**DATA[case], **package})
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v1.4"]):
        git(code, *arguments)
    packed = pack_one(tmp_path, bot(at_path(code), "app:run"), online)
    if packed.error is not None and "check the network" in str(packed.error.remedy):
        pytest.skip("no index can be reached from here")
    assert packed.error is None, (packed.error.message, packed.error.remedy)
    folder = site_packages(packed, tmp_path / "home", monkeypatch, online)[0]
    assert (folder / "app" / "model.json").is_file()
    assert (folder / "app" / "more" / "a.html").is_file()
