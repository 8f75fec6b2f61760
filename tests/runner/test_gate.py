"""The gate: how a runner opens, closes and ends, in every order in which it may be told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from fake_stage import GRACE, FakeStage, bots, turns
from fake_workers import in_hand

from factory_cdk.runner.slot import State

Test = Callable[..., Coroutine[Any, Any, None]]


def on_a_loop(test: Test) -> Callable[..., None]:
    """A test that runs on a loop, as the gate's tasks do; no timer of the loop is used."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


@pytest.fixture
def stage(tmp_path: Path) -> FakeStage:
    return FakeStage(tmp_path, *bots("make", "take", batch=2))


def states(stage: FakeStage) -> tuple[str, list[bool]]:
    """That of the gate, and whether each bot takes jobs."""
    return stage.gate.state, [pool.open for pool in stage.pools.at_work]


def end_all(stage: FakeStage) -> None:
    for process in stage.runner.alive:
        process.exit(0)


@on_a_loop
async def test_a_gate_is_closed_until_it_is_opened(stage: FakeStage) -> None:
    stage.start(open=False)
    assert states(stage) == ("closed", [False, False])
    assert not stage.gate.ending
    fetches = stage.runner.fetches
    stage.gate.open(keep_stopped=True)
    assert states(stage) == ("open", [True, True])
    assert stage.runner.fetches == fetches + 1
    assert not stage.gate.is_closing


@on_a_loop
async def test_a_bot_that_its_plan_stops_is_opened_by_a_resume_alone(tmp_path: Path) -> None:
    stage = FakeStage(tmp_path, *bots("make"), *bots("take", stop=True))
    stage.start()
    assert states(stage) == ("open", [True, False])
    stage.gate.open(keep_stopped=False)
    assert states(stage) == ("open", [True, True])


@on_a_loop
async def test_an_open_gate_starts_pools_that_have_no_worker_and_those_that_were_given_up(stage: FakeStage) -> None:
    stage.start(open=False)
    make, take = stage.pools.at_work
    stage.process_of(make).say(kind="leaving")
    stage.process_of(make).exit(0)
    stage.process_of(take).say(kind="held")
    take.broken = "crash loop"
    stage.gate.open(keep_stopped=True)
    assert make.slots[0].state is State.STARTING
    assert take.broken is None
    assert take.slots[0].held, "its bot holds it until a resume"
    stage.gate.open(keep_stopped=False)
    assert not take.slots[0].held


@on_a_loop
async def test_a_gate_closes_bot_after_bot_when_what_is_in_hand_is_done_and_settled(stage: FakeStage) -> None:
    stage.start()
    make, take = stage.hand("make", "a"), stage.hand("take", "b")
    stage.gate.close()
    await turns()
    assert (states(stage), stage.gate.is_closing) == (("closing", [False, True]), True)
    make.done()
    await turns()
    assert states(stage) == ("closing", [False, True]), "its result is not settled"
    stage.settle()
    await turns()
    assert states(stage) == ("closing", [False, False])
    published = len(stage.published)
    take.fail()
    stage.settle()
    await turns()
    assert (states(stage), stage.gate.is_closing) == (("closed", [False, False]), False)
    assert stage.published[published:] == ["closed"]
    assert [process.kinds[-1] for process in stage.runner.processes] == ["jobs", "jobs"], "workers live on"


@on_a_loop
async def test_a_gate_that_has_nothing_in_hand_closes_at_once(stage: FakeStage) -> None:
    stage.start()
    stage.gate.close()
    await turns()
    assert states(stage) == ("closed", [False, False])


@on_a_loop
async def test_a_job_of_a_worker_that_dies_is_waited_for_no_longer(stage: FakeStage) -> None:
    stage.start()
    process = stage.hand("make", "a", "b")
    stage.gate.close()
    await turns()
    process.exit(-9)
    stage.settle()
    await turns()
    assert stage.gate.state == "closed"
    assert stage.runner.released == ["b"]


