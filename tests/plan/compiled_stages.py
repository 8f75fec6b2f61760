"""Stages of plans through the real CDK and cfn-lint, and where their templates differ from what the plan says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.lint import engines
from factory_cdk.plan.model import Plan, SectorType, StagePlan, StageSector
from factory_cdk.plan.stage import resolve_stage

REGION = "eu-west-2"
"""Of aws sectors that name none, in a stage that names none."""

Templates = Mapping[str, Any]


def compiled(plan: Plan, stage: str, folder: Path) -> tuple[StagePlan, StageDesign, Templates]:
    """A stage resolved, designed and synthesized into the new `folder`; the templates are by stack."""
    from factory_cdk.stacks.node import prepare_cdk

    prepare_cdk()
    from factory_cdk.stacks.app import synthesize

    named = (sector.region_name for sector in plan.stages[stage].sectors if sector.region_name)
    default = next(named, plan.stages[stage].home_region or REGION)  # of the same partition as the others
    resolved = resolve_stage(plan, stage, region=default)
    design = design_stage(resolved)
    folder.mkdir()
    synthesize(design, folder)
    files = {stack.name: folder / f"{stack.name}{engines.TEMPLATE_SUFFIX}" for stack in design.stacks}
    return resolved, design, {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}


@cache
def _rules() -> Any:
    return engines._rules()


def lint_errors(design: StageDesign, folder: Path) -> Iterator[str]:
    """Everything that cfn-lint says of the templates in `folder`, warnings too: none is taken as justified."""
    for one in engines._cfn_lint(design, folder, _rules()):
        if one.number not in engines.BY_DESIGN:
            yield f"{one.rule} {one.message} at {'.'.join(map(str, one.place.path))}"


def as_written(plan: StagePlan, templates: Templates) -> Iterator[str]:
    """Where templates differ from what the plan says of `meta`, instances, alarms, tags and config."""
    parts = [one for template in templates.values() for one in template["Resources"].values()]
    for template in templates.values():
        meta = template["Metadata"]["factory-cdk"].get("meta", {})
        if not same(meta, without_null(plan.meta)):
            yield f"meta is {meta!r}, not {plan.meta!r}"
    for sector in plan.sectors:
        if sector.type is SectorType.AWS:
            own = [one for one in parts if _tag(one, "factory-cdk:sector") == sector.name]
            yield from _sector(plan, sector, own)


def _sector(plan: StagePlan, sector: StageSector, parts: list[Any]) -> Iterator[str]:
    (instance,) = (one["Properties"] for one in parts if one["Type"] == "AWS::EC2::Instance")
    yield from _differences("instance", sector.parameters, instance, {"MetadataOptions", "Tags"})
    tags = {"factory-cdk:factory": plan.factory, "factory-cdk:stage": plan.name, **plan.tags}
    tags |= {tag["Key"]: tag["Value"] for tag in sector.parameters.get("Tags", ())}
    for key, value in tags.items():
        if not any(same(value, tag["Value"]) for tag in instance["Tags"] if tag["Key"] == key):
            yield f"the tag {key!r} is not {value!r}"
    alarms = [one["Properties"] for one in parts if one["Type"] == "AWS::CloudWatch::Alarm"]
    if sector.alarm is not None:
        ours = {"ActionsEnabled", "AlarmActions", "OKActions", "InsufficientDataActions", "Tags"}
        yield from _differences("alarm", sector.alarm.properties, alarms[0], ours)
    for bot in sector.bots:
        path = f"/factory-cdk/{plan.factory}/{plan.name}/{sector.name}/config/{bot.bot.name}/"
        values = {
            int(one["Properties"]["Name"].removeprefix(path)): one["Properties"]["Value"]
            for one in parts
            if one["Type"] == "AWS::SSM::Parameter" and one["Properties"]["Name"].startswith(path)
        }
        text = "".join(values[number] for number in sorted(values)) or "{}"
        if not same(json.loads(text), bot.config):
            yield f"the config of {bot.bot.name} is {text}, not {bot.config}"


def _tag(resource: Any, key: str) -> Any:
    tags = resource.get("Properties", {}).get("Tags", ())
    return tags.get(key) if isinstance(tags, dict) else next((tag["Value"] for tag in tags if tag["Key"] == key), None)


def _differences(what: str, wanted: Mapping[str, Any], found: Any, ours: set[str]) -> Iterator[str]:
    for key, value in wanted.items():
        if key not in ours and not same(found.get(key), value):
            yield f"{what}: {key} is {found.get(key)!r}, not {value!r}"


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 5 and 5.0 are, 1 and true are not."""
    match one:
        case bool() | str() | None:
            return type(one) is type(other) and one == other
        case int() | float():
            return isinstance(other, int | float) and not isinstance(other, bool) and one == other
        case Mapping():
            keys = isinstance(other, Mapping) and one.keys() == other.keys()
            return keys and all(same(one[key], other[key]) for key in one)
        case _:
            return isinstance(other, list | tuple) and len(one) == len(other) and all(map(same, one, other))


def without_null(value: Any) -> Any:
    """What a template keeps of `value`: CloudFormation has no null."""
    if isinstance(value, Mapping):
        return {key: without_null(item) for key, item in value.items() if item is not None}
    return [without_null(item) for item in value if item is not None] if isinstance(value, list) else value
