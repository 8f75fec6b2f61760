"""`factory-cdk run` and `runs` on a stage of this machine: started, shown, recovered, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from local_works import until
from shell import Shell

from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.status import runner_pid

PLAN = """
factory:
  name: works
  bots:
    extract: {source: {path: code}, bot_path: "bots:note"}
    load: {source: {path: code}, bot_path: "bots:note"}
    env: {source: {path: code}, command: [python3, -c, "import json, os; print(json.dumps(dict(os.environ)))"]}
    hold: {source: {path: code}, bot_path: "bots:hold"}
  workflows:
    nightly:
      on-failure: stop
      steps:
        extract: {bot: extract, for-each: [a, b], max-parallel: 1, with: {table: $item, day: $input.day}}
        load: {bot: load, needs: extract, acquire: {database: 2}}
        publish: {needs: load, repeat: 2, steps: {env: {bot: env, acquire: {database: 1}}}}
        alert: {bot: extract, needs: "load.failed or extract.failed"}
        report: {bot: extract, needs: "publish and alert.completed", recovery: {succeeded: rerun}}
    slow:
      steps:
        first: {bot: extract, with: {table: first}}
        wait: {bot: hold, needs: first, with: gate}
        last: {bot: extract, needs: wait}
  stages:
    test:
      pools: {database: 2}
      here: {type: local, bots: {extract: {max-attempts: 1}, load: {max-attempts: 1}, env: , hold: }}
"""

BOTS = """
import time
from pathlib import Path

def note(payload):
    with (Path(HERE) / "lines").open("a") as lines:
        lines.write(f"{payload['name']} {payload['sequence']} {payload['recovery']}\\n")
    if (Path(HERE) / f"fail-{payload['name']}").exists():
        raise ValueError("told to")
    print("did", payload["name"])
    return payload["with"]

def hold(payload):
    (Path(HERE) / "begun").touch()
    while not (Path(HERE) / "gate").exists():
        time.sleep(0.005)
