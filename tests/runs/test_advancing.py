"""What follows from what, case by case."""

from __future__ import annotations

import pytest
from playing import Played, failing, step

from factory_cdk.runs.events import Cancel
from factory_cdk.runs.graph import Graph, OnFailure, Recovery, Replay, downstream
from factory_cdk.runs.state import Key, Pools, RunState, Status


def test_a_chain_runs_in_its_order() -> None:
    played = Played(step("c", "b"), step("a"), step("b", "a")).play()
    assert played.order == ["a 1", "b 1", "c 1"]
    assert played.run.state is RunState.SUCCEEDED


def test_a_skip_says_what_it_comes_from() -> None:
    played = Played(step("a"), step("b", "a.failed"), step("c", "b and a"), step("d", "c.skipped")).play()
    assert played.order == ["a 1", "d 1"]
    assert played.reason("b") == "it needs `a.failed`, and `a` succeeded"
    assert played.reason("c") == "it needs `b`, and `b` was skipped"


def test_ready_and_active_hold_once_they_were_reached() -> None:
    played = Played(step("a"), step("b", "a.active"), step("c", "a.ready and b"), max_concurrent=1)
    played.begin()
    assert played.order == ["a 1"]
    played.end_all()
    assert played.order == ["a 1", "b 1", "c 1"]


def test_a_failure_stops_what_has_not_started_and_lets_finish_what_runs() -> None:
    played = Played(step("a"), step("b"), step("c", "b"))
    played.begin()
    a, b = played.in_hand
    played.end(a, "no")
    assert played.status("c") is Status.SKIPPED
    assert played.run.state is RunState.RUNNING
    played.end(b)
    assert played.run.state is RunState.FAILED
    assert played.reason("c") == "the run stopped after `a` failed"


def test_a_step_may_say_that_its_failure_stops_nothing() -> None:
    played = Played(step("a", on_failure=OnFailure.CONTINUE), step("b"), step("c", "b")).play(failing("a"))
    assert played.order == ["a 1", "b 1", "c 1"]
    assert played.run.state is RunState.FAILED


def test_a_failure_that_a_step_waits_for_is_handled() -> None:
    played = Played(step("a"), step("b"), step("alert", "a.failed or b.failed"), step("c", "b")).play(failing("a"))
    assert set(played.order) == {"a 1", "b 1", "alert 1", "c 1"}
    assert played.run.state is RunState.SUCCEEDED


def test_what_waits_for_the_end_of_a_step_starts_after_its_failure_and_does_not_handle_it() -> None:
    played = Played(step("a"), step("tidy", "a.completed"), step("b", "tidy")).play(failing("a"))
    assert played.order == ["a 1", "tidy 1"]
    assert played.run.state is RunState.FAILED


def test_items_run_side_by_side_up_to_their_limit() -> None:
    played = Played(step("a", items=3, max_parallel=2), step("b", "a"))
    played.begin()
    assert played.order == ["a 1.1", "a 1.2"]
    played.end_all()
    assert played.order == ["a 1.1", "a 1.2", "a 1.3", "b 1"]


def test_no_items_are_a_success() -> None:
    assert Played(step("a", items=0), step("b", "a")).play().order == ["b 1"]


def test_items_that_a_failure_kept_from_starting_are_skipped_in_sight() -> None:
    played = Played(step("a", items=3, max_parallel=1)).play(failing("a 1.2"))
    assert (played.status("a", "1.3"), played.reason("a", "1.3")) == (Status.SKIPPED, "1 of its 3 items failed")


def test_iterations_end_with_the_first_that_fails() -> None:
    played = Played(step("a", repeat=3)).play(failing("a 1.2"))
    assert played.order == ["a 1.1", "a 1.2"]
    assert played.run.state is RunState.FAILED


def test_a_delay_begins_when_the_condition_holds() -> None:
    played = Played(step("a"), step("b", "a", delay=10.0))
    played.begin()
    played.pass_time(5)
    played.end_all()
    assert played.pass_time(9) == []
    assert [start.key.path for start in played.pass_time(1)] == ["b"]


def test_pools_are_taken_all_or_nothing_first_come_first_served() -> None:
    played = Played(
        step("a", acquire=(("p", 1),)),
        step("b", acquire=(("p", 2), ("q", 1))),
        step("c", acquire=(("p", 1),)),
        step("d", acquire=(("q", 1),)),
        step("e"),
        pools=Pools({"p": 2, "q": 1}),
    )
    played.begin()
    assert played.order == ["a 1", "e 1"]  # c and d came after b, which waits for both
    played.end_all()
    assert played.order == ["a 1", "e 1", "b 1", "c 1", "d 1"]


def test_another_run_that_has_waited_for_longer_goes_first() -> None:
    played = Played(step("a", acquire=(("p", 1),)))
    played.now, played.pools = 10.0, Pools({"p": 1}, since={"p": 5.0})
    assert played.begin() == []
    assert played.run.waits == {"p": 10.0}
    played.pools = Pools({"p": 1}, since={"p": 11.0})
    assert len(played.pass_time(1)) == 1


