"""A command that lacks an option says what to write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

from factory_cdk.state.files import write_json
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json
from factory_cdk.state.stage_folder import stage_folder

PLAN = """factory:
  name: works
  bots: {one: {source: {path: .}, bot_path: "one:one"}}
  stages:
    test: {here: {type: local, bots: {one: }}}
    prod: {here: {type: local, bots: {one: }}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two plans, and a home where the factory `works` is built."""
    (tmp_path / "factory-plan.yml").write_text(PLAN)
    (tmp_path / "my plan.yml").write_text(PLAN.replace("    prod:", "    # prod:"))
    state = stage_folder(tmp_path / "home", "works", "test")
    state.path.mkdir(parents=True)
    write_json(state.spec, spec_as_json(RunnerSpec("works", "test", (), ())))
    ask(state, gate="open")
    return tmp_path


def refused(folder: Path, *arguments: str, home: str = "home") -> str:
    """The last line of what a wrong usage is answered with."""
    done = subprocess.run(
        [sys.executable, "-m", "factory_cdk", *arguments],
        cwd=folder,
        env={**os.environ, "FACTORY_CDK_HOME": str(folder / home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Usage: ")
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["validate", "lint", "graph", "pack", "lock", "synth", "build"])
def test_a_plan_without_its_option_is_answered_with_the_option(command: str, folder: Path) -> None:
    said = refused(folder, command, "my plan.yml")
    assert said == "Error: Missing option '--plan'. The plan is named by an option: --plan 'my plan.yml'"


@pytest.mark.slow
def test_a_plan_in_the_folder_is_offered_and_not_taken(folder: Path) -> None:
    assert refused(folder, "validate").endswith("There is one in this folder: --plan factory-plan.yml")
    (folder / "factory-plan.yml").unlink()
    assert refused(folder, "validate", "--strict") == "Error: Missing option '--plan'."
    assert refused(folder, "validate", "absent.yaml").endswith(": --plan absent.yaml")


@pytest.mark.slow
def test_a_missing_stage_is_answered_with_those_of_the_plan(folder: Path) -> None:
    plan = ("--plan", "factory-plan.yml")
    assert refused(folder, "build", *plan) == "Error: Missing option '--stage'. The plan has test, prod"
    assert refused(folder, "build", *plan, "prod") == "Error: Missing option '--stage'. Write --stage prod"
    assert refused(folder, "build", "--plan", "my plan.yml") == "Error: Missing option '--stage'. Write --stage test"
    assert refused(folder, "build", "--plan", "absent.yml") == "Error: Missing option '--stage'."


@pytest.mark.slow
def test_a_missing_factory_is_answered_with_what_is_built(folder: Path) -> None:
    assert refused(folder, "stop") == "Error: Missing option '--name'. Write --name works"
    assert refused(folder, "jobs", "list", "works") == "Error: Missing option '--name'. Write --name works"
    assert refused(folder, "jobs", "show", "1d2a") == "Error: Missing option '--name'. Write --name works"
    assert refused(folder, "stop", home="empty") == "Error: Missing option '--name'."
    state = stage_folder(folder / "home", "mill", "test")
    state.path.mkdir(parents=True)
    write_json(state.spec, spec_as_json(RunnerSpec("mill", "test", (), ())))
    assert refused(folder, "stop") == "Error: Missing option '--name'. Built here: mill, works"
    assert refused(folder, "stop", "mill") == "Error: Missing option '--name'. Write --name mill"


@pytest.mark.slow
def test_other_mistakes_are_answered_as_before(folder: Path) -> None:
    assert refused(folder, "submit", "--name", "works") == "Error: Missing option '--bot'."
    assert refused(folder, "stop", "--name", "works", "now") == "Error: Got unexpected extra argument (now)"
