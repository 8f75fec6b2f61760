"""Designs and templates for tests: from a plan's text to parsed templates, and a small CloudFormation evaluator."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from factory_cdk.bundle import Bundle, unpacked
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StackDesign, StageDesign
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import StagePlan
from factory_cdk.plan.stage import resolve_stage

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "plans" / "reference" / "factory-plan.yml"
REGION = "eu-west-2"
ACCOUNT = "111111111111"

Template = dict[str, Any]


def stage_plan(text: str, folder: Path, stage: str = "dev", region: str = REGION) -> StagePlan:
    """Stage `stage` of the plan `text`, which is written to `folder`."""
    file = folder / "factory-plan.yml"
    file.write_text(text, encoding="utf-8")
    return resolve_stage(read_plan(file), stage, region=region)


def reference(stage: str) -> StagePlan:
    """A stage of the reference plan."""
    return resolve_stage(read_plan(REFERENCE), stage, region=REGION)


def packed(plan: StagePlan, folder: Path) -> dict[str, Bundle]:
    """A bundle for every bot of `plan` that looks packed: a real zip in `folder`, its digests right."""
    bundles = {}
    for bot in plan.bots:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(zipfile.ZipInfo("bots.py"), f"name = {bot.name!r}\n")
        file = folder / f"{bot.name}.zip"
        file.write_bytes(content.getvalue())
        stand_in = unpacked(bot)
        bundles[bot.name] = Bundle(
            bot=bot.name,
            digest=hashlib.sha256(bot.name.encode()).hexdigest(),
            packed=True,
            kind=stand_in.kind,
            origin=stand_in.origin,
            archive=str(file),
            archive_sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        )
    return bundles


def synthesized(design: StageDesign, folder: Path) -> dict[str, Template]:
    """The templates of `design` as CDK wrote them into `folder`, by stack."""
    from factory_cdk.stacks.node import prepare_cdk

    prepare_cdk()
    from factory_cdk.stacks.app import synthesize

    folder.mkdir(exist_ok=True)
    synthesize(design, folder)
    return {stack.name: read(folder / f"{stack.name}.template.json") for stack in design.stacks}


def with_empty_assets(design: StageDesign, folder: Path) -> None:
    """Give the assembly of `design` in `folder` an empty file for what no pack cache has (wheels, builds of Python), so
    that it can be published where nobody reads them.
    """
    for asset in (asset for stack in design.stacks for asset in stack.assets):
        (folder / f"asset.{asset.key}").touch()


def read(file: Path) -> Template:
    """A template's JSON."""
    content = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def templates_of(text: str, folder: Path, stage: str = "dev") -> dict[str, Template]:
    """The templates of a stage of the plan `text`, every bot unpacked."""
    return synthesized(design_stage(stage_plan(text, folder, stage)), folder / "cdk.out")


def resources(template: Template, type_: str) -> dict[str, Template]:
    """The resources of `type_` by logical id."""
    return {name: one for name, one in template["Resources"].items() if one["Type"] == type_}


def only(template: Template, type_: str) -> Template:
    """The one resource of `type_`."""
    (found,) = resources(template, type_).values()
    assert isinstance(found, dict)
    return found


def design_resources(stack: StackDesign, type_: str) -> dict[str, Mapping[str, Any]]:
    """The properties of a StackDesign's resources of `type_` by logical id."""
    return {one.logical_id: one.properties for one in stack.resources if one.type == type_}


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value inside `value` with its path, containers too."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


def intrinsics(value: Any) -> list[tuple[str, Any]]:
    """Every CloudFormation function in `value`, as its name and argument."""
    return [
        (key, item)
        for _, inner in walk(value)
        if isinstance(inner, dict)
        for key, item in inner.items()
        if key in ("Ref", "Condition") or key.startswith("Fn::")
    ]


def evaluate(template: Template, value: Any, region: str = REGION) -> Any:
    """What CloudFormation makes of `value` in `template`: Ref, Sub, Join, FindInMap, GetAtt and Base64.

    A resource's Ref is `<its logical id>`; Base64 is encoded for real. Anything else it does not know fails.
    """
    if isinstance(value, list):
        return [evaluate(template, item, region) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref":
            return _referred(template, argument, region)
        if name == "Fn::GetAtt":
            assert argument[0] in template["Resources"]
            return f"<{argument[0]}.{argument[1]}>"
        if name == "Fn::Sub":
            assert isinstance(argument, str)
            return _substituted(template, argument, region)
        if name == "Fn::Join":
            return argument[0].join(evaluate(template, argument[1], region))
        if name == "Fn::FindInMap":
            first, second, third = argument
            return template["Mappings"][first][second][third]
        if name == "Fn::Base64":
            return base64.b64encode(evaluate(template, argument, region).encode()).decode()
        assert not name.startswith("Fn::"), f"unknown function {name}"
    return {key: evaluate(template, item, region) for key, item in value.items()}


def _referred(template: Template, name: str, region: str) -> str:
    pseudo = {
        "AWS::AccountId": ACCOUNT,
        "AWS::Region": region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
    }
    if name in pseudo:
        return pseudo[name]
    assert name in template["Resources"], f"{name} is no resource of the template"
    return f"<{name}>"


def _substituted(template: Template, text: str, region: str) -> str:
    def filled(found: re.Match[str]) -> str:
        name = found[1]
        return "${" + name[1:] + "}" if name.startswith("!") else _referred(template, name, region)

    return re.sub(r"\$\{([^}]*)\}", filled, text)


def user_data(template: Template, instance: Template) -> str:
    """The user-data of an instance in the clear."""
    encoded = evaluate(template, instance["Properties"]["UserData"])
    return base64.b64decode(encoded).decode()


def parameter(template: Template, name: str) -> Any:
    """The JSON in an SSM parameter, joined when it is split (`…/1`, `…/2`)."""
    values = {
        one["Properties"]["Name"]: evaluate(template, one["Properties"]["Value"])
        for one in resources(template, "AWS::SSM::Parameter").values()
    }
    if name in values:
        return json.loads(values[name])
    parts = sorted((int(key.rpartition("/")[2]), value) for key, value in values.items() if key.startswith(f"{name}/"))
    return json.loads("".join(value for _, value in parts))
