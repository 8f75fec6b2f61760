"""Stages that another version of factory-cdk has built: they are listed as what they are, and no command but a cold
demolish touches them. `earlier_version/` has the files of a stage as a version with rosters wrote them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory_cdk.cli import main
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import VARIABLE
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.folder_ports import ports_of
from factory_cdk.state.runner_spec import VERSION
from factory_cdk.state.stage_folder import StageFolder, stage_folder

FILES = Path(__file__).parent / "earlier_version"
RUNNER = Path(__file__).parent / "earlier_runner.py"
REFUSAL = "works/test was built by another version of factory-cdk; this one cannot read its files"
COLD = "factory-cdk demolish --cold --name works --stage test"
PLAN = """
factory:
  name: works
  bots:
    hello: {source: {path: bot}, bot_path: "hello:run"}
  stages:
    test:
      here: {type: local, bots: {hello: {}}}
"""

Run = Callable[..., tuple[int, str, str]]
"""Runs a command; its exit code, output and errors."""


def with_rosters(folder: StageFolder) -> None:
    """A stage as a version wrote it whose runner had a roster."""
    shutil.copytree(FILES, folder.path)
    (folder.path / "queues").mkdir()
    (folder.path / "queues" / "queues.sqlite3").write_bytes(b"of another format")


def with_another_spec(folder: StageFolder) -> None:
    """A stage of a version whose spec has the same name and another content."""
    folder.path.mkdir(parents=True)
    folder.spec.write_text(json.dumps({"version": VERSION + 1, "pools": {}}))


def unfinished(folder: StageFolder) -> None:
    """What a build of an earlier version left that was killed."""
    with_rosters(folder)
    folder.unfinished.touch()


@pytest.fixture(params=[with_rosters, with_another_spec, unfinished])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageFolder:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    state = stage_folder(tmp_path / "home", "works", "test")
    request.param(state)
    return state


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["factory-cdk", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def runner(folder: StageFolder) -> Iterator[subprocess.Popen[str]]:
    """A runner of that version, which is at work."""
    command = [sys.executable, str(RUNNER), str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def files(folder: StageFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_it_is_listed_as_outdated_with_what_helps(folder: StageFolder, run: Run) -> None:
    code, out, err = run("list", "--format", "json")
    assert (code, [(one["stage"], one["state"], one["runner"]) for one in json.loads(out)]) == (
        0,
        [("test", "outdated", None)],
    )
    assert REFUSAL in err
    assert COLD in err
    code, out, err = run("info", "--name", "works")
    assert (code, "outdated" in out, REFUSAL in err, COLD in err) == (0, True, True, True)
    code, out, err = run("ps", "--name", "works")
    assert (code, out, REFUSAL in err, COLD in err) == (0, "", True, True)
    code, out, err = run("top", "--once", "--name", "works")
    assert (code, REFUSAL in out, COLD in out) == (0, True, True)


@pytest.mark.parametrize(
    "command",
    [
        ("submit", "--name", "works", "--bot", "hello", "--payload", "1"),
        ("stop", "--name", "works"),
        ("stop", "--name", "works", "--cold"),
        ("resume", "--name", "works"),
        ("logs", "--name", "works"),
        ("jobs", "list", "--name", "works"),
        ("jobs", "check", "--name", "works"),
        ("jobs", "rescue", "--name", "works", "--yes"),
        ("demolish", "--name", "works", "--yes"),
        ("demolish", "--name", "works", "--drain", "--yes"),
        ("build", "--plan", "plan.yml", "--stage", "test"),
        ("build", "--plan", "plan.yml", "--stage", "test", "--watch"),
    ],
    ids=" ".join,
)
def test_every_command_refuses_it_says_what_helps_and_changes_nothing(
    folder: StageFolder, run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "plan.yml").write_text(PLAN)
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "hello.py").write_text("def run(payload):\n    return payload\n")
    before = files(folder)
    code, _, err = run(*command)
    assert code == 1
    assert REFUSAL in err
    assert COLD in err
    assert files(folder) == before


def test_a_runner_does_not_start_on_it(folder: StageFolder) -> None:
    with pytest.raises(FactoryError) as refused:
        ports_of(folder).specs.read()
    assert (refused.value.message, COLD in (refused.value.remedy or "")) == (REFUSAL, True)


def test_a_cold_demolish_asks_since_nobody_can_count_its_jobs(folder: StageFolder) -> None:
    asked: list[str] = []

    def refuse(left: factory.Left) -> bool:
        asked.append(str(left))
        return False

    assert not factory.demolish(folder.path.parents[2], "works", "test", print, refuse, cold=True).gone
    assert asked == ["jobs that cannot be counted (another version of factory-cdk has stored them)"]
    assert folder.path.exists()


def test_a_cold_demolish_ends_its_runner_and_removes_it(
    folder: StageFolder, run: Run, runner: subprocess.Popen[str]
) -> None:
    (row,) = json.loads(run("list", "--format", "json")[1])
    assert (row["state"], row["runner"]) == ("outdated", runner.pid)
    code, out, _ = run("demolish", "--name", "works", "--cold", "--yes")
    assert (code, out.splitlines()[-1]) == (0, "works/test is demolished")
    assert runner.wait() == 0
    assert runner.stdout
    assert sorted(runner.stdout.read().split()) == ["SIGINT", "SIGTERM"]
    assert not folder.path.parent.exists()


def test_a_stage_whose_spec_is_damaged_is_not_taken_for_another_version_s(tmp_path: Path) -> None:
    state = stage_folder(tmp_path, "works", "test")
    with_rosters(state)
    state.spec.write_text("{")
    assert [one.state for one in factory.list_factories(tmp_path)] == ["damaged"]
    assert factory.demolish(tmp_path, "works", "test", print, lambda left: True).gone
