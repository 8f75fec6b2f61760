"""Plans for the tests of design, and what they ask of a StageDesign."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import Resource, StackDesign, StageDesign
from factory_cdk.diagnostics import Diagnostic, PlanError
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import StagePlan
from factory_cdk.plan.stage import resolve_stage

PARAMETERS = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}

Yaml = dict[str, Any]


def aws_sector(*bots: str, **more: Any) -> Yaml:
    """An aws sector in eu-west-2 with `bots`; `more` are its other keys."""
    return {
        "type": "aws",
        "region_name": "eu-west-2",
        "parameters": PARAMETERS,
        "bots": {name: {} for name in bots},
        **more,
    }


def plan_of(folder: Path, sectors: Mapping[str, Any], **factory: Any) -> StagePlan:
    """The stage `dev` with `sectors` (and its own keys); their bots are defined, `factory` is the factory's rest."""
    boxes = [sector for sector in sectors.values() if isinstance(sector, dict) and "bots" in sector]
    names = dict.fromkeys(bot for sector in boxes for bot in sector["bots"])
    bots = {name: {"source": {"pypi": f"package-{name}", "version": "1.0"}, "bot_path": "bots:run"} for name in names}
    content = {"factory": {"name": "works", "bots": bots, "stages": {"dev": dict(sectors)}, **factory}}
    file = folder / "factory-plan.yml"
    file.write_text(json.dumps(content))  # JSON is YAML
    return resolve_stage(read_plan(file), "dev")


def design_of(folder: Path, sectors: Mapping[str, Any], **factory: Any) -> StageDesign:
    """The design of that stage, every bot unpacked."""
    return design_stage(plan_of(folder, sectors, **factory))


def refused(plan: StagePlan) -> list[Diagnostic]:
    """The errors with which the design of `plan` is refused."""
    try:
        design_stage(plan)
    except PlanError as error:
        return [found for found in error.diagnostics if found.severity == "error"]
    raise AssertionError("the plan was not refused")


def of_type(stacks: Iterable[StackDesign], kind: str) -> list[Resource]:
    """The resources of type `AWS::<kind>` of all `stacks`."""
    return [one for stack in stacks for one in stack.resources if one.type == f"AWS::{kind}"]


def statements(design: StageDesign, sector: str) -> dict[str, Any]:
    """The statements of a sector's role by Sid."""
    (role,) = [one for one in of_type(design.stacks, "IAM::Role") if one.sector == sector]
    (policy,) = role.properties["Policies"]
    return {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}


def with_config(plan: StagePlan, config: Mapping[str, Any]) -> StagePlan:
    """`plan` with this config for every bot, past what reading a plan refuses."""
    sectors = tuple(
        replace(sector, bots=tuple(replace(bot, config=config) for bot in sector.bots)) for sector in plan.sectors
    )
    return replace(plan, sectors=sectors)


def with_parameters(plan: StagePlan, **parameters: Any) -> StagePlan:
    """`plan` with these parameters beside those of its sectors, past what reading a plan refuses."""
    sectors = tuple(replace(one, parameters={**one.parameters, **parameters}) for one in plan.sectors)
    return replace(plan, sectors=sectors)
