"""Plans for the tests of lint, and what is found in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import Resource, StageDesign
from factory_cdk.diagnostics import Diagnostic
from factory_cdk.lint.finding import Finding
from factory_cdk.lint.linting import lint_stage
from factory_cdk.plan.load import Loaded, load_plan
from factory_cdk.plan.stage import resolve_stage

PLAN = """\
factory:
  name: works
  bots:
    draw:
      source: {pypi: draw, version: '1.0'}
      bot_path: draw:run
  tags:
    Team: red
  stages:
    dev:
      box:
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
          # parameters
        bots:
          draw:
            queue-name: drawings
            config: {LEVEL: high}
  alarms:
    idle:
      Namespace: AWS/EC2
      MetricName: CPUUtilization
      Statistic: Average
      Period: 300
      EvaluationPeriods: 3
      Threshold: 5
      ComparisonOperator: LessThanThreshold
      # alarm
"""
"""A plan in which nothing is found; what a test adds takes the place of the comments."""


def loaded(folder: Path, text: str) -> Loaded:
    """The plan `text`, which is valid, from a file in `folder`."""
    file = folder / "plan.yml"
    file.write_text(text, encoding="utf-8")
    plan = load_plan(file)
    assert plan.plan is not None, plan.diagnostics
    return plan


def designed(plan: Loaded) -> StageDesign:
    """The stage `dev` of a plan."""
    assert plan.plan is not None
    return design_stage(resolve_stage(plan.plan, "dev"))


def no_engines(design: StageDesign, folder: Path) -> Iterable[Finding]:
    """Looks at no template."""
    return ()


def linted(folder: Path, text: str = PLAN) -> tuple[Diagnostic, ...]:
    """What our own checks find in the stage `dev` of the plan `text`."""
    plan = loaded(folder, text)
    return lint_stage(plan, designed(plan), no_engines)


def with_parameters(yaml: str, text: str = PLAN) -> str:
    """`text` with more parameters of the instance, written as at the margin."""
    return text.replace("          # parameters\n", "".join(f"          {line}\n" for line in yaml.splitlines()))


def with_alarm(yaml: str, text: str = PLAN) -> str:
    """`text` with more properties of the alarm; one that is there already is replaced."""
    for line in yaml.splitlines():
        key = line.partition(":")[0]
        text = "".join(one for one in text.splitlines(keepends=True) if not one.startswith(f"      {key}:"))
    return text.replace("      # alarm\n", "".join(f"      {line}\n" for line in yaml.splitlines()))


def places(found: Iterable[Diagnostic], text: str) -> list[tuple[str, str]]:
    """The codes and what stands at their places in `text`."""
    lines = text.splitlines()
    return [(one.code, lines[one.line - 1][one.column - 1 :]) for one in found]


def with_resource(design: StageDesign, logical_id: str, **properties: object) -> StageDesign:
    """`design` with other properties of one resource."""

    def changed(one: Resource) -> Resource:
        return replace(one, properties={**one.properties, **properties}) if one.logical_id == logical_id else one

    stacks = tuple(replace(stack, resources=tuple(map(changed, stack.resources))) for stack in design.stacks)
    return replace(design, stacks=stacks)
