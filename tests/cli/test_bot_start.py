"""`factory-cdk bot-start`: one bot in the foreground, no plan."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE, until
from queue_calls import depth, run_jobs

from factory_cdk.lifecycle.local.single_bot import FACTORY, queues_folder
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.state.stage_folder import stage_folders
from factory_cdk.state.status import runner_pid

BOTS = """
import os
import shutil
from pathlib import Path
from factory_cdk import Bot

weld = Bot("weld")

@weld.process
def process(job):
    print("welding", job.payload)
    return {"part": job.payload, "meta": os.environ.get("FACTORY_META"), "shade": os.environ.get("SHADE")}

def paint(part):
    return [part, "painted"]
"""


@dataclass
class Shell:
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def command(self, *arguments: str) -> dict[str, Any]:
        return {
            "args": [sys.executable, "-m", "factory_cdk", *arguments],
            "cwd": self.folder / "code",
            "env": {**os.environ, "FACTORY_CDK_HOME": str(self.home), "SHADE": "from outside"},
            "text": True,
        }

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        done = subprocess.run(**self.command(*arguments), capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout, done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A bot in the foreground, reading its queue."""
        bot = subprocess.Popen(
            **self.command("bot-start", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self.started.append(bot)
        assert bot.stderr is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = bot.stderr.readline()
            assert line, said
            said += line
        return bot

    def submit(self, bot: str, *payloads: Any) -> list[dict[str, Any]]:
        lines = self.folder / "lines.jsonl"
        lines.write_text("".join(json.dumps(payload) + "\n" for payload in payloads))
        out, _ = self.run(
            *("submit", "--name", FACTORY, "--stage", bot, "--bot", bot, "--lines", str(lines), "--wait", "180")
        )
        return [json.loads(line) for line in out.splitlines()]

    def interrupt(self, bot: subprocess.Popen[str]) -> tuple[str, str]:
        """Ctrl-C; what was printed since."""
        os.killpg(bot.pid, signal.SIGINT)
        out, err = bot.communicate(timeout=PATIENCE)
        assert bot.returncode == 0, err
        return out, err


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "bots.py").write_text(BOTS)
    made = Shell(tmp_path)
    yield made
    for bot in made.started:
        bot.kill()
        bot.communicate(timeout=PATIENCE)
    for state in stage_folders(made.home):
        until(lambda: runner_pid(state) is None)  # noqa: B023


@pytest.mark.slow
def test_a_bot_is_started_does_jobs_and_leaves_nothing_but_its_queue(shell: Shell) -> None:
    bot = shell.start(
        *(
            "-q",
            "parts",
            "-p",
            "2",
            "--meta",
            "owner=cfd",
            "--meta",
            "size=[1, 2]",
            "--meta",
            "version=1.10",
            "--config",
            "SHADE=dark",
            "bots:weld",
        )
    )
    (job,) = shell.submit("weld", 7)
    assert job["result"]["part"] == 7
    assert json.loads(job["result"]["meta"]) == {"owner": "cfd", "size": [1, 2], "version": "1.10"}
    assert job["result"]["shade"] == "dark"
    rows = json.loads(shell.run("ps", "--format", "json")[0])
    assert [(row["factory"], row["stage"], row["bot"], row["worker"]) for row in rows] == [
        (FACTORY, "weld", "weld", 1),
        (FACTORY, "weld", "weld", 2),
    ]
    out, _ = shell.interrupt(bot)
    assert "| welding 7" in out
    assert stage_folders(shell.home) == []
    with SqliteQueues(queues_folder(shell.home) / "queues.sqlite3") as queues:
        assert [record.queue for record in run_jobs(queues, job["id"].partition("-")[0])] == ["parts"]


@pytest.mark.slow
def test_results_go_on_to_a_bot_that_was_started_so(shell: Shell) -> None:
    shell.start("-q", "paint-queue", "bots:paint")
    shell.start("-q", "parts", "--workflow", "paint", "bots:weld")
    jobs = {job["bot"]: job for job in shell.submit("weld", 1)}
    assert jobs["paint"]["parent"] == jobs["weld"]["id"]
    assert jobs["paint"]["result"] == [jobs["weld"]["result"], "painted"]


@pytest.mark.slow
def test_jobs_are_kept_for_the_next_start(shell: Shell) -> None:
    bot = shell.start("-q", "parts", "--stop", "--name", "welder", "bots:weld")
    shell.run("submit", "--name", FACTORY, "--bot", "welder", "--payload", "1")
    _, err = shell.interrupt(bot)
    assert "1 job is kept in queue parts" in err
    shell.start("-q", "parts", "bots:weld")
    with SqliteQueues(queues_folder(shell.home) / "queues.sqlite3") as queues:
        until(lambda: depth(queues, "parts").ready == 0 and depth(queues, "parts").leased == 0)


@pytest.mark.slow
def test_demolishing_one_keeps_its_jobs_and_asks_nothing_about_them(shell: Shell) -> None:
    bot = shell.start("-q", "parts", "--stop", "bots:weld")
    shell.run("submit", "--name", FACTORY, "--bot", "weld", "--payload", "1")
    assert "discarding" not in shell.run("demolish", "--name", FACTORY, "--yes")[1]
    assert bot.wait(PATIENCE) == 0
    with SqliteQueues(queues_folder(shell.home) / "queues.sqlite3") as queues:
        assert depth(queues, "parts").ready == 1


@pytest.mark.slow
def test_a_stopped_bot_is_resumed(shell: Shell) -> None:
    shell.start("-q", "parts", "--stop", "bots:weld")
    shell.run("resume", "--name", FACTORY)
    assert len(shell.submit("weld", 1)) == 1


@pytest.mark.slow
def test_one_that_was_killed_can_be_started_again(shell: Shell) -> None:
    bot = shell.start("-q", "parts", "bots:weld")
    _, err = shell.run("bot-start", "-q", "parts", "bots:weld", code=1)
    assert "a bot weld runs already" in err
    bot.kill()
    (state,) = stage_folders(shell.home)
    until(lambda: runner_pid(state) is None)
    shell.start("-q", "parts", "bots:weld")
    assert shell.submit("weld", 3)[0]["outcome"] == "success"


@pytest.mark.slow
def test_a_bot_that_cannot_be_loaded_leaves_nothing(shell: Shell) -> None:
    with (shell.folder / "code" / "bots.py").open("a") as file:
        file.write("raise RuntimeError('no')\n")
    _, err = shell.run("bot-start", "-q", "parts", "bots:weld", code=1)
    assert "RuntimeError: no" in err
    assert stage_folders(shell.home) == []


@pytest.mark.slow
def test_qalx_can_start_it(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    qalx = tmp_path / "bin" / "qalx"
    qalx.write_text('#!/bin/sh\necho "$@" > "$RECORD"\nexec sleep 1000\n')
    qalx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    record = tmp_path / "record"
    options = ("--launcher", "qalx", "--skip-ini", "--entity-class", "mine:Entity", "--workflow", "paint")
    shell.start("-q", "parts", "-p", "3", *options, "--config", f"RECORD={record}", "bots:weld")
    until(lambda: record.exists() and record.read_text())
    assert record.read_text().split() == [
        *("bot-start", "--processes=3", "--queue-name=parts", "--skip-ini", "--entity-class=mine:Entity"),
        *("--workflow=paint", "bots:weld"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("bots:weld",), 2, "Missing option '-q'"),
        (("-q", "parts", "bots"), 2, "is not module.path:attribute"),
        (("-q", "parts", "-p", "0", "bots:weld"), 2, "0 is not in the range"),
        (("-q", "parts", "--meta", "x", "bots:weld"), 2, "--meta 'x' is not KEY=VALUE"),
        (("-q", "parts", "--entity-class", "mine:Entity", "bots:weld"), 2, "goes with --launcher qalx"),
        (("-q", "parts", "--skip-ini", "bots:weld"), 2, "--skip-ini goes with --launcher qalx"),
        (("-q", "parts", "--launcher", "qalx", "--batch", "1", "bots:weld"), 2, "--batch has no effect with"),
        (("-q", "parts", "--launcher", "qalx", "--timeout", "1", "bots:weld"), 2, "--timeout has no effect with"),
        (("-q", "a b", "bots:weld"), 1, "'a b' cannot name a queue"),
        (("-q", "parts", "bots:_x"), 1, "'_x' cannot name a bot"),
        (("-q", "parts", "--workflow", "weld", "bots:weld"), 1, "cannot get its own results"),
        (("-q", "parts", "bots:absent"), 1, "bots.py has no 'absent'"),
        (("-q", "parts", "nowhere:bot"), 1, "nowhere"),
    ],
)
def test_wrong_usage_is_told(shell: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in shell.run("bot-start", *arguments, code=code)[1]
    assert stage_folders(shell.home) == []


@pytest.mark.slow
def test_a_bot_whose_folder_is_removed_finishes_its_job_in_the_queue_that_others_share_and_ends(shell: Shell) -> None:
    gate = shell.folder / "gate"
    code = shell.folder / "code" / "slow.py"
    code.write_text(
        "import time\nfrom pathlib import Path\ndef heat(gate):\n    Path(gate + '.begun').touch()\n"
        "    while not Path(gate).exists():\n        time.sleep(0.001)\n    return ['x' * 100_000]\n"
    )
    bot = shell.start("-q", "heats", "slow:heat", "--workflow", "weld")
    shell.run(*("submit", "--name", FACTORY, "--stage", "heat", "--bot", "heat", "--payload", json.dumps(str(gate))))
    until(gate.with_name("gate.begun").exists)
    moved = (shell.home / "factories" / FACTORY / "heat").rename(shell.folder / "removed")
    shutil.rmtree(moved, ignore_errors=True)  # its runner may be writing there
    assert bot.stdout is not None
    while "was removed" not in (line := bot.stdout.readline()):
        assert line
    gate.touch()
    bot.communicate(timeout=PATIENCE)
    with SqliteQueues(queues_folder(shell.home) / "queues.sqlite3") as queues:
        assert depth(queues, "heats").leased == depth(queues, "heats").ready == 0
        assert depth(queues, "weld").ready == 1
