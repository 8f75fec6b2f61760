"""Futures of jobs at the edges: other processes, other loops, the end of the program, the end of the factory."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from patience import PATIENCE

import factory_cdk
from factory_cdk import Factory, FactoryError, JobFailed, PlanError
from factory_cdk.state.stages import find

LEAVES = """
import sys
from factory_cdk import Factory

future = Factory("factory-plan.yml", "test").submit("hold", sys.argv[1])
print(future.job, future.done())
"""

FORKS = """
import os, sys
from factory_cdk import Factory, FactoryError

factory = Factory("factory-plan.yml", "test")
assert factory.submit("odd", 1).result(180) == 1
pending = factory.submit("hold", sys.argv[1])
if os.fork() == 0:
    try:
        pending.result(180)
    except FactoryError as error:
        print(error.message)
    print(factory.submit("odd", 3).result(180), flush=True)
    os._exit(0)
os.wait()
for _ in range(30):  # each while what was submitted last is followed
    factory.submit("odd", 5)
    if os.fork() == 0:
        factory.submit("odd", 7).result(180)
        os._exit(0)
    os.wait()
open(sys.argv[1], "w").close()
print(pending.result(180))
"""


@pytest.fixture
def built(plan: Path) -> Factory:
    factory = Factory(plan, "test")
    factory.build()
    return factory


def script(plan: Path, text: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        cwd=plan.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
def test_a_program_may_end_before_its_jobs_do(built: Factory, plan: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job, done = script(plan, LEAVES, str(gate)).split()
    assert done == "False"
    gate.touch()
    built.submit("hold", str(gate)).result(PATIENCE)  # the one worker has done the other job before
    shown = subprocess.run(
        [sys.executable, "-m", "factory_cdk", "jobs", "show", "--name", "from-python", job],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "success" in shown.stdout


@pytest.mark.slow
def test_a_fork_submits_anew_and_is_told_what_it_cannot_wait_for(built: Factory, plan: Path, tmp_path: Path) -> None:
    told, odd, held = script(plan, FORKS, str(tmp_path / "gate")).splitlines()
    assert "of which this is a fork" in told
    assert (odd, held) == ("3", "None")


@pytest.mark.slow
def test_two_objects_for_one_stage_do_not_mix_up_their_jobs(built: Factory, plan: Path) -> None:
    other = Factory(plan)
    mine, theirs = built.map("odd", range(1, 41, 2)), other.map("odd", range(101, 141, 2), stage="test")
    assert [future.result(PATIENCE) for future in mine] == list(range(1, 41, 2))
    assert [future.result(PATIENCE) for future in theirs] == list(range(101, 141, 2))


@pytest.mark.slow
def test_jobs_can_be_awaited(built: Factory) -> None:
    async def work() -> list[object]:
        futures = [asyncio.wrap_future(future) for future in built.map("odd", [1, 2, 3])]
        return await asyncio.gather(*futures, return_exceptions=True)

    first, failed, third = asyncio.run(work())
    assert (first, third) == (1, 3)
    assert isinstance(failed, JobFailed)


def test_an_awaited_job_can_be_cancelled(built: Factory, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def work() -> bool:
        in_hand, waiting = built.map("hold", [str(gate), str(gate)])
        awaited = asyncio.wrap_future(waiting)
        awaited.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaited
        await asyncio.sleep(0)  # the loop passes it on in its next turn
        gate.touch()
        await asyncio.wrap_future(in_hand)
        return waiting.cancelled()

    assert asyncio.run(work())


def test_the_failure_of_a_bot_is_shown_with_its_traceback_and_can_be_sent_to_another_process(built: Factory) -> None:
    error = built.submit("odd", 2).exception(PATIENCE)
    assert isinstance(error, JobFailed)
    shown = "".join(traceback.format_exception(error))
    assert 'raise ValueError(f"{number} is even")' in shown
    assert "help: factory-cdk jobs show" in shown
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (sent.job, sent.type, sent.message) == (error.job, error.type, error.message)


def test_a_refused_plan_can_be_sent_to_another_process(plan: Path) -> None:
    plan.write_text("factory: {}\n")
    with pytest.raises(PlanError) as refused:
        Factory(plan).validate()
    sent = pickle.loads(pickle.dumps(refused.value))  # noqa: S301 - our own
    assert sent.diagnostics == refused.value.diagnostics


def test_futures_of_a_factory_that_is_gone_end(built: Factory, plan: Path, tmp_path: Path) -> None:
    in_hand, waiting = built.map("hold", [str(tmp_path / "gate")] * 2)
    done = built.submit("odd", 1)
    done.result(PATIENCE)
    state = in_hand._stage_folder
    runner = find(tmp_path / "home", "from-python", "test").pid
    assert runner
    os.kill(runner, signal.SIGKILL)
    built.demolish(discard=True)
    for future in (in_hand, waiting):
        assert isinstance(future.exception(PATIENCE), FactoryError)
        assert not future.cancel()
    assert not done.cancel()
    assert not state.path.exists(), "asking about a job makes no queues anew"


def test_everything_that_is_public_can_be_found() -> None:
    assert set(factory_cdk.__all__) <= set(dir(factory_cdk))
    assert all(getattr(factory_cdk, name) for name in factory_cdk.__all__)
