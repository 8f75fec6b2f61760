"""Environments: two versions of one library side by side, shared where equal, built once, with no index reached."""

from __future__ import annotations

import hashlib
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from bot_sources import make_wheel
from local_works import Works, bot, stage

from factory_cdk.diagnostics import FactoryError
from factory_cdk.install.environments import Environment, build, build_all, environment, uv_for_environments
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.dry_run import dry_run


def make(wanted: Environment, say: Callable[[str], None] = lambda line: None) -> None:
    """Build one environment, with uv as a build uses it."""
    build(wanted, say, uv_for_environments(wanted.folder.parent.parent, threading.Event()))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A directory index with two versions of a small library."""
    folder = tmp_path / "wheels with späces"
    for version in ("1.0", "2.0"):
        make_wheel(folder, "shade", version, f"VERSION = {version!r}\n")
    return folder


def offline(index: Path, requirement: str) -> str:
    """A requirements file that reaches for no registry."""
    return f"--no-index\n--find-links {index.as_uri()}\n{requirement}  # this one\n"


@pytest.mark.slow
def test_two_bots_use_two_versions_of_one_library(works: Works, index: Path) -> None:
    for version in ("1.0", "2.0"):
        folder = f"v{version[0]}"
        works.write(f"{folder}/requirements.txt", offline(index, f"shade=={version}"))
        works.write(f"{folder}/{folder}.py", "import shade\ndef tell(payload):\n    return shade.VERSION\n")
    design = [bot("one", "v1.v1:tell"), bot("two", "v2.v2:tell"), bot("twin", "v2.v2:tell")]
    works.build(*design)
    assert [works.run(name, None)[0].result for name in ("one", "two", "twin")] == ["1.0", "2.0", "2.0"]
    assert len([path for path in (works.home / "environments").iterdir() if path.is_dir()]) == 2


def test_a_bots_environment_has_nothing_of_ours(works: Works) -> None:
    works.write(
        "nosy.py",
        """
        import importlib.util, sys

        def look(payload):
            found = [name for name in ("click", "cerberus", "uv", "boto3") if importlib.util.find_spec(name)]
            return {"found": found, "prefix": sys.prefix, "path": sys.path}
        """,
    )
    works.build(bot("nosy", "nosy:look"))
    seen = works.run("nosy", None)[0].result
    assert seen["found"] == []
    assert seen["prefix"].startswith(str(works.home))
    assert seen["path"][0].startswith(str(works.home / "bundles"))
    *others, ours = seen["path"]
    assert not any("factory_cdk" in entry for entry in others)
    assert [entry.name for entry in Path(ours).iterdir() if entry.name != "__pycache__"] == ["factory_cdk.py"]


def test_the_source_folder_is_only_read(works: Works) -> None:
    works.write("package/inner.py", "def add(x):\n    return x + 1\n")
    works.write("package/__init__.py", "")
    before = sorted(works.code.rglob("*"))
    works.build(bot("add", "package.inner:add"))
    works.run("add", 1)
    assert sorted(works.code.rglob("*")) == before


def test_code_under_src_is_found(works: Works) -> None:
    works.write("src/deep/adding.py", "from deep import STEP\ndef add(x):\n    return x + STEP\n")
    works.write("src/deep/__init__.py", "STEP = 2\n")
    works.build(bot("add", "deep.adding:add"))
    assert works.run("add", 1)[0].result == 3


def test_a_locked_environment_checks_hashes(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(index))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    wheel = index / "shade-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    good = environment(tmp_path / "home", [f"shade==1.0 --hash=sha256:{digest}"], None)
    make(good)
    assert good.ready
    bad = environment(tmp_path / "home", [f"shade==1.0 --hash=sha256:{'0' * 64}"], None)
    with pytest.raises(FactoryError, match=r"(?i)hash"):
        make(bad)
    assert not bad.folder.exists()


def test_a_ctrl_c_is_heard_that_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that comes just before the build begins to wait for uv: here another thread gets it."""
    with socket.create_server(("127.0.0.1", 0)) as mute:  # uv asks, and nobody answers
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{mute.getsockname()[1]}/simple")
        wanted = environment(tmp_path / "home", ["no-such-package-of-ours==1.0"], None)
        with pytest.raises(KeyboardInterrupt):
            build_all([wanted], lambda line: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
    assert not wanted.folder.exists()


def test_two_builds_of_one_environment_at_once_make_it_once(tmp_path: Path) -> None:
    wanted = environment(tmp_path / "home", (), None)
    said: list[str] = []
    tool = uv_for_environments(tmp_path / "home", threading.Event())
    threads = [threading.Thread(target=build, args=(wanted, said.append, tool)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wanted.ready
    assert len([line for line in said if line.endswith("no requirements")]) == 1


def test_a_half_built_environment_is_built_again(tmp_path: Path) -> None:
    wanted = environment(tmp_path / "home", (), None)
    (wanted.folder / "bin").mkdir(parents=True)
    assert not wanted.ready
    make(wanted)
    assert wanted.ready
    wanted.python.unlink()
    wanted.python.symlink_to(tmp_path / "a python that was removed")
    assert not wanted.ready
    make(wanted)
    assert wanted.ready


def test_a_python_that_does_not_exist_is_told_in_uvs_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(FactoryError, match=r"3\.99"):
        make(environment(tmp_path / "home", (), "3.99"))


def test_a_bot_may_ask_for_a_python(works: Works) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    works.write("tells.py", "import sys\ndef tell(payload):\n    return list(sys.version_info[:2])\n")
    works.build(bot("tells", "tells:tell", python=version))
    assert works.run("tells", None)[0].result == list(sys.version_info[:2])


def test_a_dry_run_says_everything_and_does_nothing(works: Works, index: Path) -> None:
    works.write("a/requirements.txt", offline(index, "shade==1.0"))
    works.write("a/a.py", "raise SystemExit('a dry run imports nothing')\n")
    design = stage(
        bot("first", "a.a:go", to=["second"], config={"LEVEL": 3, "NAME": "x"}, processes=2, timeout=1.5),
        bot("second", command=["cat"]),
    )
    found = dry_run(design, {"first": works.code, "second": works.code}, works.home)
    assert not works.home.exists()
    assert [row["requirements"]["lines"][-1:] for row in found["environments"]] == [[], ["shade==1.0"]]
    assert [row["cached"] for row in found["environments"]] == [False, False]
    assert [row["bots"] for row in found["environments"]] == [["here/second"], ["here/first"]]
    assert [row["key"] is None for row in found["environments"]] == [False, True], "it is not locked yet"
    assert found["processes"][0]["count"] == 2
    assert found["processes"][1]["runs"] == ["cat"]
    assert found["routes"][0]["to"] == [{"sector": "here", "bot": "second", "queue": "second"}]
    assert found["variables"][0]["variables"]["LEVEL"] == "3"
    assert factory.list_factories(works.home) == []
