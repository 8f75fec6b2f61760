"""factory_cdk.Factory: the verbs from Python, jobs as futures."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE, until

from factory_cdk import Factory, JobFailed
from factory_cdk.diagnostics import FactoryError, PlanError
from factory_cdk.state.stages import find

SCRIPT = """
import json, sys
from factory_cdk import Factory

factory = Factory("factory-plan.yml", "test")
factory.validate()
factory.build(say=lambda line: print(line, file=sys.stderr))
future = factory.submit("cut", "ein zwei", tags={"from": "script"})
print(json.dumps(future.result(timeout=180)))
print(json.dumps([one.result(timeout=180) for one in factory.map("odd", [1, 3, 5])]))
factory.demolish()
"""


@pytest.fixture
def built(plan: Path) -> Factory:
    factory = Factory(plan, "test")
    factory.build()
    return factory


@pytest.mark.slow
def test_a_plain_script_builds_submits_and_demolishes(plan: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=plan.parent, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    words, numbers = map(json.loads, done.stdout.splitlines())
    assert words == {"count": 2, "shout": ["EIN", "ZWEI"]}
    assert numbers == [1, 3, 5]
    assert "starting" in done.stderr
    assert not list((plan.parent / "home" / "factories").rglob("runner-spec.json"))


@pytest.mark.slow
def test_a_notebook_builds_submits_and_demolishes(plan: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    new = nbformat.v4
    cells = [
        "from factory_cdk import Factory\nfactory = Factory('factory-plan.yml', 'test')\nfactory.build()",
        "futures = factory.map('odd', [1, 3, 5])\n[future.result(timeout=180) for future in futures]",
        "import asyncio\nawait asyncio.wrap_future(factory.submit('count', ['a', 'b']))",
        "factory.demolish()",
    ]
    notebook = new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(plan.parent)}})
    client.execute(env=dict(os.environ))
    assert notebook.cells[1].outputs[0]["data"]["text/plain"] == "[1, 3, 5]"
    assert notebook.cells[2].outputs[0]["data"]["text/plain"] == "2"
    assert not notebook.cells[3].outputs


def test_futures_are_those_of_the_standard_library(built: Factory) -> None:
    futures = built.map("odd", [1, 3, 5])
    done, waiting = concurrent.futures.wait(futures, timeout=PATIENCE)
    assert not waiting
    assert {future.result() for future in done} == {1, 3, 5}
    assert [future.job for future in futures] == [f"{futures[0].run}-{number}" for number in (1, 2, 3)]
    assert {future.result() for future in concurrent.futures.as_completed(built.map("odd", [7]), PATIENCE)} == {7}
    assert built.map("odd", []) == []


def test_the_result_is_what_the_ends_of_the_workflow_returned(built: Factory) -> None:
    assert built.submit("cut", "a b").result(PATIENCE) == {"count": 2, "shout": ["A", "B"]}
    assert built.submit("count", ["a", "b"]).result(PATIENCE) == 2
    assert built.submit("shout", ["alone"]).result(PATIENCE) == ["ALONE"]
    results = [future.result(PATIENCE) for future in built.map("cut", [f"a {number}" for number in range(50)])]
    assert results == [{"count": 2, "shout": ["A", str(number)]} for number in range(50)]


def test_a_dead_letter_is_an_exception_that_knows_the_bot_s(built: Factory) -> None:
    good, bad = built.map("odd", [1, 2])
    error = bad.exception(PATIENCE)
    assert isinstance(error, JobFailed)
    assert (error.type, error.bot, error.job, error.attempts) == ("ValueError", "odd", bad.job, 1)
    assert "2 is even" in error.message
    assert 'raise ValueError(f"{number} is even")' in error.traceback
    assert good.result(PATIENCE) == 1


def test_a_job_that_waits_can_be_cancelled_and_one_in_hand_cannot(built: Factory, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    in_hand, waiting = built.map("hold", [str(gate), str(gate)])
    until(gate.with_name("gate.begun").exists)
    assert not in_hand.cancel()
    assert waiting.cancel()
    assert waiting.cancelled()
    assert concurrent.futures.wait([waiting], timeout=PATIENCE).not_done == set()
    gate.touch()
    assert in_hand.result(PATIENCE) is None
    assert not in_hand.cancel()


def test_who_waits_is_told_that_the_runner_is_gone(built: Factory, plan: Path, tmp_path: Path) -> None:
    future = built.submit("hold", str(tmp_path / "gate"))
    until((tmp_path / "gate.begun").exists)
    runner = find(tmp_path / "home", "from-python", "test").pid
    assert runner
    os.kill(runner, signal.SIGKILL)
    error = future.exception(PATIENCE)
    assert isinstance(error, FactoryError)
    assert "is gone" in error.message
    until(lambda: find(tmp_path / "home", "from-python", "test").pid is None)
    with pytest.raises(FactoryError, match="nothing was submitted"):
        built.submit("odd", 1)


def test_demolish_keeps_what_is_left_unless_told_to_discard(built: Factory, tmp_path: Path) -> None:
    assert built.submit("odd", 2).exception(PATIENCE)
    with pytest.raises(FactoryError, match="0 jobs and 1 dead letter are left"):
        built.demolish()
    assert built.submit("odd", 3).result(PATIENCE) == 3
    built.demolish(discard=True)
    with pytest.raises(FactoryError, match="is not built here"):
        built.submit("odd", 3)


def test_demolish_can_let_the_bots_finish_first(built: Factory) -> None:
    futures = built.map("odd", range(1, 201, 2))
    built.demolish(drain=True, timeout=PATIENCE)
    assert [future.result(PATIENCE) for future in futures] == list(range(1, 201, 2))


@pytest.mark.slow
def test_a_factory_can_be_built_again(built: Factory) -> None:
    with pytest.raises(FactoryError, match="is built already"):
        built.build()
    built.demolish()
    built.build()
    assert built.submit("odd", 3).result(PATIENCE) == 3


def test_what_was_built_is_shown_stopped_and_resumed(built: Factory, plan: Path) -> None:
    (row,) = Factory(plan, "broken").stages()
    assert (row.factory, row.stage, row.state, row.workers) == ("from-python", "test", "running", 5)
    built.stop(timeout=PATIENCE)
    info = built.info()
    assert (info.state, info.runner) == ("stopped", row.runner)
    assert [bot.next for bot in info.bots] == [("count", "shout"), (), (), (), ()]
    future = built.submit("odd", 3)
    built.resume()
    assert future.result(PATIENCE) == 3
    built.stop(cold=True)
    assert built.info().state == "ended"
    said: list[str] = []
    built.resume(say=said.append)
    assert said == ["starting the runner of from-python/test"]
    assert built.submit("odd", 5).result(PATIENCE) == 5


@pytest.mark.slow
def test_new_code_takes_over_while_the_factory_works_or_all_stays_as_it_was(built: Factory, plan: Path) -> None:
    bots = plan.parent / "code" / "bots.py"
    runner = built.info().runner
    bots.write_text(bots.read_text().replace("return number", "return -number"))
    updated = built.update(timeout=PATIENCE)
    assert (updated.stage, set(updated.bots)) == ("from-python/test", {"cut", "count", "shout", "odd", "hold"})
    assert (built.submit("odd", 3).result(PATIENCE), built.info().runner) == (-3, runner)
    assert built.update().bots == (), "there is nothing new"
    good = bots.read_text()
    bots.write_text(f"{good}raise RuntimeError('no')\n")
    with pytest.raises(FactoryError, match="RuntimeError: no") as refused:
        built.update(timeout=PATIENCE)
    assert refused.value.remedy == "from-python/test runs as before"
    assert built.submit("odd", 5).result(PATIENCE) == -5
    bots.write_text(good)
    plan.write_text(plan.read_text().replace("odd: {max-attempts: 1}", "odd: {queue-name: other}"))
    with pytest.raises(FactoryError, match="an update cannot change this"):
        built.update()
    built.stop(cold=True)
    with pytest.raises(FactoryError, match="does not run"):
        built.update()


@pytest.mark.slow
def test_another_program_goes_on_with_what_was_built(built: Factory, plan: Path) -> None:
    assert Factory(str(plan)).submit("odd", 5, stage="test").result(PATIENCE) == 5


def test_submitting_to_nobody_names_the_bots_there_are(built: Factory) -> None:
    with pytest.raises(FactoryError, match="no bot who") as refused:
        built.submit("who", 1)
    assert refused.value.remedy == "its bots: cut, count, shout, odd, hold"


@pytest.mark.slow
def test_what_is_not_json_is_refused_before_anything_is_submitted(built: Factory) -> None:
    with pytest.raises(FactoryError, match="not JSON"):
        built.map("odd", [1, {2, 3}])


def test_validate_returns_warnings_and_raises_what_refuses_the_plan(plan: Path) -> None:
    found = Factory(plan).validate()
    assert all(one.severity != "error" for one in found)
    plan.write_text(plan.read_text().replace("bots:count", "nonsense"))
    with pytest.raises(PlanError) as refused:
        Factory(plan).validate()
    assert [one.line for one in refused.value.diagnostics if one.severity == "error"]


def test_strict_validation_refuses_warnings(plan: Path) -> None:
    plan.write_text(plan.read_text().replace("path: code", "path: nowhere"))
    assert Factory(plan).validate()
    with pytest.raises(PlanError):
        Factory(plan).validate(strict=True)


def test_packing_gives_bundles(plan: Path) -> None:
    bundles = Factory(plan).pack("broken")
    assert list(bundles) == ["odd"]
    assert bundles["odd"].packed
    assert set(Factory(plan).pack()) == {"cut", "count", "shout", "odd", "hold"}


def test_a_stage_has_to_be_named_where_there_are_several(plan: Path) -> None:
    with pytest.raises(FactoryError, match="several stages: test, broken"):
        Factory(plan).build()


def test_a_bot_that_cannot_be_loaded_fails_the_build_and_leaves_nothing(plan: Path) -> None:
    with (plan.parent / "code" / "bots.py").open("a") as bots:
        bots.write("raise RuntimeError('no')\n")
    with pytest.raises(FactoryError, match="RuntimeError: no"):
        Factory(plan, "broken").build()
    assert not list((plan.parent / "home" / "factories").rglob("runner-spec.json"))


def test_importing_factory_cdk_imports_nothing_of_it() -> None:
    program = (
        "import sys, factory_cdk\nprint(*sorted(name for name in sys.modules if name.startswith('factory_cdk')))\n"
        "from factory_cdk import Bot, Job\nprint('logging' in sys.modules, 'json' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout.splitlines() == ["factory_cdk factory_cdk.version", "False False"]
