"""A stage is drained bot after bot along the workflow, or says why it cannot be."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from local_works import Works, bot, until

from factory_cdk.cli import main
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.drain import drain
from factory_cdk.state.status import read_status, runner_pid

BOTS = """
import time
from pathlib import Path
from factory_cdk import Bot

def slow(payload):
    time.sleep(0.01)
    return payload

def hold(gate):
    while not Path(gate).exists():
        time.sleep(0.001)

bot = Bot()

@bot.process
def once(job):
    job.stop_processing()
"""


def found(works: Works) -> factory.Factory:
    return factory.find(works.home, "works", "test")


def depths(works: Works) -> factory.Left:
    return factory.left(works.home, "works", "test")


@pytest.fixture
def written(works: Works) -> Works:
    works.write("bots.py", BOTS)
    return works


@pytest.mark.slow
def test_every_job_and_all_that_follows_from_it_is_done(written: Works) -> None:
    written.build(
        bot("first", "bots:slow", to=["second"]), bot("second", "bots:slow", to=["third"]), bot("third", "bots:slow")
    )
    run = written.submit("first", *range(150))
    said: list[str] = []
    drain(found(written), said.append)
    assert str(depths(written)) == "0 jobs and 0 dead letters"
    assert len(written.wait(run)) == 450
    assert said
    assert [line.partition(":")[0] for line in said] == sorted(line.partition(":")[0] for line in said)
    assert said[0].startswith("first: ")
    assert said[0].endswith(" jobs left")


def test_what_is_not_done_in_time_goes_on(written: Works, tmp_path: Path) -> None:
    written.build(bot("hold", "bots:hold"))
    run = written.submit("hold", str(tmp_path / "gate"))
    with pytest.raises(FactoryError, match="bot hold of works/test still has 1 job") as refused:
        drain(found(written), print, 0.05)
    assert refused.value.exit_code == 3
    (tmp_path / "gate").touch()
    assert [record.outcome for record in written.wait(run)] == ["success"]


@pytest.mark.slow
def test_who_waits_long_is_told_what_the_workers_are_at(written: Works, tmp_path: Path) -> None:
    written.build(bot("hold", "bots:hold", processes=2))
    written.submit("hold", str(tmp_path / "gate"))
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "busy" in line:
            (tmp_path / "gate").touch()

    drain(found(written), say, still=0.01)
    assert said[0] == "hold: 1 job left"
    assert "hold: still 1 job left; of its workers 1 busy, 1 ready" in said


def test_a_stage_that_is_stopped_cannot_be_drained(written: Works) -> None:
    written.build(bot("first", "bots:slow"))
    factory.stop(written.home, "works", "test", print)
    drain(found(written), print)  # nothing is left
    written.submit("first", 1)
    with pytest.raises(FactoryError, match="works/test is stopped") as refused:
        drain(found(written), print)
    assert "factory-cdk resume --name works --stage test" in (refused.value.remedy or "")


def test_a_bot_that_takes_no_jobs_is_named(written: Works) -> None:
    written.build(bot("first", "bots:slow", to=["second"]), bot("second", "bots:slow", stop=True))
    written.submit("first", 1)
    with pytest.raises(FactoryError, match="bot second of here takes no jobs: it is stopped"):
        drain(found(written), print)


def test_workers_that_their_bot_stopped_do_not_hold_it_up_for_ever(written: Works) -> None:
    written.build(bot("once", "bots:bot"))
    written.submit("once", 1, 2)
    with pytest.raises(FactoryError, match="bot once of here takes no jobs"):
        drain(found(written), print)


def test_a_runner_that_dies_is_told(written: Works, tmp_path: Path) -> None:
    state = written.build(bot("hold", "bots:hold"))
    written.submit("hold", str(tmp_path / "gate"))
    os.kill(written.runner(), signal.SIGKILL)
    until(lambda: runner_pid(state) is None)
    with pytest.raises(FactoryError, match="does not run") as refused:
        drain(found(written), print)
    assert refused.value.exit_code == 4


@pytest.mark.slow
def test_demolish_drains_first(
    written: Works, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def demolish(*options: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["factory-cdk", "demolish", "--name", "works", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out + err

    monkeypatch.setenv("FACTORY_CDK_HOME", str(written.home))
    written.build(bot("first", "bots:slow", to=["second"]), bot("second", "bots:slow"))
    assert demolish("--drain", "--cold")[0] == 2
    written.submit("first", *range(50))
    code, said = demolish("--drain", "--timeout", "60", "--yes")
    assert code == 0, said
    assert "works/test is demolished" in said
    assert "discarding" not in said, "nothing was left to discard"


def test_a_stage_that_was_just_built_is_open(written: Works) -> None:
    state = written.build(bot("first", "bots:slow"))
    status = read_status(state)
    assert status is not None
    assert status.gate == "open", "whoever looks at once is not told that it is stopped"
