"""Stopping and demolishing: who waits is told for what, can stop waiting, and knows how things are left."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from local_works import Works, bot, lives, until
from patience import PATIENCE
from shell import Shell

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.requests import read_request

HOLD = """
import time
from pathlib import Path

def hold(gate):
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.001)
    return "held"
"""


@pytest.fixture
def gate(works: Works, tmp_path: Path) -> Path:
    """A stage whose one bot has a job in hand until this file exists."""
    works.write("holding.py", HOLD)
    works.build(bot("hold", "holding:hold"))
    return tmp_path / "gate"


def in_hand(works: Works, gate: Path) -> str:
    """The run of a job that has been begun."""
    run = works.submit("hold", str(gate))
    until(gate.with_name("gate.begun").exists)
    return run


def demolish(works: Works, agree: Callable[[factory.Left], bool] = lambda left: True, **how: Any) -> bool:
    return factory.demolish(works.home, "works", None, works.said.append, agree, **how).gone


def test_who_waits_is_told_after_a_moment_which_job_of_which_bot_is_waited_for(works: Works, gate: Path) -> None:
    run = in_hand(works, gate)
    stopping = threading.Thread(target=factory.stop, args=(works.home, "works", None, works.said.append))
    stopping.start()
    (line,) = until(lambda: [line for line in works.said if line.startswith("waiting for")])
    gate.touch()
    stopping.join()
    (record,) = works.wait(run)
    assert f"bot hold, job {record.job.id}, begun 20" in line


def stopped_by(works: Works, said: list[str]) -> threading.Thread:
    """A thread that stops the stage and notes how that ended; its request is written down when this returns."""

    def stop() -> None:
        try:
            factory.stop(works.home, "works", None, works.said.append)
            said.append("stopped")
        except FactoryError as error:
            said.append(error.message)

    before = read_request(works.folder()).request
    thread = threading.Thread(target=stop)
    thread.start()
    until(lambda: read_request(works.folder()).request != before)
    return thread


def test_two_who_stop_a_stage_at_once_both_come_to_an_end(works: Works, gate: Path) -> None:
    in_hand(works, gate)
    said: list[str] = []
    threads = [stopped_by(works, said), stopped_by(works, said)]
    gate.touch()
    for thread in threads:
        thread.join(PATIENCE)
    assert said == ["stopped", "stopped"]


def test_who_stops_a_stage_is_told_when_another_command_lets_it_go_on(works: Works, gate: Path) -> None:
    run = in_hand(works, gate)
    said: list[str] = []
    thread = stopped_by(works, said)
    factory.resume(works.home, "works", None, works.said.append)
    thread.join(PATIENCE)
    assert len(said) == 1 and "another command let it go on meanwhile" in said[0]
    gate.touch()
    assert works.wait(run)[0].result == "held"


@pytest.mark.slow
def test_many_who_write_a_file_at_once_never_leave_half_of_one(tmp_path: Path) -> None:
    file = tmp_path / "request.json"

    def write(number: int) -> None:
        for _ in range(300):
            write_json(file, {"number": number, "text": "x" * 5000 * number}, durable=False)

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(1, 5)]
        while not all(writer.done() for writer in writers):
            read = read_json(file)
            assert read is None or len(read["text"]) == 5000 * read["number"]
        for writer in writers:
            writer.result()
    assert [one.name for one in tmp_path.iterdir()] == ["request.json"]


def test_a_stop_that_takes_too_long_goes_on_and_a_cold_one_puts_the_job_back(works: Works, gate: Path) -> None:
    run = in_hand(works, gate)
    with pytest.raises(FactoryError, match=r"still busy after 0.1 s: bot hold, job") as refused:
        factory.stop(works.home, "works", None, works.said.append, timeout=0.1)
    assert refused.value.exit_code == 3
    until(lambda: factory.find(works.home, "works").state == "stopping")  # its runner may not have heard of it yet
    worker = works.worker("hold").pid
    assert not factory.stop(works.home, "works", None, works.said.append, cold=True).runner
    assert factory.find(works.home, "works").state == "ended"
    assert worker
    assert not lives(worker)
    gate.touch()
    factory.resume(works.home, "works", None, works.said.append)
    (record,) = works.wait(run)
    assert (record.result, record.attempts) == ("held", 1)


def test_a_demolition_that_takes_too_long_lets_the_stage_go_on(works: Works, gate: Path) -> None:
    run = in_hand(works, gate)
    with pytest.raises(FactoryError, match="still busy"):
        demolish(works, timeout=0.1)
    assert works.said[-1] == "works/test is not demolished; it goes on"
    gate.touch()
    assert works.wait(run)[0].result == "held"
    assert works.run("hold", str(gate))[0].result == "held"


def test_a_cold_demolition_waits_for_no_job(works: Works, gate: Path) -> None:
    in_hand(works, gate)
    found = factory.find(works.home, "works")
    left: list[factory.Left] = []
    assert demolish(works, cold=True, agree=lambda one: not left.append(one))
    assert left == [factory.Left(1, 0)]
    assert not found.folder.path.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "says", "state"),
    [
        (("stop",), "goes on stopping: jobs in hand are finished", "stopping"),
        (("demolish", "--yes"), "is not demolished; it goes on", "running"),
    ],
)
def test_ctrl_c_ends_the_waiting_and_says_how_things_are_left(
    shell: Shell, tmp_path: Path, command: tuple[str, ...], says: str, state: str
) -> None:
    shell.build("other")
    gate = tmp_path / "gate"
    shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", json.dumps(str(gate)))
    until(gate.with_name("gate.begun").exists)
    waiting = shell.start(command[0], "--name", "journey", *command[1:])
    assert waiting.stderr
    said = [waiting.stderr.readline()]
    while "finishing 1 job" not in said[-1] and said[-1]:
        said.append(waiting.stderr.readline())
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 130
    assert says in err
    assert "Traceback" not in err
    assert until(lambda: json.loads(shell.run("list", "--format", "json")[0])[0]["state"] == state)
    gate.touch()
    listed = ("jobs", "list", "--name", "journey", "--format", "json")
    until(lambda: json.loads(shell.run(*listed)[0])[0]["state"] == "success")
