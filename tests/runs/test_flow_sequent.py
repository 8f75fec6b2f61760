"""The programs of sequent's documents, rewritten for Flow: one test for each feature that they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flow_functions import alone, log, meet, prog, variables

from factory_cdk.runs.flow import Flow, FlowStep

ONCE = ["prog1 s1/s11/s111", "prog2 s1/s11/s112"]
WHOLE = [
    "prog1 s1/s11/s111/1.1.1",
    "prog2 s1/s11/s112/1.1.1",
    "prog1 s1/s11/s111/1.1.2",
    "prog2 s1/s11/s112/1.1.2",
    "prog3 s1/s12/1.1",
    "prog1 s1/s11/s111/1.2.1",
    "prog2 s1/s11/s112/1.2.1",
    "prog1 s1/s11/s111/1.2.2",
    "prog2 s1/s11/s112/1.2.2",
    "prog3 s1/s12/1.2",
    "prog4 s2/1",
]

Flows = Callable[..., Flow]


@pytest.fixture
def flows(tmp_path: Path) -> Iterator[Flows]:
    made: list[Flow] = []

    def make(name: str = "nightly", **options: object) -> Flow:
        flow = Flow(name, **{"store": tmp_path / "runs.db", **options})  # type: ignore[arg-type]
        made.append(flow)
        return flow

    yield make
    for flow in made:
        flow.close()


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "lines").read_text().splitlines()


def build(flow: Flow, tmp_path: Path, **failing: str) -> Flow:
    file = str(tmp_path / "lines")

    def add(where: Flow | FlowStep, name: str, progname: str, needs: object = None) -> FlowStep:
        return where.step(name, prog, (file,), {"progname": progname, **failing}, needs=needs)  # type: ignore[arg-type]

    s1 = flow.step("s1", repeat=2)
    s11 = s1.step("s11", repeat=2)
    s111 = add(s11, "s111", "prog1")
    add(s11, "s112", "prog2", needs=((s111, "STEP_SUCCESS"),))
    add(s1, "s12", "prog3", needs=((s11, "STEP_SUCCESS"),))
    add(flow, "s2", "prog4", needs=((s1, "STEP_SUCCESS"),))
    return flow


def test_steps_in_containers_that_repeat_run_in_the_order_of_the_document(
    flows: Flows, tmp_path: Path, lines: Callable[[], list[str]]
) -> None:
    assert build(flows(), tmp_path).run()
    assert lines() == WHOLE


def test_recovery_skips_what_succeeded_and_starts_where_it_failed(
    flows: Flows, tmp_path: Path, lines: Callable[[], list[str]]
) -> None:
    failing = {"step_to_fail": "s1/s11/s111", "iteration_to_fail": "1.2.2"}
    first = build(flows(), tmp_path, **failing).run()
    assert (first.state, bool(first)) == ("failed", False)
    assert lines() == WHOLE[:8]
    assert build(flows(), tmp_path).run(recover=first.id)
    assert lines() == WHOLE[:8] + WHOLE[7:]


def test_a_step_knows_its_name_its_sequence_the_recovery_and_its_logger_by_variables(
    flows: Flows, tmp_path: Path
) -> None:
    flow = flows()
    container = flow.step("outer", repeat=2)
    container.step("inner", variables, (str(tmp_path / "lines"),))
    run = flow.run()
    assert run.result("outer/inner", "1.2") == {
        "FACTORY_STEP_NAME": "outer/inner",
        "FACTORY_STEP_SEQUENCE": "1.2",
        "FACTORY_STEP_RECOVERY": "0",
        "FACTORY_STEP_LOGGER_NAME": "nightly.outer.inner",
    }
    again = flow.run(recover=run.id, rerun=["outer/inner"])
    assert again.result("outer/inner", "1.2")["FACTORY_STEP_RECOVERY"] == "1"


def test_the_logger_of_a_step_is_named_by_the_flow_and_the_step(flows: Flows, tmp_path: Path) -> None:
    flow = flows()
    flow.step("s1", log, (str(tmp_path / "lines"),))
    assert flow.run().result("s1") == "nightly.s1"


def test_one_step_at_a_time_unless_max_concurrent_says_more(flows: Flows, tmp_path: Path) -> None:
    flow = flows()
    for number in range(4):
        flow.step(f"s{number}", alone, (str(tmp_path),))
    assert flow.run()


def test_max_concurrent_is_how_many_steps_run_at_the_same_time(flows: Flows, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    flow = flows(max_concurrent=3)
    for number in range(3):
        flow.step(f"s{number}", meet, (str(folder), f"s{number}", 3))
    assert flow.run()


def test_a_container_acquires_for_each_of_its_iterations(flows: Flows, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    flow = flows(max_concurrent=2, pools={"rp1": 2})
    for name in ("s1", "s2"):
        flow.step(name, repeat=2, acquire={"rp1": 2}).step("inner", alone, (str(folder),))
    assert flow.run()


def test_the_store_is_a_file_beside_the_program_or_memory(
    flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build(flows("named", store=None), tmp_path).run()
    assert (tmp_path / "named.runs.db").exists()
    assert build(flows("other", store=":memory:"), tmp_path).run()
    assert not (tmp_path / "other.runs.db").exists()
