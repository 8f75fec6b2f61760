"""A rolling update, step by step: when new pools replace the old ones, when they do not, and what becomes of either."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_stage import GRACE, FakeStage, bots, spec_of
from fake_workers import ERROR, hand

from factory_cdk.runner.rolling_update import ENDING
from factory_cdk.runner.slot import State
from factory_cdk.state.files import read_json
from factory_cdk.state.requests import ask_for_spec
from factory_cdk.state.runner_spec import spec_from_json
from factory_cdk.state.status import UpdateStatus


@pytest.fixture
def stage(tmp_path: Path) -> FakeStage:
    stage = FakeStage(tmp_path, *bots("make", "take", batch=3))
    stage.start(open=False)
    for pool in stage.pools.at_work:
        pool.open = True
    return stage


def targets(stage: FakeStage) -> list[str]:
    return [pool.pool_spec.start.words[0] for pool in stage.pools.at_work]


def test_the_pools_of_the_bots_that_changed_are_replaced_once_they_are_ready(stage: FakeStage) -> None:
    old, other = stage.pools.at_work
    request = stage.change("make")
    assert stage.pools.update_status == UpdateStatus(request, "starting")
    assert len(stage.runner.processes) == 3, "the other bot did not change"
    assert stage.pools.at_work == [old, other]
    assert [pool.pool_spec.bot for pool in stage.pools.all_pools] == ["make", "take", "make"]
    fetches = stage.runner.fetches
    stage.runner.process.ready()
    assert targets(stage) == ["maker:other", "maker:work"]
    assert stage.pools.update_status == UpdateStatus(request, "done", in_hand=0)
    assert (stage.pool("make").open, old.open, stage.pool("take")) == (True, False, other)
    assert stage.process_of(old).kinds == ["start", "stop"]
    assert stage.runner.fetches > fetches + 1
    stage.process_of(old).exit(0)
    assert stage.pools.all_pools == stage.pools.at_work
    assert spec_from_json(read_json(stage.folder.spec)).pool_specs[0].start.words == ("maker:other",)
    assert stage.runner.logged == [
        ("INFO", "rolling update: starting the new workers"),
        ("INFO", "rolling update: the new workers took over; jobs in hand of those before: 0"),
    ]


def test_an_update_of_several_pools_waits_for_the_last_worker_of_all(stage: FakeStage) -> None:
    old = stage.pools.at_work
    stage.ask(*bots("make", "take", processes=2))
    *_, first, second, third, last = stage.runner.processes
    for process in (last, first, third):
        process.ready()
        assert stage.pools.at_work == old
    second.ready()
    assert [len(pool.slots) for pool in stage.pools.at_work] == [2, 2]


def test_an_update_that_changes_nothing_is_done_at_once(stage: FakeStage) -> None:
    old = stage.pools.at_work
    request = stage.change()
    assert stage.pools.update_status == UpdateStatus(request, "done")
    assert stage.pools.at_work == old
    assert len(stage.runner.processes) == 2


def test_nothing_happens_when_nothing_was_asked_for(stage: FakeStage) -> None:
    stage.pools.fetch()
    assert (stage.pools.update_status, stage.runner.logged) == (None, [])


def test_pools_are_in_the_order_of_the_new_spec(stage: FakeStage) -> None:
    make, take = stage.pools.at_work
    stage.ask(*reversed(stage.spec.pool_specs))
    assert stage.pools.at_work == [take, make]


def test_what_is_in_hand_is_done_by_the_old_workers_and_what_they_have_not_begun_by_the_new(stage: FakeStage) -> None:
    old = stage.pool("make")
    process = stage.hand("make", "a", "b", "c")
    request = stage.change("make")
    stage.runner.process.ready()
    assert stage.runner.released == ["b", "c"]
    assert stage.pools.update_status == UpdateStatus(request, "done", in_hand=1)
    assert stage.pools.in_order() == [[stage.pool("make"), old], [stage.pool("take")]]
    process.done()
    assert [settled.lease.job.id for settled in stage.runner.settled] == ["a"]
    process.exit(0)
    assert stage.pools.all_pools == stage.pools.at_work
    assert [slot.done for slot in stage.pool("make").slots] == [1]


def test_the_counts_of_the_old_workers_go_on(stage: FakeStage) -> None:
    hand(stage.pool("make"), "a")
    stage.runner.processes[0].done()
    hand(stage.pool("make"), "b")
    stage.change("make")
    new = stage.runner.process
    new.ready()
    hand(stage.pool("make"), "c")
    new.done()
    assert [slot.done for slot in stage.pool("make").slots] == [2]
    stage.runner.processes[0].fail()
    stage.runner.processes[0].exit(0)
    assert [(slot.done, slot.failed) for slot in stage.pool("make").slots] == [(2, 1)]


def test_an_old_worker_that_has_nothing_in_hand_and_does_not_end_is_killed_after_its_grace(stage: FakeStage) -> None:
    process = stage.hand("make", "a")
    stage.change("make")
    stage.runner.process.ready()
    stage.runner.clock.advance(10 * GRACE)
    assert not process.killed, "it has a job"
    process.done()
    stage.runner.clock.advance(GRACE - 1)
    assert not process.killed
    stage.runner.clock.advance(1)
    assert process.killed
    process.exit(-9)
    assert stage.pools.all_pools == stage.pools.at_work


def test_an_old_worker_that_ends_in_its_grace_is_not_killed(stage: FakeStage) -> None:
    old = stage.runner.processes[0]
    stage.change("make")
    stage.runner.process.ready()
    assert stage.runner.clock.pending == [GRACE]
    old.exit(0)
    assert (stage.runner.clock.pending, old.killed) == ([], False)


@pytest.mark.parametrize("how", ["broken", "exit", "no process"])
def test_an_update_whose_worker_cannot_be_made_ready_changes_nothing(stage: FakeStage, how: str) -> None:
    old = stage.pools.at_work
    if how == "no process":
        stage.runner.refuses = OSError("no more processes")
    request = stage.ask(*bots("make", "take", processes=2))
    new = stage.runner.processes[2:]
    if how != "no process":
        new[0].ready()
        new[2].print("so far\n")
        if how == "broken":
            new[2].say(kind="broken", error={**ERROR, "traceback": ""})
        new[2].exit(1)
    assert stage.pools.at_work == old
    reason = {
        "broken": "bot take of here cannot be loaded: ValueError: no",
        "exit": "bot take of here the worker exited with 1 before it was ready",
        "no process": "bot make of here cannot be loaded: WorkerNotStarted: no more processes",
    }[how]
    log = "" if how == "no process" else "so far"
    assert stage.pools.update_status == UpdateStatus(request, "failed", reason, log)
    assert ("ERROR", f"rolling update failed: {reason}") in stage.runner.logged
    assert stage.runner.failures == [], "it is the update's, and no other"
    assert [process.killed for process in new] == ([] if how == "no process" else [True, True, False, True])
    for process in new:
        if not process.ended:
            process.exit(-9)
    assert stage.pools.all_pools == old
    assert stage.runner.clock.pending == []
    assert [process.kinds for process in stage.runner.alive] == [["start"], ["start"]], "they have noticed nothing"
    assert stage.folder.spec.exists() is False


def test_a_reason_of_several_lines_is_logged_in_one(stage: FakeStage) -> None:
    stage.change("make")
    stage.runner.process.say(kind="broken", error=ERROR)
    stage.runner.process.exit(1)
    assert stage.runner.logged[-1] == (
        "ERROR",
        "rolling update failed: bot make of here cannot be loaded: ValueError: no",
    )
    assert stage.pools.update_status is not None
    assert stage.pools.update_status.reason.endswith("line 1")


def test_a_worker_that_dies_after_it_replaced_another_is_restarted_as_any(stage: FakeStage) -> None:
    stage.change("make")
    stage.runner.process.ready()
    stage.runner.process.exit(1)
    stage.runner.clock.advance(0)
    stage.runner.process.exit(1)
    assert [failure.bot for failure in stage.runner.failures] == ["make"]
    assert stage.pool("make").slots[0].state is State.WAITING
    assert stage.pools.update_status is not None
    assert stage.pools.update_status.outcome == "done"


def test_a_new_worker_that_dies_once_it_was_ready_is_waited_for_again(stage: FakeStage) -> None:
    old = stage.pools.at_work
    stage.ask(*bots("make", "take", processes=2))
    first, *others = stage.runner.processes[2:]
    first.ready()
    first.exit(-9)
    for process in others:
        process.ready()
    assert stage.pools.at_work == old
    stage.runner.clock.advance(0)
    stage.runner.process.ready()
    assert stage.pools.at_work != old


def test_an_update_that_another_supersedes_is_ended(stage: FakeStage) -> None:
    first = stage.change("make")
    loading = stage.runner.process
    second = stage.ask(*bots("make", "take", target="maker:third"))
    assert loading.killed
    assert stage.pools.update_status == UpdateStatus(second, "starting")
    assert ("ERROR", "rolling update failed: another update was requested meanwhile") in stage.runner.logged
    loading.ready()  # it had said so before it was killed
    assert targets(stage) == ["maker:work", "maker:work"]
    loading.exit(-9)
    for process in stage.runner.processes[-2:]:
        process.ready()
    assert targets(stage) == ["maker:third", "maker:third"]
    assert first != second


def test_an_update_is_refused_while_the_runner_ends(stage: FakeStage) -> None:
    request = ask_for_spec(stage.folder, spec_of(*bots("make", "take", processes=2)))
    stage.pools.fetch(refused=ENDING)
    assert stage.pools.update_status == UpdateStatus(request, "failed", ENDING)
    assert len(stage.runner.processes) == 2


def test_an_update_that_would_leave_jobs_behind_is_refused(stage: FakeStage) -> None:
    request = stage.ask(*bots("make"))
    assert stage.pools.update_status == UpdateStatus(request, "failed", "here/take is gone")


def test_an_update_that_cannot_be_read_is_said(stage: FakeStage) -> None:
    stage.folder.next_spec.write_text("{")
    stage.pools.fetch()
    ((level, said),) = stage.runner.logged
    assert level == "WARNING"
    assert said.endswith("; the workers stay as they are")
    assert stage.pools.update_status is None


def test_an_update_that_cannot_be_kept_for_a_restart_is_not_completed(stage: FakeStage) -> None:
    stage.folder.spec.mkdir()  # nothing can be written in its place
    old = stage.pools.at_work
    stage.change("make")
    stage.runner.process.ready()
    assert stage.pools.at_work == old
    assert stage.pools.update_status is not None
    assert stage.pools.update_status.outcome == "failed"
    assert stage.runner.process.killed


@pytest.mark.parametrize("content", ["sound", "unsound"])
def test_an_update_that_the_runner_before_did_not_begin_is_dropped(tmp_path: Path, content: str) -> None:
    stage = FakeStage(tmp_path, *bots("make"))
    if content == "sound":
        ask_for_spec(stage.folder, spec_of(*bots("make", processes=2)))
    else:
        stage.folder.next_spec.write_text("{")
    stage.start()
    assert len(stage.runner.processes) == 1
    ((level, said),) = stage.runner.logged
    assert level == "WARNING"
    assert content == "unsound" or said == "the update that was requested last was not begun: request it again"
    stage.pools.fetch()
    assert stage.pools.update_status is None


def test_the_lease_of_a_stage_is_the_shortest_of_its_pools(tmp_path: Path) -> None:
    stage = FakeStage(tmp_path, *bots("make", visibility_timeout=4), *bots("take", visibility_timeout=3))
    assert stage.pools.lease == 3
    stage.start()
    stage.ask(*bots("make", visibility_timeout=2), *bots("take", visibility_timeout=3))
    stage.runner.process.ready()
    assert stage.pools.lease == 2
    (tmp_path / "other").mkdir()
    assert FakeStage(tmp_path / "other").pools.lease == 5.0, "a stage without pools has the runner's longest"
