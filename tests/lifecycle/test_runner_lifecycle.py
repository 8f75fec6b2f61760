"""Runners that are killed, stopped, resumed and ended; builds that meet; what demolish leaves."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from local_works import QUICK, Works, bot, lives, until

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.control import changing
from factory_cdk.state.requests import ask
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.stage_queues import open_queues
from factory_cdk.state.status import read_status, runner_pid
from factory_cdk.views.stages import worker_rows

GATED = """
import subprocess
import time
from pathlib import Path

def gated(job):
    "Leave `<payload>.<attempt>` and wait until the file `payload` exists."
    Path(f"{job.payload}.{job.attempt}").touch()
    while not Path(job.payload).exists():
        time.sleep(0.001)
    return job.attempt

def echo(payload):
    return payload

def family(job):
    "Start a child that would live on, and hold the job."
    child = subprocess.Popen(["sleep", "1000"])
    Path(job.payload).write_text(str(child.pid) + "\\n")
    time.sleep(1000)
"""


@pytest.fixture
def gated(works: Works) -> Works:
    works.write("bots.py", GATED)
    return works


def pids(works: Works) -> list[int]:
    """The processes of all workers."""
    status = read_status(works.folder())
    assert status is not None
    return [worker.pid for worker in status.workers if worker.pid]


@pytest.mark.slow
def test_a_killed_runner_leaves_no_orphan_is_seen_and_resume_loses_nothing(gated: Works, tmp_path: Path) -> None:
    gated.build(bot("hold", "bots:gated", to=["echo"], processes=2), bot("echo", "bots:echo"))
    gate = tmp_path / "gate"
    run = gated.submit("hold", *[str(gate)] * 5)
    until(lambda: gate.with_name("gate.1").exists())
    workers, runner = pids(gated), gated.runner()
    assert len(workers) == 3
    os.kill(runner, signal.SIGKILL)
    until(lambda: not any(lives(pid) for pid in workers))
    found = until(lambda: (seen := factory.find(gated.home, "works")).state == "killed" and seen)
    assert {row.state for row in worker_rows([found])} == {"gone"}
    with pytest.raises(FactoryError, match="the runner of works/test is gone") as gone:
        gated.wait(run)
    assert gone.value.exit_code == 4
    late = gated.submit("echo", "late")
    gate.touch()
    factory.resume(gated.home, "works", None, gated.said.append)
    records = gated.wait(run)
    assert sorted(record.job.bot for record in records) == ["echo"] * 5 + ["hold"] * 5
    assert {str(record.outcome) for record in records} == {"success"}
    assert gated.wait(late)[0].result == "late"


@pytest.mark.slow
def test_the_job_in_the_hand_of_a_killed_runner_goes_on_as_soon_as_its_stage_is_resumed(
    gated: Works, tmp_path: Path
) -> None:
    gated.timings = replace(QUICK, lease_most=3600.0)
    gated.build(bot("hold", "bots:gated", visibility_timeout=3600))
    gate = tmp_path / "gate"
    run = gated.submit("hold", str(gate))
    until(lambda: gate.with_name("gate.1").exists())
    os.kill(gated.runner(), signal.SIGKILL)
    until(lambda: runner_pid(gated.folder()) is None)
    gate.touch()
    factory.resume(gated.home, "works", None, gated.said.append)
    (record,) = gated.wait(run)
    assert (record.outcome, record.result, record.attempts) == ("success", 2, 2)
    assert [(failure.type, failure.attempt) for failure in record.failures] == [("RunnerDied", 1)]
    assert "1 job of a runner that died: ready again" in (gated.folder().logs / "runner.log").read_text()


@pytest.mark.slow
def test_a_job_whose_last_attempt_died_with_its_runner_becomes_a_dead_letter(gated: Works, tmp_path: Path) -> None:
    gated.build(bot("hold", "bots:gated", max_attempts=1))
    gate = tmp_path / "gate"
    run = gated.submit("hold", str(gate))
    until(lambda: gate.with_name("gate.1").exists())
    os.kill(gated.runner(), signal.SIGKILL)
    until(lambda: runner_pid(gated.folder()) is None)
    factory.resume(gated.home, "works", None, gated.said.append)
    (record,) = gated.wait(run)
    assert record.outcome == "dead"
    assert [failure.type for failure in record.failures] == ["RunnerDied", "LeaseExpired"]
    assert not gate.with_name("gate.2").exists()


def test_jobs_that_were_done_long_ago_are_forgotten_and_dead_letters_are_not(gated: Works) -> None:
    gated.write("failing.py", "def fail(payload):\n    raise ValueError\n")
    gated.timings = replace(QUICK, keep=0.0, tidy=0.05)
    state = gated.build(bot("echo", "bots:echo"), bot("fail", "failing:fail", max_attempts=1))
    with open_queues(state) as queues:
        done, dead = gated.submit("echo", 1), gated.submit("fail", 1)
        until(lambda: queues.history.job(f"{done}-1") is None and not queues.history.remaining(dead))
        assert len(queues.history.dead_letters("fail", 9)) == 1


def test_the_children_of_a_bot_end_with_a_killed_runner(gated: Works, tmp_path: Path) -> None:
    gated.build(bot("family", "bots:family"))
    gated.submit("family", str(tmp_path / "child"))
    child = int(until(lambda: (tmp_path / "child").read_text().strip()))
    os.kill(gated.runner(), signal.SIGKILL)
    until(lambda: not lives(child))


@pytest.mark.slow
def test_sigterm_finishes_the_job_in_hand_and_takes_no_more(gated: Works, tmp_path: Path) -> None:
    state = gated.build(bot("hold", "bots:gated"))
    gate = tmp_path / "gate"
    run = gated.submit("hold", str(gate), str(gate))
    until(lambda: gate.with_name("gate.1").exists())
    os.kill(gated.runner(), signal.SIGTERM)
    until(lambda: read_status(state).gate == "ending")  # type: ignore[union-attr]
    gate.touch()
    until(lambda: runner_pid(state) is None)
    assert factory.find(gated.home, "works").state == "ended"
    assert factory.left(gated.home, "works") == factory.Left(1, 0)
    factory.resume(gated.home, "works", None, gated.said.append)
    assert [record.attempts for record in gated.wait(run)] == [1, 1]


def test_the_first_sigterm_is_warm_though_the_runner_is_ending_for_another_reason(gated: Works, tmp_path: Path) -> None:
    state = gated.build(bot("hold", "bots:gated"))
    gate = tmp_path / "gate"
    gated.submit("hold", str(gate))
    until(lambda: gate.with_name("gate.1").exists())
    ask(state, gate="closed", end="warm")
    until(lambda: read_status(state).gate == "ending")  # type: ignore[union-attr]
    os.kill(gated.runner(), signal.SIGTERM)
    until(lambda: "it is ending already" in (state.logs / "runner.log").read_text())
    gate.touch()
    until(lambda: runner_pid(state) is None)
    assert factory.left(gated.home, "works") == factory.Left(0, 0)


@pytest.mark.slow
def test_sigterm_twice_puts_the_job_back_uncounted(gated: Works, tmp_path: Path) -> None:
    state = gated.build(bot("hold", "bots:gated"))
    gate = tmp_path / "gate"
    run = gated.submit("hold", str(gate))
    until(lambda: gate.with_name("gate.1").exists())
    workers, runner = pids(gated), gated.runner()
    os.kill(runner, signal.SIGTERM)
    until(lambda: read_status(state).gate == "ending")  # type: ignore[union-attr]
    os.kill(runner, signal.SIGTERM)
    until(lambda: runner_pid(state) is None)
    assert not any(lives(pid) for pid in workers)
    gate.touch()
    factory.resume(gated.home, "works", None, gated.said.append)
    (record,) = gated.wait(run)
    assert (record.outcome, record.attempts, record.failures) == ("success", 1, ())


@pytest.mark.slow
def test_a_stopped_stage_keeps_jobs_and_workers_and_resume_goes_on(gated: Works, tmp_path: Path) -> None:
    gated.build(bot("hold", "bots:gated", to=["echo"]), bot("echo", "bots:echo"))
    gate = tmp_path / "gate"
    first = gated.submit("hold", str(gate))
    until(lambda: gate.with_name("gate.1").exists())
    before = pids(gated)
    stopping = threading.Thread(target=factory.stop, args=(gated.home, "works", None, gated.said.append))
    stopping.start()
    until(lambda: "finishing 1 job in hand" in gated.said)
    until(lambda: factory.find(gated.home, "works").state == "stopping")  # its runner may not have heard of it yet
    gate.touch()
    stopping.join()
    assert factory.find(gated.home, "works").state == "stopped"
    second = gated.submit("echo", 2)
    factory.resume(gated.home, "works", None, gated.said.append)
    assert len(gated.wait(first)) == 2
    assert gated.wait(second)[0].result == 2
    assert pids(gated) == before


def test_a_bot_that_starts_stopped_takes_jobs_once_resumed(gated: Works) -> None:
    gated.build(bot("echo", "bots:echo"), bot("held", "bots:echo", stop=True))
    run = gated.submit("held", 1)
    assert gated.run("echo", 0)[0].result == 0
    assert until(lambda: gated.worker("held").state == "stopped")
    with pytest.raises(FactoryError) as late:
        gated.wait(run, 0.1)
    assert late.value.exit_code == 3
    factory.resume(gated.home, "works", None, gated.said.append)
    assert gated.wait(run)[0].result == 1


def test_a_second_build_is_told(gated: Works) -> None:
    with changing(stage_folder(gated.home, "works", "test")), pytest.raises(FactoryError, match="another command"):
        gated.build(bot("echo", "bots:echo"))
    gated.build(bot("echo", "bots:echo"))
    with pytest.raises(FactoryError, match="built already and runs"):
        gated.build(bot("echo", "bots:echo"))
    os.kill(gated.runner(), signal.SIGKILL)
    until(lambda: runner_pid(gated.folder()) is None)
    with pytest.raises(FactoryError, match="its runner does not run"):
        gated.build(bot("echo", "bots:echo"))


@pytest.mark.slow
def test_what_a_killed_build_left_is_removed_by_the_next(gated: Works, tmp_path: Path) -> None:
    started, gate = tmp_path / "started", tmp_path / "gate"
    gated.write(
        "slow.py",
        f"""
        import time
        from pathlib import Path

        Path({str(started)!r}).touch()
        while not Path({str(gate)!r}).exists():
            time.sleep(0.001)

        def echo(payload):
            return payload
        """,
    )
    builder = os.fork()
    if builder == 0:
        try:
            gated.build(bot("echo", "slow:echo"))
        finally:
            os._exit(0)
    until(started.exists)
    assert until(lambda: factory.find(gated.home, "works").state == "building")
    worker = until(lambda: pids(gated))[0]
    os.kill(builder, signal.SIGKILL)
    os.waitpid(builder, 0)
    state = gated.folder()
    until(lambda: runner_pid(state) is None)
    until(lambda: not lives(worker))
    assert factory.find(gated.home, "works").state == "unfinished"
    gate.touch()
    gated.build(bot("echo", "slow:echo"))
    assert gated.run("echo", 1)[0].result == 1
    assert any("killed" in line for line in gated.said)


def test_demolish_asks_before_it_discards_jobs_and_a_no_lets_the_stage_go_on(gated: Works) -> None:
    state = gated.build(bot("echo", "bots:echo"), bot("held", "bots:echo", stop=True))
    gated.submit("held", 1, 2)
    asked: list[factory.Left] = []

    def refuse(left: factory.Left) -> bool:
        asked.append(left)
        return False

    assert not factory.demolish(gated.home, "works", None, gated.said.append, refuse).gone
    assert asked == [factory.Left(2, 0)]
    assert gated.run("echo", 3)[0].result == 3
    workers = pids(gated)
    assert factory.demolish(gated.home, "works", None, gated.said.append, lambda left: True).gone
    assert not state.path.exists()
    assert not state.change_lock.exists()
    assert not any(lives(pid) for pid in workers)
    assert factory.list_factories(gated.home) == []


def test_the_stage_of_a_killed_runner_can_be_demolished(gated: Works) -> None:
    gated.build(bot("echo", "bots:echo"))
    os.kill(gated.runner(), signal.SIGKILL)
    until(lambda: runner_pid(gated.folder()) is None)
    gated.demolish()
    assert factory.list_factories(gated.home) == []


@pytest.mark.slow
def test_two_stages_live_side_by_side_and_share_an_environment(gated: Works) -> None:
    gated.build(bot("echo", "bots:echo"), stage_name="one")
    gated.build(bot("echo", "bots:echo"), stage_name="two")
    assert len([path for path in (gated.home / "environments").iterdir() if path.is_dir()]) == 1
    with pytest.raises(FactoryError, match="several stages") as several:
        factory.find(gated.home, "works")
    assert several.value.exit_code == 2
    assert gated.wait(gated.submit("echo", 1, stage_name="two"), stage_name="two")[0].result == 1
    gated.demolish("one")
    assert [found.stage for found in factory.list_factories(gated.home)] == ["two"]


def test_the_runner_belongs_to_no_terminal_and_no_parent(gated: Works) -> None:
    gated.build(bot("echo", "bots:echo"))
    runner = gated.runner()
    assert os.getsid(runner) != os.getsid(0)
    parent = int(Path(f"/proc/{runner}/stat").read_text().rpartition(")")[2].split()[1])
    assert parent != os.getpid()


def test_what_bots_print_is_in_the_stream_with_label_and_job(gated: Works) -> None:
    gated.write("chatty.py", "def talk(job):\n    print('one', job.payload)\n    print('two')\n")
    gated.build(bot("talk", "chatty:talk"), bot("echo", "bots:echo"))
    run = gated.submit("talk", "ü")
    gated.wait(run)
    gated.run("echo", 1)
    lines = list(factory.logs(gated.home, "works", None, "talk"))
    assert [line.split(" ", 1)[1] for line in lines] == [
        f"here/talk.1 {run}-1 | one ü",
        f"here/talk.1 {run}-1 | two",
    ]
    assert (gated.folder().logs / "here.talk.1.log").read_text() == "one ü\ntwo\n"
    assert any("runner - | INFO runner" in line for line in factory.logs(gated.home, "works"))
    with pytest.raises(FactoryError, match="no bot nobody"):
        list(factory.logs(gated.home, "works", None, "nobody"))
