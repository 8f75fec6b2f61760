"""`factory-cdk top`: what it shows, on a terminal and without one."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from patience import PATIENCE
from queue_calls import claim, fail
from rich.console import Console

from factory_cdk.cli.output.screen import draw
from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, Successor
from factory_cdk.queues.port import Failure, Job
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.state.files import write_json
from factory_cdk.state.locks import holding, take_lock
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, spec_as_json
from factory_cdk.state.stage_folder import StageFolder, stage_folder
from factory_cdk.state.status import PoolStatus, Status, WorkerStatus, status_as_json
from factory_cdk.views.overview import Overview, StageView


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pool_spec(bot: str, to: tuple[Successor, ...] = ()) -> PoolSpec:
    return PoolSpec(
        *("here", bot, bot, to, BotArguments(processes=2), Start("target", (f"bots:{bot}",)), FACTORY_QUEUES, 2),
        *("/", "/", (), "/bin/python", (), None, {}, {}),
    )


def write_status(state: StageFolder, done: int, failed: int = 0, broken: str | None = None) -> None:
    workers = (
        WorkerStatus("here", "weld", 1, 11, "busy", 0.0, 0, done, failed, 1, "heating [bold]up"),
        WorkerStatus("here", "weld", 2, 12, "ready", 0.0, 3, 0, 0, 0),
        WorkerStatus("here", "paint", 1, 13, "ready", 0.0, 0, 0, 0, 0),
    )
    pools = (PoolStatus("here", "weld", "weld", True, None), PoolStatus("here", "paint", "paint", True, broken))
    write_json(state.status, status_as_json(Status(1, 0.0, "open", "", workers, pools)))


@pytest.fixture
def state(tmp_path: Path) -> StageFolder:
    """A stage with two bots; its lock is free, its queues have a job of each kind."""
    found = stage_folder(tmp_path, "works", "test")
    found.path.mkdir(parents=True)
    write_json(found.spec, spec_as_json(RunnerSpec("works", "test", (pool_spec("weld"), pool_spec("paint")), ())))
    ask(found, gate="open")
    with SqliteQueues(found.database / "queues.sqlite3") as queues:
        queues.send("weld", [Job(f"w-{number}", "weld", None, "w") for number in range(4)])
        queues.send("weld", [Job("w-late", "weld", None, "w")], delay=1000)
        dead, again, _ = claim(queues, "weld", 3, lease=1000)
        fail(queues, dead, Failure("ValueError", "too\nhot \x1b[31m", "", 1), delay=None)
        fail(queues, again, Failure("OSError", "rod [stuck]", "", 1), delay=1000)
    write_status(found, done=10)
    return found


def test_it_counts_workers_jobs_and_failures(state: StageFolder, tmp_path: Path) -> None:
    lock = take_lock(state.runner_lock)
    assert lock is not None
    with holding(lock):
        (stage,) = Overview(tmp_path).look()
    weld, paint = stage.bots
    assert (stage.state, stage.runner) == ("running", os.getpid())
    assert (weld.state, weld.workers, weld.busy, weld.ready, weld.restarts) == ("busy", 2, 1, 1, 3)
    assert (weld.waiting, weld.leased, weld.dead, weld.done) == (3, 1, 1, 10)
    assert weld.said == ("heating [bold]up",)
    assert (paint.state, paint.waiting) == ("ready", 0)
    assert [(one.job, one.dead, one.failure.type) for one in stage.failures] == [
        ("w-1", False, "OSError"),
        ("w-0", True, "ValueError"),
    ]


def test_rates_are_those_of_the_last_seconds(state: StageFolder, tmp_path: Path) -> None:
    clock = Clock()
    overview = Overview(tmp_path, clock=clock)

    def rates() -> tuple[float, float]:
        weld = overview.look()[0].bots[0]
        return weld.rate, weld.failure_rate

    assert rates() == (0.0, 0.0)
    clock.now += 5
    write_status(state, done=60, failed=5)
    assert rates() == (10.0, 1.0)
    for _ in range(3):
        clock.now += 5
        assert rates()[0] >= 0
    assert rates() == (0.0, 0.0), "what was long ago does not count"
    clock.now += 5
    write_status(state, done=1)
    assert rates() == (0.0, 0.0), "a new runner counts anew"


def test_a_bot_that_was_given_up_and_a_runner_that_is_gone_are_seen(state: StageFolder, tmp_path: Path) -> None:
    write_status(state, done=0, broken="crash loop")
    lock = take_lock(state.runner_lock)
    assert lock is not None
    with holding(lock):
        assert [bot.state for bot in Overview(tmp_path).look()[0].bots] == ["busy", "broken"]
    assert [bot.state for bot in Overview(tmp_path).look()[0].bots] == ["gone", "gone"]
    assert Overview(tmp_path, "works", "other").look() == ()


def test_user_text_is_no_markup_and_no_escape(state: StageFolder, tmp_path: Path) -> None:
    lock = take_lock(state.runner_lock)
    assert lock is not None
    console = Console(width=200, height=30, force_terminal=True, color_system=None)
    with holding(lock), console.capture() as captured:
        console.print(draw(Overview(tmp_path).look(), console.size))
    text = captured.get()
    assert "heating [bold]up" in text
    assert "rod [stuck]" in text
    assert "\x1b[31m" not in text
    assert "too hot \\x1b[31m" in text


def test_it_is_never_higher_or_wider_than_the_screen(state: StageFolder, tmp_path: Path) -> None:
    for width, height in ((60, 8), (20, 12), (200, 60)):
        console = Console(width=width, height=height, force_terminal=True, color_system=None)
        with console.capture() as captured:
            console.print(draw(Overview(tmp_path).look(), console.size))
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) <= height


def drawn(stages: tuple[StageView, ...], width: int, height: int) -> str:
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(draw(stages, console.size))
    return captured.get()


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (125, "sector bot state busy workers waiting in hand dead done failed jobs/s failures/s restarts status"),
        (80, "sector bot state busy workers waiting dead done failed jobs/s status"),
        (60, "bot state busy waiting dead done failed status"),
        (40, "bot state busy waiting dead"),
    ],
)
def test_a_narrow_screen_leaves_columns_out_and_cuts_none(
    state: StageFolder, tmp_path: Path, width: int, heads: str
) -> None:
    head, row = drawn(Overview(tmp_path).look(), width, 24).splitlines()[1:3]
    assert head.split() == heads.split()
    assert "weld" in row
    assert "\u2026" not in row.partition("heating")[0]


def test_bots_that_there_is_no_room_for_are_counted(state: StageFolder, tmp_path: Path) -> None:
    (stage,) = Overview(tmp_path).look()
    crowd = (replace(stage, bots=stage.bots * 20),) * 2
    lines = drawn(crowd, 100, 24).splitlines()
    assert len(lines) <= 24
    assert lines.count("  … 32 more bots: --once prints all") == 2
    assert lines[-1] == "q ends"


def test_a_stage_whose_build_was_killed_is_shown_without_bots(state: StageFolder, tmp_path: Path) -> None:
    state.spec.unlink()
    state.unfinished.touch()
    assert drawn(Overview(tmp_path).look(), 80, 24).splitlines()[0] == "works/test unfinished"
    assert run(tmp_path, "--once").stdout.splitlines()[0] == "works/test unfinished"


def test_of_a_job_that_failed_again_and_again_the_last_failure_is_shown(state: StageFolder, tmp_path: Path) -> None:
    with SqliteQueues(state.database / "queues.sqlite3") as queues:
        queues.history.retry(["w-0"])
        (lease,) = claim(queues, "weld", 1, lease=1000)
        fail(queues, lease, Failure("OSError", "once more", "", 1), delay=None)
    (stage,) = Overview(tmp_path).look()
    assert [(one.job, one.failure.message) for one in stage.failures] == [("w-0", "once more"), ("w-1", "rod [stuck]")]


def test_programs_get_it_as_json_once(state: StageFolder, tmp_path: Path) -> None:
    (stage,) = json.loads(run(tmp_path, "--format", "json").stdout)
    assert (stage["factory"], stage["state"], stage["bots"][0]["waiting"]) == ("works", "killed", 3)
    assert stage["failures"][0]["failure"]["type"] == "OSError"


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "top", *arguments],
        env={**os.environ, "FACTORY_CDK_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.slow
def test_without_a_terminal_it_prints_once(state: StageFolder, tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "works/test killed"
    assert re.search(r"^here +weld +gone +0 +2 +3 +1 +1 ", done.stdout, re.MULTILINE)
    assert "weld w-0 dead: ValueError: too hot" in done.stdout
    absent = run(tmp_path, "--name", "wroks")
    assert absent.returncode == 1
    assert "wroks is not built here\n  help: did you mean works?" in absent.stderr


def test_queues_that_cannot_be_read_are_the_trouble_of_their_stage(state: StageFolder, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(state.database / "queues.sqlite3")) as database:
        database.execute("PRAGMA user_version = 99")
    done = run(tmp_path, "--once")
    assert done.returncode == 0, done.stderr
    assert "is of version 99; this factory-cdk knows version 1" in done.stdout.splitlines()[0]
    assert "weld" in done.stdout


@pytest.mark.slow
def test_on_a_terminal_it_fills_the_screen_until_q(state: StageFolder, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "factory_cdk", "top", "--interval", "0.1"],
        env={
            **os.environ,
            "FACTORY_CDK_HOME": str(tmp_path),
            "TERM": "xterm-256color",
            "COLUMNS": "150",
            "LINES": "30",
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = ""
    pressed = False
    deadline = time.monotonic() + 60
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, shown
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536).decode(errors="replace")
                except OSError:  # its end was closed
                    break
            if not pressed and shown.count("works/test") >= 2:
                os.write(ours, b"q")
                pressed = True
        assert process.wait(PATIENCE) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "\x1b[?1049h" in shown, "the alternate screen"
    assert "failures/s" in shown
    assert "rod [stuck]" in shown
