"""What is said of one stage of a plan: its own, what is common, and every error."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory_cdk.plan.ignores import silenced
from factory_cdk.plan.load import load_plan
from factory_cdk.plan.scope import of_stage

PLAN = """\
factory:
  name: demo
  bots:
    one: {source: {pypi: demo}, bot_path: "demo:one"}
    two: {source: {pypi: demo, version: '1'}, bot_path: "demo:two"}
  stages:
    test:
      near: &near
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-1, InstanceType: t3.micro}
        bots: {one: , two: }
    prod:
      far:
        <<: *near
        region_name: eu-west-1
    # factory: ignore F309
    calm:
      workflow: flow
      here:
        type: local
        bots: {one: }
      there: {type: local, bots: {two: }}
    # factory: ignore F309
    idle:
      workflow: flow
      here: {type: local, bots: {one: , two: }}
  workflows:
    flow: {one: two}
    spare: {one: two}
"""
COMMON = [("F402", 4), ("F310", 30)]


@pytest.mark.parametrize(
    ("stage", "own"),
    [
        ("test", [("F309", 7), ("F510", 11)]),
        ("prod", [("F510", 11), ("F309", 13)]),  # what it merges from `test` is its own too
        ("calm", [("F023", 17)]),
        ("idle", [("F023", 24)]),  # the comment stands behind the stage before it, and is about this one
    ],
)
def test_a_stage_is_told_its_own_warnings_and_the_common_ones(
    stage: str, own: list[tuple[str, int]], tmp_path: Path
) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(PLAN)
    loaded = load_plan(file)
    found = of_stage(silenced(loaded.diagnostics, loaded.text, loaded.file), loaded, stage)
    assert [(one.code, one.line) for one in found] == [COMMON[0], *own, COMMON[1]]


def test_an_error_is_told_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(PLAN.replace("bots: {one: }", "bots: {noe: }"))
    loaded = load_plan(file)
    assert ("F201", 22) in [(one.code, one.line) for one in of_stage(loaded.diagnostics, loaded, "test")]


@pytest.mark.parametrize("text", ["", "- 1", "factory: 1", "factory: {stages: [test]}", PLAN.replace("test:", "tset:")])
def test_of_a_plan_without_the_stage_everything_is_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text(text)
    loaded = load_plan(file)
    assert of_stage(loaded.diagnostics, loaded, "test") == loaded.diagnostics
