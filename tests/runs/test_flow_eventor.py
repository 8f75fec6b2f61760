"""The programs of eventor's documents, rewritten for Flow: one test for each feature that they show."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flow_functions import alone, divide, fail, prog, results, square, square_root
from test_flow_sequent import Flows, flows, lines  # noqa: F401 - fixtures

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs.flow import Flow

Lines = Callable[[], list[str]]


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "lines")


def test_the_simple_example_a_chain_of_three(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    flow = flows()
    s1 = flow.step("s1", prog, (file,), {"progname": "prog1"})
    s2 = flow.step("s2", prog, (file,), {"progname": "prog2"}, needs=s1.succeeded)
    flow.step("s3", prog, (file,), {"progname": "prog3"}, needs=s2.completed)
    assert flow.run()
    assert lines() == ["prog1 s1/1", "prog2 s2/1", "prog3 s3/1"]


def recoverable(flow: Flow, file: str, param: float) -> Flow:
    s1 = flow.step("s1", square, (file,), {"x": 3})
    s2 = flow.step(
        "s2", square_root, (file,), {"x": param}, needs=s1, recovery={"STEP_FAILURE": "rerun", "STEP_SUCCESS": "skip"}
    )
    flow.step("s3", divide, (file,), {"x": 9, "y": 3}, needs=(s1, s2))
    return flow


def test_the_recovery_example_with_another_parameter(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    first = recoverable(flows(), file, -9).run()
    assert first.state == "failed"
    assert [step.reason for step in first.steps if step.path == "s2"] == ["ValueError: math domain error"]
    again = recoverable(flows(), file, 9).run(recover=first.id)
    assert (again.state, again.recovery) == ("succeeded", 1)
    assert lines() == ["square 3", "square_root -9", "square_root 9", "divide 9 3"]
    assert (again.result("s1"), again.result("s2"), again.result("s3")) == (9, 3.0, 3.0)


def test_a_recovery_may_be_recovered(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    first = recoverable(flows(), file, -9).run()
    second = recoverable(flows(), file, -4).run(recover=first.id)
    assert (second.state, second.recovery) == ("failed", 1)
    third = recoverable(flows(), file, 4).run(recover=first.id)
    assert (third.state, third.recovery) == ("succeeded", 2)


def test_an_expression_of_events_that_all_have_to_be_raised(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    flow = flows()
    steps = [flow.step(name, prog, (file, name)) for name in ("a", "b")]
    flow.step("c", prog, (file, "c"), needs=steps)
    assert flow.run()
    assert lines()[-1] == "c c/1"


def test_an_expression_of_events_one_of_which_suffices(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    flow = flows()
    a, b = flow.step("a", fail, (file,)), flow.step("b", prog, (file, "b"))
    flow.step("c", prog, (file, "c"), needs=a.failed | b.failed)
    flow.step("d", prog, (file, "d"), needs="b and (a or c)")
    assert flow.run()  # the failure was followed by what waits for it
    assert lines() == ["a", "b b/1", "c c/1", "d d/1"]


@pytest.mark.parametrize(
    ("status", "follows"), [("ready", True), ("active", True), ("completed", True), ("failed", False)]
)
def test_each_status_of_a_step_can_trigger_others(
    flows: Flows,  # noqa: F811
    file: str,
    lines: Lines,  # noqa: F811
    status: str,
    follows: bool,
) -> None:
    flow = flows()
    a = flow.step("a", prog, (file, "a"))
    flow.step("b", prog, (file, "b"), needs=(a, status))
    assert flow.run()
    assert ("b b/1" in lines()) is follows


def test_a_failure_stops_new_steps_unless_the_flow_or_the_step_says_otherwise(
    flows: Flows,  # noqa: F811
    file: str,
    lines: Lines,  # noqa: F811
) -> None:
    def build(name: str, **options: str) -> Flow:
        flow = flows(name, **{key: value for key, value in options.items() if key == "on_failure"})
        flow.step("a", fail, (file,), on_failure=options.get("of_step"))
        b = flow.step("b", prog, (file, name))
        flow.step("c", prog, (file, name), needs=b)
        return flow

    assert not build("stops").run()
    assert lines() == ["a"]
    assert not build("flow", on_failure="continue").run()
    assert not build("step", of_step="continue").run()
    assert lines() == ["a", "a", "flow b/1", "flow c/1", "a", "step b/1", "step c/1"]


def test_delays_and_a_run_that_is_carried_on_now_and_then(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    flow = flows()
    s1 = flow.step("s1", prog, (file, "prog"))
    s2 = flow.step("s2", prog, (file, "prog"), needs=s1, delay=0.2)
    flow.step("s3", prog, (file, "prog"), needs=s2, delay=3600)
    run = flow.run(once=True)
    assert run.state == "running"
    assert lines() == ["prog s1/1"]
    deadline = time.monotonic() + 60
    while len(lines()) < 2:
        assert time.monotonic() < deadline
        assert flow.run(run_id=run.id, once=True).state == "running"
    assert lines() == ["prog s1/1", "prog s2/1"]


def test_resources_are_reserved_before_a_step_and_released_after_it(flows: Flows, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "here"
    folder.mkdir()
    flow = flows(max_concurrent=3, pools={"licence": 1})
    for number in range(3):
        flow.step(f"s{number}", alone, (str(folder),), acquire={"licence": 1})
    assert flow.run()


def test_resources_that_are_not_released_stay_reserved(flows: Flows, file: str) -> None:  # noqa: F811
    flow = flows(pools={"licence": 1})
    s1 = flow.step("s1", prog, (file, "s1"), acquire={"licence": 1}, release={})
    flow.step("s2", prog, (file, "s2"), needs=s1, acquire={"licence": 1})
    run = flow.run()
    assert [step.reason for step in run.steps if step.path == "s2"] == [
        "it acquires 1 of the pool `licence`, which has 1; the run itself keeps 1 of them"
    ]


def test_more_than_there_is_of_a_resource_is_refused_at_once(flows: Flows, file: str) -> None:  # noqa: F811
    flow = flows(pools={"licence": 1})
    flow.step("s1", prog, (file, "s1"), acquire={"licence": 2})
    with pytest.raises(FactoryError, match="acquires 2 of the pool licence, which has 1"):
        flow.run()


def test_a_run_has_the_id_that_it_is_given_and_only_once(flows: Flows, file: str) -> None:  # noqa: F811
    flow = flows()
    flow.step("s1", results, (file,))
    assert flow.run(run_id="2026-11-29").id == "2026-11-29"
    assert flow.look("2026-11-29").state == "succeeded"
