"""What holds when commands cross each other, when a launcher goes away, and when the files of a stage are damaged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from local_works import PATIENCE, Works, bot, children, lives, until

from factory_cdk.diagnostics import FactoryError
from factory_cdk.doorbell import Ringer
from factory_cdk.jobs.submit import submit
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.control import remove
from factory_cdk.lifecycle.local.ending import force_end
from factory_cdk.lifecycle.verbs import Left
from factory_cdk.runner.launch import Launch
from factory_cdk.runner.reporter import Reporter
from factory_cdk.state.locks import holding, lock_holder, take_folder
from factory_cdk.state.requests import RunnerRequest, read_request
from factory_cdk.state.runner_spec import VERSION
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.status import read_status, runner_pid
from factory_cdk.views.stages import stage_detail, worker_rows

ECHO = "def echo(job):\n    return job.payload\n"


@pytest.fixture
def echo(works: Works) -> Works:
    """A stage whose one bot answers with its payload."""
    works.write("echoes.py", ECHO)
    works.build(bot("echo", "echoes:echo"))
    return works


def test_a_job_submitted_while_its_stage_is_demolished_is_refused_and_never_acknowledged(echo: Works) -> None:
    factory.stop(echo.home, "works", None, echo.said.append)
    echo.submit("echo", 1)
    found = factory.find(echo.home, "works")
    asked: list[Left] = []

    def refuse(left: Left) -> bool:
        asked.append(left)
        with pytest.raises(FactoryError, match="is being demolished; nothing was submitted"):
            echo.submit("echo", 2)
        return False

    assert not factory.demolish(echo.home, "works", None, echo.said.append, refuse).gone
    assert asked == [Left(1, 0)]
    echo.submit("echo", 3)
    assert factory.left(echo.home, "works") == Left(2, 0)
    echo.demolish()
    assert found.spec is not None
    with pytest.raises(FactoryError, match="not built here any more; nothing was submitted"):
        submit(found.folder, found.spec, "echo", [4])
    assert not found.folder.path.parent.exists()


def test_demolish_waits_for_those_who_submit_and_they_do_not_wait_for_each_other(echo: Works) -> None:
    folder = echo.folder().path
    first = take_folder(folder, shared=True)
    assert first is not None
    with holding(first):
        assert take_folder(folder, shared=False) is None
        echo.submit("echo", 1)
    alone = take_folder(folder, shared=False)
    assert alone is not None
    with holding(alone):
        assert take_folder(folder, shared=True) is None


def test_a_report_that_nobody_hears_tells_the_runner_that_its_launcher_is_gone() -> None:
    words: list[str | None] = []

    async def tell() -> None:
        ours, theirs = socket.socketpair()
        reporter = Reporter(ours, words.append)
        ours.shutdown(socket.SHUT_WR)  # writing fails, and there is nothing to read
        reporter.tell("trouble")
        assert words == []
        await asyncio.sleep(0)
        theirs.close()

    asyncio.run(tell())
    assert words == [None]


def test_a_launcher_that_said_keep_and_went_is_heard_before_its_going() -> None:
    words: list[str | None] = []

    async def tell() -> None:
        ours, theirs = socket.socketpair()
        reporter = Reporter(ours, words.append)
        theirs.sendall(b"keep\n")
        theirs.close()
        reporter.tell("trouble")
        await asyncio.sleep(0)

    asyncio.run(tell())
    assert words == ["keep", None]


def test_a_launcher_that_does_not_read_is_not_gone() -> None:
    words: list[str | None] = []

    async def tell() -> None:
        ours, theirs = socket.socketpair()
        reporter = Reporter(ours, words.append)
        for _ in range(64):
            reporter.tell("trouble", log="x" * 65536)
        theirs.sendall(b"keep\n")
        theirs.setblocking(False)
        heard, whole = b"", 64 * len(json.dumps({"event": "trouble", "log": "x" * 65536}) + "\n")
        async with asyncio.timeout(PATIENCE):
            while not words or len(heard) < whole:
                await asyncio.sleep(0)
                with contextlib.suppress(BlockingIOError):
                    heard += theirs.recv(1 << 20)
        assert {len(json.loads(line)["log"]) for line in heard.splitlines()} == {65536}
        reporter.close()
        theirs.close()

    asyncio.run(tell())
    assert words == ["keep"]


def test_the_folder_of_a_live_runner_is_never_removed(echo: Works) -> None:
    with pytest.raises(FactoryError, match=rf"its runner lives \(process {echo.runner()}\)"):
        remove(echo.folder())
    assert echo.run("echo", 1)[0].result == 1


def test_a_runner_that_does_not_end_is_killed(echo: Works) -> None:
    pid = echo.runner()
    os.kill(pid, signal.SIGSTOP)  # it hears nothing
    force_end(echo.folder(), patience=0.05)
    assert runner_pid(echo.folder()) is None
    remove(echo.folder())


@pytest.mark.slow
def test_a_resume_beside_the_runner_of_one_that_was_killed_starts_another(echo: Works) -> None:
    factory.stop(echo.home, "works", None, echo.said.append, cold=True)
    state, spec = echo.folder(), factory.find(echo.home, "works").spec
    assert spec is not None
    killed = Launch(state, spec, {}, detach=True)
    first = until(lambda: runner_pid(state))
    os.kill(first, signal.SIGSTOP)  # it has not heard yet that its launcher is gone
    killed.hang_up()
    resuming = threading.Thread(target=factory.resume, args=(echo.home, "works", None, echo.said.append))
    resuming.start()
    until(lambda: lock_holder(state.change_lock))
    os.kill(first, signal.SIGCONT)
    resuming.join(PATIENCE)
    assert echo.runner() != first
    assert echo.run("echo", 1)[0].result == 1
    assert not state.starting.exists()


def test_a_runner_whose_folder_was_removed_ends_and_leaves_the_one_that_is_built_in_its_place_alone(
    echo: Works,
) -> None:
    state, before = echo.folder(), echo.runner()
    workers = children(before)
    moved = state.path.with_name("moved")
    state.path.rename(moved)
    echo.build(bot("echo", "echoes:echo"))
    until(lambda: not any(lives(pid) for pid in (before, *workers)))
    assert "was removed: there is nothing left to run" in (moved / "logs" / "runner.log").read_text()
    assert echo.runner() != before
    assert echo.run("echo", 1)[0].result == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", "{}", f'{{"version": {VERSION}}}', f'{{"version": {VERSION}, "pool_specs": [7]}}']
)
def test_a_damaged_stage_is_listed_beside_the_others_refuses_jobs_and_can_be_demolished(
    tmp_path: Path, content: str
) -> None:
    for name in ("bad", "other"):
        state = stage_folder(tmp_path, "works", name)
        state.path.mkdir(parents=True)
    bad = stage_folder(tmp_path, "works", "bad")
    bad.spec.write_text(content)
    bad.status.write_text(content)
    found = factory.list_factories(tmp_path)
    assert [(one.stage, one.state) for one in found] == [("bad", "damaged"), ("other", "killed")]
    assert worker_rows(found) == []
    assert stage_detail(found[0]).state == "damaged"
    with pytest.raises(FactoryError, match="works/bad is damaged") as refused:
        factory.submit(tmp_path, "works", "bad", "echo", [1])
    assert "demolish --name works --stage bad" in (refused.value.remedy or "")
    assert factory.demolish(tmp_path, "works", "bad", print, lambda left: True).gone
    assert not bad.path.exists()


def test_a_request_that_cannot_be_read_is_logged_and_the_runner_goes_on(echo: Works) -> None:
    state, pid = echo.folder(), echo.runner()
    until(lambda: (status := read_status(state)) and status.gate == "open")  # the last request was heard
    for noted, text in enumerate(
        ("", "[]", '{"gate": []}', '{"gate": "open", "keep_stopped": 1}', '{"end": {}}', '{"request": null}'), 1
    ):
        state.request.write_text(text)
        ringer = Ringer(state.path)
        ringer.ring([state.bell.name])
        ringer.close()
        until(lambda: (state.logs / "runner.log").read_text().count("the last request stays in force") == noted)  # noqa: B023
    assert echo.run("echo", 1)[0].result == 1
    assert echo.runner() == pid


def test_a_request_may_hold_keys_of_a_later_version(tmp_path: Path) -> None:
    state = stage_folder(tmp_path, "works", "test")
    state.path.mkdir(parents=True)
    state.request.write_text('{"gate": "open", "keep_stopped": false, "later": 1}')
    assert read_request(state) == RunnerRequest("open", keep_stopped=False)