@on_a_loop
async def test_a_gate_that_is_closing_or_closed_is_not_closed_again(stage: FakeStage) -> None:
    stage.gate.close()
    assert stage.gate.state == "closed"
    stage.start()
    process = stage.hand("make", "a")
    stage.gate.close()
    stage.gate.close()
    await turns()
    process.done()
    stage.settle()
    await turns()
    assert stage.gate.state == "closed"
    assert stage.published.count("closed") == 1


@pytest.mark.parametrize("begun", [True, False])
@on_a_loop
async def test_a_gate_that_is_closing_can_be_opened_again(stage: FakeStage, begun: bool) -> None:
    stage.start()
    process = stage.hand("make", "a")
    stage.gate.close()
    if begun:
        await turns()
    stage.gate.open(keep_stopped=True)
    assert (states(stage), stage.gate.is_closing) == (("open", [True, True]), False)
    await turns()
    process.done()
    stage.settle()
    await turns()
    assert states(stage) == ("open", [True, True])
    stage.gate.close()
    await turns()
    assert states(stage) == ("closed", [False, False])


@on_a_loop
async def test_a_gate_waits_for_pools_that_drain_too(stage: FakeStage) -> None:
    stage.start()
    old = stage.hand("make", "a")
    stage.change("make")
    stage.runner.process.ready()
    assert stage.pool("make").in_hand == []
    stage.gate.close()
    await turns()
    assert stage.gate.state == "closing"
    old.done()
    stage.settle()
    await turns()
    assert stage.gate.state == "closed"


@on_a_loop
async def test_a_runner_ends_warm_in_the_order_of_the_workflow(stage: FakeStage) -> None:
    stage.start()
    make, take = stage.hand("make", "a", "b"), stage.hand("take", "c")
    ended = asyncio.create_task(stage.gate.wait_until_ended())
    await turns()
    stage.gate.end(cold=False)
    await turns()
    assert (states(stage), stage.gate.ending) == (("ending", [False, True]), True)
    assert "stop" not in make.kinds + take.kinds
    make.done()
    make.done()
    stage.settle()
    await turns()
    assert states(stage) == ("ending", [False, False])
    assert "stop" not in make.kinds, "what it sent on may come back to it"
    take.done()
    stage.settle()
    await turns()
    assert (make.kinds[-1], take.kinds[-1]) == ("stop", "stop")
    assert stage.runner.clock.pending == [GRACE]
    make.exit(0)
    await turns()
    assert not ended.done()
    take.exit(0)
    await turns()
    assert ended.done()
    assert stage.runner.clock.pending == []
    assert stage.runner.logged == [("INFO", "ending warm: jobs in hand are finished")]


@on_a_loop
async def test_a_worker_that_does_not_end_in_its_grace_is_killed(stage: FakeStage) -> None:
    stage.start()
    stage.gate.end(cold=False)
    await turns()
    stage.runner.processes[0].exit(0)
    stage.runner.clock.advance(GRACE - 1)
    assert not stage.runner.processes[1].killed
    stage.runner.clock.advance(1)
    assert stage.runner.processes[1].killed
    stage.runner.processes[1].exit(-9)
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)


@on_a_loop
async def test_a_runner_that_ends_cold_kills_all_workers_and_their_jobs_go_back(stage: FakeStage) -> None:
    stage.start()
    stage.hand("make", "a", "b")
    stage.gate.end(cold=True)
    assert all(process.killed for process in stage.runner.processes)
    assert states(stage) == ("ending", [False, False])
    end_all(stage)
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)
    assert (sorted(stage.runner.released), stage.runner.settled) == (["a", "b"], [])
    assert stage.runner.logged == [("INFO", "ending cold: jobs in hand go back")]


@on_a_loop
async def test_a_runner_that_ends_warm_can_be_told_to_end_cold(stage: FakeStage) -> None:
    stage.start()
    stage.hand("make", "a")
    stage.gate.end(cold=False)
    await turns()
    stage.gate.end(cold=True)
    assert all(process.killed for process in stage.runner.processes)
    end_all(stage)
    await turns()
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)
    assert stage.runner.released == ["a"]