"""

BASE = ("--name", "works", "--stage", "test")


@pytest.fixture
def stage(shell: Shell) -> Shell:
    shell.plan.write_text(PLAN)
    (shell.folder / "code" / "bots.py").write_text(f"HERE = {str(shell.folder)!r}\n{BOTS}")
    shell.build()
    return shell


def run(shell: Shell, *words: str, code: int = 0) -> dict[str, Any]:
    """A run that is waited for, as JSON."""
    found = json.loads(shell.run(*words, "--wait", "180", code=code)[0])
    assert isinstance(found, dict)
    return found


def statuses(found: dict[str, Any]) -> dict[str, str]:
    return {f"{step['path']} {step['iteration']}": step["status"] for step in found["steps"]}


def lines(shell: Shell) -> list[str]:
    return (shell.folder / "lines").read_text().splitlines()


GIVEN = ("--with", '{"day": "today"}')


@pytest.mark.slow
def test_a_run_does_its_steps_and_is_shown_as_json(stage: Shell) -> None:
    found = run(stage, "run", *BASE, "--workflow", "nightly", *GIVEN)
    assert set(found) == {"run", "state", "recovery", "steps"}
    assert (found["state"], found["recovery"]) == ("succeeded", 0)
    assert statuses(found) == {
        "extract 1": "succeeded",
        "extract 1.1": "succeeded",
        "extract 1.2": "succeeded",
        "load 1": "succeeded",
        "publish 1": "succeeded",
        "publish 1.1": "succeeded",
        "publish 1.2": "succeeded",
        "publish/env 1.1": "succeeded",
        "publish/env 1.2": "succeeded",
        "alert 1": "skipped",
        "report 1": "succeeded",
    }
    assert lines(stage) == ["extract 1.1 0", "extract 1.2 0", "load 1 0", "report 1 0"]
    steps = {(step["path"], step["iteration"]): step for step in found["steps"]}
    assert steps["extract", "1.2"]["result"] == {"table": "b", "day": "today"}
    variables = steps["publish/env", "1.2"]["result"]
    assert {name: value for name, value in variables.items() if name.startswith("FACTORY_STEP_")} == {
        "FACTORY_STEP_NAME": "publish/env",
        "FACTORY_STEP_SEQUENCE": "1.2",
        "FACTORY_STEP_RECOVERY": "0",
        "FACTORY_STEP_LOGGER_NAME": "nightly.publish.env",
    }
    assert json.loads(variables["FACTORY_PAYLOAD"])["results"] == {}
    shown = json.loads(stage.run("runs", "show", *BASE, found["run"][:6], "--format", "json")[0])
    assert shown == found
    text = stage.run("runs", "show", *BASE, found["run"])[0]
    assert "it needs `load.failed or extract.failed`, and `load` succeeded" in text
    assert "did load" in stage.run("runs", "logs", *BASE, found["run"])[0]


@pytest.mark.slow
def test_a_run_that_failed_is_recovered_with_other_parameters(stage: Shell) -> None:
    (stage.folder / "fail-load").touch()
    (stage.folder / "fail-alert").touch()
    found = run(stage, "run", *BASE, "--workflow", "nightly", *GIVEN, "--id", "tonight", code=1)
    assert (found["run"], found["state"]) == ("tonight", "failed")
    assert statuses(found)["report 1"] == "skipped"
    assert {step["path"]: step["reason"] for step in found["steps"]}["load"] == "ValueError: told to"
    for name in ("load", "alert"):
        (stage.folder / f"fail-{name}").unlink()
    would = stage.run("runs", "recover", *BASE, "tonight", "--dry-run")[0]
    assert would.splitlines() == ["load 1", "alert 1", "report 1"]
    found = run(stage, "runs", "recover", *BASE, "tonight", "--set", "load.table=people")
    assert (found["state"], found["recovery"]) == ("succeeded", 1)
    assert next(step["result"] for step in found["steps"] if step["path"] == "load") == {"table": "people"}
    again = run(stage, "runs", "recover", *BASE, "tonight", "--from", "load")
    assert (again["state"], again["recovery"]) == ("succeeded", 2)
    assert [line for line in lines(stage) if line.endswith(" 2")] == ["load 1 2", "report 1 2"]
    (row,) = json.loads(stage.run("runs", "list", *BASE, "--format", "json")[0])
    assert (row["run"], row["workflow"], row["state"], row["recovery"]) == ("tonight", "nightly", "succeeded", 2)


@pytest.mark.slow
def test_a_runner_that_is_killed_loses_nothing_of_a_run(stage: Shell) -> None:
    started = stage.run("run", *BASE, "--workflow", "slow")[0].strip()
    until((stage.folder / "begun").exists)
    assert stage.run("run", *BASE, "--workflow", "slow", "--once")[0].strip() == started
    pid = runner_pid(stage_folder(stage.home, "works", "test"))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: runner_pid(stage_folder(stage.home, "works", "test")) is None)
    (stage.folder / "gate").touch()
    stage.run("resume", "--name", "works")
    until(lambda: json.loads(stage.run("runs", "show", *BASE, started, "--format", "json")[0])["state"] == "succeeded")
    assert lines(stage) == ["first 1 0", "last 1 0"]


@pytest.mark.slow
def test_a_run_is_cancelled_and_one_that_is_late_is_told_by_the_exit_code(stage: Shell) -> None:
    _, err = stage.run("run", *BASE, "--workflow", "slow", "--id", "late", "--wait", "0.5", code=3)
    assert "run late has not ended after 0.5 s" in err
    until((stage.folder / "begun").exists)
    assert "run late is running" in stage.run("runs", "recover", *BASE, "late", code=1)[1]
    stage.run("runs", "cancel", *BASE, "late")
    shown = json.loads(stage.run("runs", "show", *BASE, "late", "--format", "json")[0])
    assert shown["state"] == "cancelled"
    assert statuses(shown) == {"first 1": "succeeded", "wait 1": "failed", "last 1": "skipped"}
    assert "has ended: cancelled" in stage.run("runs", "cancel", *BASE, "late", code=1)[1]
    (stage.folder / "gate").touch()
    found = run(stage, "runs", "recover", *BASE, "late")
    assert found["state"] == "succeeded"


@pytest.mark.slow
def test_what_cannot_be_run_is_refused_with_a_remedy(stage: Shell) -> None:
    cases = [
        (("run", *BASE, "--workflow", "nigtly"), "has no workflow of steps nigtly", "nightly"),
        (("run", *BASE, "--workflow", "nightly"), "refers to $input.day, which is not there", "--with"),
        (("run", *BASE, "--workflow", "nightly", "--with", "{"), "--with: not JSON", "nothing was started"),
        (("run", *BASE, "--workflow", "slow", "--id", "a b"), "cannot be the id of a run", "letters"),
        (("runs", "show", *BASE, "none"), "has no run none", "runs list"),
    ]
    for words, message, remedy in cases:
        _, err = stage.run(*words, code=1)
        assert message in err
        assert remedy in err
    assert json.loads(stage.run("runs", "list", *BASE, "--format", "json")[0]) == []