def test_what_is_not_released_is_kept_until_the_run_ends() -> None:
    played = Played(step("a", acquire=(("p", 1),), release=()), step("b", "a"), pools=Pools({"p": 2}))
    played.begin()
    played.end(played.in_hand[0])
    assert played.run.held == {"p": 1}
    played.end_all()
    assert played.run.held == {}


def test_a_step_that_could_never_start_fails_with_its_reason() -> None:
    played = Played(
        step("a", acquire=(("p", 1),), release=()),
        step("b", "a", acquire=(("p", 2),)),
        pools=Pools({"p": 2}),
    ).play()
    assert played.run.state is RunState.FAILED
    assert played.reason("b") == "it acquires 2 of the pool `p`, which has 2; the run itself keeps 1 of them"


def test_containers_that_wait_for_each_others_pools_fail_instead_of_waiting_for_ever() -> None:
    played = Played(
        step("x", steps=(step("x1", acquire=(("q", 1),)),), acquire=(("p", 1),)),
        step("y", steps=(step("y1", acquire=(("p", 1),)),), acquire=(("q", 1),)),
        pools=Pools({"p": 1, "q": 1}),
    ).play()
    assert played.run.state is RunState.FAILED


def test_a_container_fails_with_a_step_in_it_and_its_iterations_end() -> None:
    inside = (step("b"), step("c", "b"))
    played = Played(step("a", steps=inside, repeat=2), step("d", "a.failed")).play(failing("a/c 1.1"))
    assert played.order == ["a/b 1.1", "a/c 1.1", "d 1"]
    assert played.run.state is RunState.SUCCEEDED
    assert played.reason("a", "1.1") == "`a/c` failed"


def test_a_failure_in_a_container_stops_what_is_around_it_at_once() -> None:
    played = Played(step("a", steps=(step("b"), step("c"))), step("d"), step("e", "d"))
    played.begin()
    b, c, d = played.in_hand
    played.end(b, "no")
    played.end(d)
    assert played.status("e") is Status.SKIPPED
    played.end(c)
    assert played.run.state is RunState.FAILED


def test_a_cancelled_run_wants_nothing_that_is_in_hand() -> None:
    played = Played(step("a"), step("b", "a"))
    played.begin()
    (a,) = played.in_hand
    played.happen(Cancel(0))
    assert [one.key for one in played.withdrawn] == [a.key]
    assert (played.status("a"), played.status("b")) == (Status.FAILED, Status.SKIPPED)
    assert played.run.state is RunState.CANCELLED


@pytest.mark.parametrize(("replay", "again"), [(Replay.RERUN, ["a 1", "b 1"]), (Replay.SKIP, ["b 1"])])
def test_a_step_says_what_a_recovery_does_with_its_success(replay: Replay, again: list[str]) -> None:
    played = Played(step("a", recovery=Recovery(succeeded=replay)), step("b", "a")).play(failing("b"))
    before = len(played.order)
    played.recover()
    played.end_all()
    assert played.order[before:] == again
    assert (played.run.state, played.run.recovery) == (RunState.SUCCEEDED, 1)


def test_a_recovery_from_a_step_starts_it_anew_and_all_that_follows() -> None:
    steps = (step("a"), step("b", "a"), step("c", "b"), step("d", "a"))
    played = Played(*steps).play()
    before = len(played.order)
    played.recover(rerun=downstream(Graph(steps), "b"))
    played.end_all()
    assert played.order[before:] == ["b 1", "c 1"]


def test_what_follows_from_a_step_in_a_container_follows_around_it() -> None:
    graph = Graph(
        (step("a", steps=(step("b"), step("c", "b"), step("d"))), step("e", "a", steps=(step("f"),)), step("g"))
    )
    assert downstream(graph, "a/b") == {"a/b", "a/c", "e", "e/f"}


def test_a_recovery_of_named_items_leaves_the_other_failures_as_they_are() -> None:
    played = Played(step("a", items=4, on_failure=OnFailure.CONTINUE), step("b", "a"))
    played.play(failing("a 1.2", "a 1.3"))
    before = len(played.order)
    played.recover(only=[Key("a", "1.2")])
    played.end_all()
    assert played.order[before:] == ["a 1.2"]
    assert played.status("a", "1.3") is Status.FAILED


def test_only_the_failed_items_run_again_and_then_what_follows() -> None:
    played = Played(step("a", items=4, on_failure=OnFailure.CONTINUE), step("b", "a")).play(failing("a 1.2"))
    before = len(played.order)
    played.recover()
    played.end_all()
    assert played.order[before:] == ["a 1.2", "b 1"]


def test_a_step_that_is_inserted_shifts_no_identity() -> None:
    before = Played(step("a", items=2), step("b", "a")).play()
    after = Played(step("new"), step("a", items=2), step("other", "a"), step("b", "a")).play()
    assert set(before.run.rows) <= set(after.run.rows)