@pytest.mark.parametrize("cold", [True, False])
@on_a_loop
async def test_a_runner_that_ends_cold_stays_cold_and_ends_once(stage: FakeStage, cold: bool) -> None:
    stage.start()
    stage.hand("make", "a")
    stage.gate.end(cold=True)
    stage.gate.end(cold=cold)
    assert len(stage.tasks) == 1
    end_all(stage)
    await turns()
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)
    assert stage.runner.released == ["a"]


@on_a_loop
async def test_a_gate_that_is_closing_ends(stage: FakeStage) -> None:
    stage.start()
    process = stage.hand("make", "a")
    stage.gate.close()
    await turns()
    stage.gate.end(cold=False)
    await turns()
    assert stage.gate.state == "ending"
    process.done()
    stage.settle()
    await turns()
    end_all(stage)
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)
    assert "closed" not in stage.published


@on_a_loop
async def test_a_runner_that_ends_is_neither_opened_nor_closed(stage: FakeStage) -> None:
    stage.start()
    stage.gate.end(cold=False)
    stage.gate.open(keep_stopped=False)
    stage.gate.close()
    await turns()
    assert states(stage) == ("ending", [False, False])


@on_a_loop
async def test_a_worker_that_waits_to_be_restarted_is_not_started_in_a_runner_that_ends(stage: FakeStage) -> None:
    stage.start()
    stage.runner.processes[0].exit(1)
    stage.gate.end(cold=False)
    await turns()
    stage.runner.processes[1].exit(0)
    stage.runner.clock.advance(GRACE)
    assert len(stage.runner.processes) == 2
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)


@on_a_loop
async def test_the_first_signal_ends_warm_and_the_second_cold(stage: FakeStage) -> None:
    stage.start()
    process = stage.hand("make", "a")
    stage.gate.on_signal()
    await turns()
    assert (stage.gate.state, process.killed) == ("ending", False)
    stage.gate.on_signal()
    assert process.killed


@on_a_loop
async def test_the_first_signal_to_a_runner_that_is_ending_already_is_not_the_second(stage: FakeStage) -> None:
    stage.start()
    process = stage.hand("make", "a")
    stage.gate.end(cold=False)
    stage.gate.on_signal()
    assert not process.killed
    assert stage.runner.logged[-1] == ("INFO", "a signal: it is ending already; another ends it cold")
    stage.gate.on_signal()
    assert process.killed


@pytest.mark.parametrize("cold", [True, False])
@on_a_loop
async def test_an_update_that_is_being_made_ends_with_its_runner(stage: FakeStage, cold: bool) -> None:
    stage.start()
    stage.change("make")
    new = stage.runner.process
    stage.gate.end(cold=cold)
    assert new.killed
    assert stage.pools.update_status is not None
    assert (stage.pools.update_status.outcome, stage.pools.update_status.reason) == ("failed", "the runner is ending")
    end_all(stage)
    await turns()
    await asyncio.wait_for(stage.gate.wait_until_ended(), 60)


@on_a_loop
async def test_an_update_that_is_ready_while_the_gate_is_closing_is_completed_once_it_is_closed(
    stage: FakeStage,
) -> None:
    stage.start()
    process = stage.hand("make", "a")
    stage.gate.close()
    await turns()
    old = stage.pool("make")
    stage.change("make")
    stage.runner.process.ready()
    assert stage.pool("make") is old
    process.done()
    stage.settle()
    await turns()
    assert stage.gate.state == "closed"
    assert stage.pool("make") is not old
    assert in_hand(stage.pool("make")) == []
    assert not stage.pool("make").open
    stage.gate.open(keep_stopped=True)
    assert stage.pool("make").free > 0


@on_a_loop
async def test_an_update_that_is_ready_while_the_gate_is_closing_is_completed_when_it_is_opened_again(
    stage: FakeStage,
) -> None:
    stage.start()
    stage.hand("make", "a")
    stage.gate.close()
    await turns()
    old = stage.pool("make")
    stage.change("make")
    stage.runner.process.ready()
    stage.gate.open(keep_stopped=True)
    assert stage.pool("make") is not old
    assert stage.pool("make").open
    assert in_hand(old) == ["a"]
