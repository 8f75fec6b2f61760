"""Bots from git and from an index, built from the command line: packed, locked, laid out, sharing environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bot_sources import commit, make_wheel, offline, repository
from local_works import take_down

REQUIRES = "shade==1.0\n"
TELL = "import shade\nfrom pathlib import Path\ndef tell(payload):\n    return [{name!r}, shade.VERSION, payload]\n"


@dataclass
class Place:
    """A folder with a plan, an index of wheels and repositories; commands run in it ask nobody else."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def index(self) -> Path:
        return self.folder / "index"

    def plan(self, bots: dict[str, Any], arguments: dict[str, Any] | None = None, **rest: Any) -> None:
        on_sector = {name: (arguments or {}).get(name) for name in bots}
        stage = {"here": {"type": "local", "bots": on_sector}}
        content = {"factory": {"name": "works", "bots": bots, "stages": {"test": stage}, **rest}}
        (self.folder / "plan.yml").write_text(json.dumps(content))

    def run(self, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **offline(self.index), "FACTORY_CDK_HOME": str(self.home), **variables}
        command = [sys.executable, "-m", "factory_cdk", *arguments]
        done = subprocess.run(command, env=environ, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def build(self, *options: str, code: int = 0) -> str:
        """Build the stage; what was said on stderr."""
        return self.run("build", "--plan", "plan.yml", "--stage", "test", *options, code=code).stderr

    def result(self, bot: str, payload: Any = None) -> Any:
        """What a job of `bot` comes to."""
        done = self.run("submit", "--name", "works", "--bot", bot, "--payload", json.dumps(payload), "--wait", "180")
        return json.loads(done.stdout)["result"]

    def demolish(self) -> None:
        self.run("demolish", "--name", "works", "--yes")

    def dry_run(self, *options: str) -> dict[str, Any]:
        done = self.run("build", "--plan", "plan.yml", "--stage", "test", "--dry-run", "--format", "json", *options)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def environments(self) -> list[Path]:
        return sorted(path.parent for path in (self.home / "environments").glob("*/complete"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    make_wheel(made.index, "shade", "1.0", "VERSION = '1.0'\n")
    yield made
    take_down(made.home)


@pytest.mark.slow
def test_two_bots_from_git_and_one_from_an_index_run_and_those_with_one_lock_share_an_environment(place: Place) -> None:
    files = {"requirements.txt": REQUIRES, "deep/bots/one/inner.py": TELL.format(name="one"), "data.txt": "42"}
    one = repository(place.folder / "one.git", files)
    two = repository(
        place.folder / "two.git",
        {"requirements.txt": REQUIRES, "two.py": TELL.format(name="two"), "inner/below.py": "def tell(x):\n return x"},
    )
    make_wheel(place.index, "parrot", "2.1", "def say(payload):\n    return payload\n", ["shade>=1"])
    place.plan(
        {
            "one": {"source": {"url": one, "branch": "main"}, "bot_path": "one.inner:tell"},
            "two": {"source": {"url": two}, "bot_path": "two:tell"},
            "below": {"source": {"url": two, "subdirectory": "inner"}, "bot_path": "below:tell"},
            "parrot": {"source": {"pypi": "parrot", "version": "2.1"}, "bot_path": "parrot:say"},
            "cat": {"source": {"url": two}, "command": ["cat"]},
        }
    )
    place.build()
    assert place.result("one", 1) == ["one", "1.0", 1]
    assert place.result("two", 2) == ["two", "1.0", 2]
    assert place.result("below", 3) == 3
    assert place.result("parrot", [4]) == [4]
    assert place.result("cat", {"a": 5}) == {"a": 5}
    assert len(place.environments()) == 3, "shade alone, parrot and shade, and nothing"
    rows = place.dry_run()["environments"]
    assert sorted(row["bots"] for row in rows) == [
        ["here/below"],
        ["here/one", "here/two", "here/cat"],
        ["here/parrot"],
    ]
    assert all(row["cached"] for row in rows)
    place.demolish()


@pytest.mark.slow
def test_a_build_with_a_lock_runs_the_locked_commit_and_refuses_what_the_lock_does_not_hold(place: Place) -> None:
    bare = place.folder / "code.git"
    url = repository(bare, {"requirements.txt": REQUIRES, "bots.py": TELL.format(name="first")})
    bots = {"told": {"source": {"url": url, "branch": "main"}, "bot_path": "bots:tell"}}
    place.plan(bots)
    assert "there is no plan.lock" in place.build("--locked", code=1)
    place.run("lock", "--plan", "plan.yml")
    commit(bare, {"requirements.txt": REQUIRES, "bots.py": TELL.format(name="second")})
    place.build("--locked")
    assert place.result("told") == ["first", "1.0", None]
    place.demolish()
    place.plan({"told": {**bots["told"], "bot_path": "other:tell"}})
    refused = place.build("--locked", code=1)
    assert "plan.lock does not match this plan" in refused
    assert "told: module of bot_path was bots and is other" in refused
    assert "nothing is built here" in place.run("list").stderr


@pytest.mark.slow
def test_a_second_build_of_an_unchanged_plan_fetches_nothing(place: Place) -> None:
    url = repository(place.folder / "code.git", {"requirements.txt": REQUIRES, "bots.py": TELL.format(name="told")})
    place.plan({"told": {"source": {"url": url}, "bot_path": "bots:tell"}})
    place.run("lock", "--plan", "plan.yml")
    place.build("--locked")
    place.demolish()
    (place.folder / "code.git").rename(place.folder / "gone.git")
    for wheel in place.index.iterdir():
        wheel.unlink()
    place.build("--locked")
    assert place.result("told") == ["told", "1.0", None]


@pytest.mark.slow
def test_what_runs_is_a_copy_that_neither_its_author_nor_a_restart_changes(place: Place) -> None:
    code = place.folder / "code"
    code.mkdir()
    (code / "bots.py").write_text("def tell(payload):\n    return open('word.txt').read()\n")
    (code / "word.txt").write_text("built")
    place.plan({"told": {"source": {"path": "code"}, "bot_path": "bots:tell"}})
    place.build()
    (code / "bots.py").write_text("half ed")
    (code / "word.txt").write_text("edited")
    place.run("stop", "--name", "works")
    place.run("resume", "--name", "works")
    assert place.result("told") == "built"
    (root,) = [path for path in (place.home / "bundles").iterdir() if path.is_dir()]
    assert [path.stat().st_mode & 0o222 for path in (root, *root.rglob("*"))] == [0, 0, 0]
    place.demolish()


@pytest.mark.slow
def test_a_bundle_that_lost_a_file_is_laid_out_again(place: Place) -> None:
    code = place.folder / "code"
    code.mkdir()
    (code / "bots.py").write_text("def tell(payload):\n    return payload\n")
    place.plan({"told": {"source": {"path": "code"}, "bot_path": "bots:tell"}})
    place.build()
    place.demolish()
    (root,) = [path for path in (place.home / "bundles").iterdir() if path.is_dir()]
    root.chmod(0o700)
    (root / "bots.py").unlink()
    (root.with_name(f"{root.name}.new")).mkdir()
    place.build()
    assert place.result("told", 1) == 1
    assert not root.with_name(f"{root.name}.new").exists()


BACKEND = '''
"""A build backend without requirements: a wheel of the package under src, its metadata and a script."""

import zipfile

INFO = "teller-3.2.dist-info"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "teller-3.2-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.write("src/teller/__init__.py", "teller/__init__.py")
        wheel.writestr("teller/generated.py", "MADE = 'by the build'\\n")
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\\nName: teller\\nVersion: 3.2\\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{INFO}/entry_points.txt", "[console_scripts]\\nteller = teller:main\\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return name
'''

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "teller"
version = "3.2"
dependencies = ["shade"]
scripts = {teller = "teller:main"}
"""

TELLER = """
import importlib.metadata
import json
import sys

import shade
from teller.generated import MADE

def tell(payload):
    return [importlib.metadata.version("teller"), shade.VERSION, MADE]

def main():
    print(json.dumps(tell(json.load(sys.stdin))))
"""


@pytest.mark.slow
def test_a_project_that_builds_is_installed_itself_on_top_of_a_shared_environment(place: Place) -> None:
    files = {"backend.py": BACKEND, "pyproject.toml": PROJECT, "src/teller/__init__.py": TELLER}
    url = repository(place.folder / "project.git", {**files, "extra.py": "from teller import tell\n"})
    plain = repository(place.folder / "plain.git", {"requirements.txt": REQUIRES, "p.py": TELL.format(name="plain")})
    place.plan(
        {
            "told": {"source": {"url": url}, "bot_path": "teller:tell"},
            "script": {"source": {"url": url}, "command": ["teller"]},
            "beside": {"source": {"url": url}, "bot_path": "extra:tell"},
            "plain": {"source": {"url": plain}, "bot_path": "p:tell"},
        }
    )
    place.build()
    for bot in ("told", "script", "beside"):
        assert place.result(bot) == ["3.2", "1.0", "by the build"], bot
    assert place.result("plain") == ["plain", "1.0", None]
    with_shade = [path for path in place.environments() if list(path.glob("lib/*/site-packages/shade.py"))]
    assert len(with_shade) == 1


@pytest.mark.slow
def test_a_project_that_cannot_be_built_is_told_with_what_helps(place: Place) -> None:
    files = {"backend.py": "raise SystemExit('no way')", "pyproject.toml": PROJECT, "src/teller/__init__.py": TELLER}
    url = repository(place.folder / "project.git", files)
    place.plan({"told": {"source": {"url": url}, "bot_path": "teller:tell"}})
    refused = place.build(code=1)
    assert "no way" in refused
    assert "a pyproject.toml without [build-system] is not installed" in refused
    assert "nothing is built here" in place.run("list").stderr


@pytest.mark.slow
def test_a_module_that_the_build_of_a_project_leaves_out_is_named(place: Place) -> None:
    more = "def tell(payload): ...\n"
    files = {
        "backend.py": BACKEND,
        "pyproject.toml": PROJECT,
        "src/teller/__init__.py": TELLER,
        "src/teller/more.py": more,
    }
    url = repository(place.folder / "project.git", files)
    place.plan({"told": {"source": {"url": url}, "bot_path": "teller.more:tell"}})
    refused = place.build(code=1)
    assert "No module named 'teller.more'" in refused
    assert "src/teller/more.py is in the source of told, but its project is installed without it" in refused


@pytest.mark.slow
def test_requirements_of_git_have_a_commit_in_the_place_of_a_hash(place: Place) -> None:
    library = place.folder / "library.git"
    project = PROJECT.replace("teller", "lib").replace('dependencies = ["shade"]', "")
    files = {"backend.py": BACKEND.replace("teller", "lib"), "pyproject.toml": project}
    url = repository(library, {**files, "src/lib/__init__.py": "VALUE = 7\n"})
    head = commit(library, {**files, "src/lib/__init__.py": "VALUE = 8\n"})
    commit(library, {**files, "src/lib/__init__.py": "VALUE = 9\n"})
    bot = repository(
        place.folder / "bot.git",
        {
            "requirements.txt": f"{REQUIRES}lib @ git+{url}@{head}\n",
            "bots.py": "import lib, shade\ndef tell(payload):\n    return [lib.VALUE, shade.VERSION]\n",
        },
    )
    place.plan({"told": {"source": {"url": bot}, "bot_path": "bots:tell"}})
    place.build()
    assert place.result("told") == [8, "1.0"]


@pytest.mark.slow
def test_an_index_that_a_requirements_file_names_is_asked_when_installing_too(place: Place) -> None:
    code = place.folder / "code"
    make_wheel(code / "wheels of ours", "private", "1.5", "VALUE = 'private'\n")
    (code / "more").mkdir()
    (code / "more" / "base.txt").write_text("--find-links ../wheels of ours\nprivate\n")
    (code / "requirements.txt").write_text("-r more/base.txt\nshade  # from the index of whoever builds\n")
    (code / "bots.py").write_text("import private, shade\ndef tell(x):\n    return [private.VALUE, shade.VERSION]\n")
    place.plan({"told": {"source": {"path": "code"}, "bot_path": "bots:tell"}})
    (row,) = place.dry_run()["environments"]
    assert row["requirements"] == {
        "from": "requirements", "file": "requirements.txt", "lines": ["shade", "private"]
    }  # fmt: skip
    place.build()
    assert place.result("told") == ["private", "1.0"]
