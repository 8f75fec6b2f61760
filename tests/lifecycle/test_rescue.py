"""A database that is damaged: every command names it and what helps, and what can be read of it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from local_works import Works, bot, until

from factory_cdk.cli import main
from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs import history as jobs
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.rescue import put_right
from factory_cdk.state.locks import holding, take_folder
from factory_cdk.state.stage_queues import open_queues, queues_location
from factory_cdk.state.status import read_status, runner_pid

PAGE = 4096
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(works: Works, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs factory-cdk, here; its exit code and all that it said."""
    monkeypatch.setenv("FACTORY_CDK_HOME", str(works.home))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["factory-cdk", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, "".join(capsys.readouterr())

    return run


@pytest.fixture
def path(works: Works) -> Path:
    """The database, with 40 jobs done and 40 to be done, of a stage whose runner was killed."""
    works.write("echoes.py", "def echo(x):\n    return x\n")
    state = works.build(bot("echo", "echoes:echo"))
    works.run("echo", *("x" * 500 for _ in range(40)))
    factory.stop(works.home, "works", None, works.said.append)
    works.submit("echo", *("y" * 500 for _ in range(40)))
    os.kill(works.runner(), signal.SIGKILL)
    until(lambda: runner_pid(state) is None)
    return queues_location(state).database


def into_one_file(path: Path) -> None:
    """Let SQLite move the log into the database."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def overwrite(path: Path, start: int, length: int, content: bytes = b"\0") -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content * length)


def page_of(path: Path, name: str) -> int:
    """Where the first page of a table or index begins."""
    connection = sqlite3.connect(path)
    (number,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    connection.close()
    return int(number - 1) * PAGE


def zero_a_page(path: Path) -> None:
    overwrite(path, page_of(path, "jobs_live"), PAGE)
    overwrite(path, page_of(path, "jobs_of_run"), PAGE)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def set_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "zeroed page": (zero_a_page, "damaged"),
    "truncated": (lambda path: os.truncate(path, PAGE * 2), "damaged"),
    "garbled header": (lambda path: overwrite(path, 0, 100, b"\xa5"), "is not a "),
    "text": (lambda path: path.write_text("a text\n" * 3000), "is not a "),
    "folder": (replace_by_folder, "is a folder"),
    "empty": (lambda path: os.truncate(path, 0), "is empty"),
    "gone": (Path.unlink, "is missing"),
    "newer": (set_version, "version 99"),
}
COMMANDS = (
    ("ps",),
    ("list",),
    ("info", "--name", "works"),
    ("top", "--once"),
    ("submit", "--name", "works", "--bot", "echo", "--payload", "1"),
    ("jobs", "list", "--name", "works", "--outcome", "ready"),
    ("jobs", "cancel", "--name", "works", "--all", "--yes"),
    ("jobs", "check", "--name", "works"),
    ("stop", "--name", "works"),
    ("resume", "--name", "works"),
    ("demolish", "--name", "works", "--yes"),
)
TALE = ("ps", "list", "top", "demolish")
"""Commands that do what they are for all the same."""


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGES, "log gone"])
def test_every_command_names_the_file_and_what_is_wrong(path: Path, command: Command, damage: str) -> None:
    if damage == "log gone":
        path.with_name(path.name + "-wal").unlink()
        wrong = "its log (-wal) is missing"
    else:
        into_one_file(path)
        harm, wrong = DAMAGES[damage]
        harm(path)
    for arguments in COMMANDS:
        code, said = command(*arguments)
        if damage == "zeroed page" and arguments[0] in ("resume", "jobs"):
            continue  # they meet the page or not
        assert str(path) in said, (arguments, said)
        assert wrong in said, (arguments, said)
        assert "Traceback" not in said
        assert code == (0 if arguments[0] in TALE else 1), (arguments, said)
        helps = ("jobs rescue", "nothing can be saved") if "check" in arguments else ("jobs check",)
        assert any(help_ in said for help_ in helps) or damage == "newer" or arguments[0] == "demolish", said
    assert not path.parent.parent.exists()


def test_a_damaged_stage_is_checked_rescued_and_resumed(path: Path, works: Works, command: Command) -> None:
    into_one_file(path)
    zero_a_page(path)
    damaged = path.read_bytes()
    code, said = command("jobs", "check", "--name", "works")
    assert code == 1
    assert "80 jobs can be saved, none is seen to be lost" in said
    assert path.read_bytes() == damaged
    code, said = command("jobs", "rescue", "--name", "works", "--yes")
    assert code == 0, said
    (kept,) = path.parent.parent.glob("queues.damaged-*")
    assert str(kept) in said
    assert (kept / path.name).read_bytes() == damaged
    assert command("jobs", "check", "--name", "works") == (0, "works/test: nothing wrong\n")
    assert command("resume", "--name", "works")[0] == 0
    until(lambda: factory.left(works.home, "works") == factory.Left(0, 0))
    assert command("jobs", "rescue", "--name", "works", "--yes")[0] == 1  # its runner runs
    assert works.run("echo", 1)[0].result == 1


def test_check_says_as_json_what_could_be_saved(path: Path, command: Command) -> None:
    into_one_file(path)
    overwrite(path, 0, PAGE, b"\xa5")
    code, said = command("jobs", "check", "--name", "works", "--format", "json")
    found = json.loads(said)
    assert (code, found["rescue"]) == (1, {"saved": 80, "lost": 0})
    assert str(path) in found["problems"][0]


@pytest.mark.slow
def test_a_rescue_that_was_killed_between_its_two_steps_is_finished_by_the_next(
    path: Path, works: Works, command: Command
) -> None:
    state = works.folder()
    shutil.copytree(path.parent, state.path / "queues.rescued", ignore=shutil.ignore_patterns("*.bells"))
    path.parent.rename(state.path / "queues.damaged-20260101T000000Z")
    assert "is missing" in command("submit", "--name", "works", "--bot", "echo", "--payload", "1")[1]
    assert command("jobs", "rescue", "--name", "works", "--yes")[0] == 0
    assert factory.left(works.home, "works") == factory.Left(40, 0)


def test_a_rescue_that_is_declined_or_needless_changes_nothing(path: Path, works: Works, command: Command) -> None:
    code, said = command("jobs", "rescue", "--name", "works", "--yes")
    assert (code, "nothing is wrong" in said) == (1, True)
    into_one_file(path)
    zero_a_page(path)
    before = sorted(found.name for found in path.parent.parent.iterdir())
    assert put_right(factory.find(works.home, "works"), lambda found: False) is None
    assert sorted(found.name for found in path.parent.parent.iterdir()) == before


def test_a_runner_that_meets_damage_at_work_ends_and_ps_says_why(works: Works, command: Command) -> None:
    works.write("echoes.py", "def echo(x):\n    return x\n")
    state = works.build(bot("echo", "echoes:echo"))
    works.run("echo", 1)
    path = queues_location(state).database
    into_one_file(path)
    other = sqlite3.connect(path)
    overwrite(path, page_of(path, "jobs_live"), PAGE)
    other.execute("UPDATE anchor SET epoch = epoch")  # whoever has pages in memory reads them anew
    other.commit()
    until(lambda: runner_pid(state) is None)
    other.close()
    status = read_status(state)
    assert status
    assert (status.gate, factory.find(works.home, "works").state) == ("ended", "ended")
    assert "damaged" in (status.trouble or "")
    code, said = command("ps")
    assert code == 0
    assert str(path) in said
    assert "factory-cdk jobs check --name works --stage test" in said


def test_nothing_is_retried_while_a_stage_is_demolished(path: Path, works: Works) -> None:
    found = factory.find(works.home, "works")
    with open_queues(found.folder) as queues:
        (job, *_) = queues.history.ids(jobs.Search(states=("ready",)))
    jobs.cancel(found, [job])
    lock = take_folder(found.folder.path, shared=False)
    assert lock is not None
    with holding(lock), pytest.raises(FactoryError, match="is being demolished; nothing was retried"):
        jobs.retry(found, [job])
    assert jobs.retry(found, [job]) == [job]
