"""What Flow promises beyond sequent and eventor: workers that die, results, items, and runs that others look at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flow_functions import anything, die, fail, item, leave, prog, results
from patience import until
from test_flow_sequent import Flows, flows, lines  # noqa: F401 - fixtures

from factory_cdk.diagnostics import FactoryError
from factory_cdk.runs.flow import Flow

Lines = Callable[[], list[str]]


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "lines")


def reason(run: object, path: str) -> str:
    return next(step.reason for step in run.steps if step.path == path)  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_fails_its_step_and_no_other(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    flow = flows(on_failure="continue")
    flow.step("a", die)
    flow.step("b", leave)
    flow.step("c", prog, (file, "c"))
    run = flow.run()
    assert reason(run, "a") == "its process was ended by SIGKILL"
    assert reason(run, "b") == "SystemExit: 3"
    assert lines() == ["c c/1"]


def test_a_step_gets_the_results_of_what_it_needs(flows: Flows, file: str) -> None:  # noqa: F811
    flow = flows()
    a = flow.step("a", item, (file,), for_each=["x", "y"])
    box = flow.step("box")
    box.step("inner", prog, (file, "p"))
    flow.step("z", results, (file,), needs=[a, box])
    assert flow.run().result("z") == {"a": ["x", "y"], "box": {"inner": "p"}}


def test_only_the_items_that_failed_are_done_again(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    def build(function: Callable[[str], object]) -> Flow:
        flow = flows()
        a = flow.step("a", function, (file,), for_each=["x", "y"], on_failure="continue")
        flow.step("b", prog, (file, "b"), needs=a)
        return flow

    first = build(fail).run()
    again = build(item).run(recover=first.id, only=[("a", "1.2")])
    assert lines() == ["a", "a", "a y"]
    assert again.state == "failed"
    assert build(item).run(recover=first.id)
    assert lines() == ["a", "a", "a y", "a x", "b b/1"]


def test_steps_may_be_inserted_between_a_failure_and_the_recovery(flows: Flows, file: str, lines: Lines) -> None:  # noqa: F811
    def build(*, fixed: bool) -> Flow:
        flow = flows()
        a = flow.step("a", prog, (file, "a"))
        if fixed:
            a = flow.step("new", prog, (file, "new"), needs=a)
        flow.step("b", prog if fixed else fail, (file, "b") if fixed else (file,), needs=a)
        return flow

    first = build(fixed=False).run()
    assert build(fixed=True).run(recover=first.id)
    assert lines() == ["a a/1", "b", "new new/1", "b b/1"]


def test_what_json_cannot_hold_is_kept_as_its_repr(flows: Flows) -> None:  # noqa: F811
    flow = flows()
    flow.step("a", anything)
    assert flow.run().result("a") == "{1, 2}"


def test_a_function_that_cannot_be_handed_over_fails_its_step(flows: Flows) -> None:  # noqa: F811
    flow = flows()
    flow.step("a", lambda: 1)
    assert "it cannot be handed to a worker process" in reason(flow.run(), "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "cannot be the name of a step"),
        ({"name": "and"}, "cannot be the name of a step"),
        ({"name": "a"}, "there is a step a already"),
        ({"name": "b", "needs": "c"}, "needs c, and there is no such step yet"),
        ({"name": "b", "needs": "a.done"}, "unknown status `done`, at character 3"),
        ({"name": "b", "needs": []}, "an empty list"),
        ({"name": "b", "repeat": 0}, "repeat of step b is 0"),
        ({"name": "b", "repeat": 2, "for_each": [1]}, "both repeat and for_each"),
        ({"name": "b", "acquire": {"p": 0}}, "takes 0 of the pool p"),
        ({"name": "b", "on_failure": "go"}, "on_failure is 'go'"),
        ({"name": "b", "recovery": {"done": "rerun"}}, "recovery of step b says 'done'"),
    ],
)
def test_what_is_wrong_with_a_step_is_said_where_it_is_added(
    flows: Flows,  # noqa: F811
    arguments: dict[str, object],
    message: str,
) -> None:
    flow = flows()
    flow.step("a", leave)
    with pytest.raises(FactoryError, match=message):
        flow.step(**{"func": leave, **arguments})  # type: ignore[arg-type]


PROGRAM = """
import sys
from flow_functions import prog, wait_for
from factory_cdk.runs.flow import Flow

if __name__ == "__main__":
    folder = sys.argv[1]
    flow = Flow("nightly", store=folder + "/runs.db", pools={"licence": 1})
    a = flow.step("a", prog, (folder + "/lines", "a"))
    b = flow.step("b", wait_for, (folder + "/go", folder + "/started"), needs=a, acquire={"licence": 1})
    flow.step("c", prog, (folder + "/lines", "c"), needs=b)
    run = flow.run(**dict(word.split("=") for word in sys.argv[2:]))
    print(run.state)
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    (tmp_path / "program.py").write_text(PROGRAM)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path), *words]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def test_a_program_that_is_killed_loses_nothing_and_frees_its_pools(
    program: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    lines: Lines,  # noqa: F811
) -> None:
    first = program("run_id=one")
    until((tmp_path / "started").exists)
    worker = int((tmp_path / "started").read_text() or 0)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / "go").touch()
    again = program("recover=one")
    out, _ = again.communicate(timeout=120)
    assert out.strip() == "succeeded"
    assert lines() == ["a a/1", "c c/1"]
    assert worker


def test_a_run_that_another_process_has_in_hand_is_left_to_it_and_can_be_cancelled(
    program: Callable[..., subprocess.Popen[str]],
    flows: Flows,  # noqa: F811
    tmp_path: Path,
) -> None:
    other = program("run_id=one")
    until((tmp_path / "started").exists)
    flow = flows()
    flow.step("a", leave)
    with pytest.raises(FactoryError, match="is in the hands of process"):
        flow.run(recover="one")
    flow.cancel("one")
    out, _ = other.communicate(timeout=120)
    assert out.strip() == "cancelled"
    assert flow.look("one").state == "cancelled"


def test_two_programs_share_the_pools_of_their_store(
    program: Callable[..., subprocess.Popen[str]],
    flows: Flows,  # noqa: F811
    tmp_path: Path,
    file: str,
    lines: Lines,  # noqa: F811
) -> None:
    other = program("run_id=one")
    until((tmp_path / "started").exists)
    flow = flows(pools={"licence": 1})
    flow.step("mine", prog, (file, "mine"), acquire={"licence": 1})
    waiting = flow.run(once=True)
    assert waiting.state == "running"
    (tmp_path / "go").touch()
    assert other.communicate(timeout=120)[0].strip() == "succeeded"
    assert flow.run(run_id=waiting.id)
    assert lines() == ["a a/1", "c c/1", "mine mine/1"]


def test_a_flow_may_run_in_a_thread(flows: Flows, file: str, tmp_path: Path) -> None:  # noqa: F811
    states = []

    def work() -> None:
        flow = Flow("threaded", store=tmp_path / "threaded.db")
        flow.step("a", prog, (file, "a"))
        states.append(flow.run().state)
        flow.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert states == ["succeeded"]


def test_a_store_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, and long enough to be looked at as one" * 100)
    with pytest.raises(FactoryError, match="not a database"):
        Flow("a", store=tmp_path / "text.db")
