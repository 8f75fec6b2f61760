"""Versions of a plan for the tests of review: a plan as data, edits of it, and what becomes of a version."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from stack_templates import Template, synthesized, with_empty_assets

from factory_cdk.bundle import Bundle, unpacked
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StackDesign, StageDesign
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Json, StagePlan
from factory_cdk.plan.stage import resolve_stage
from factory_cdk.review.sides.of_design import side_of_design
from factory_cdk.review.sides.side import StageSide
from factory_cdk.wheels import BotWheels

STAGE = "dev"

BASE = """
factory:
  name: agree
  tags: {team: cfd}
  meta: {owner: ann}
  config: {LEVEL: info}
  bots:
    first: {source: {pypi: first, version: "1"}, bot_path: "bots:first", secrets: [TOKEN]}
    second: {source: {pypi: second, version: "1"}, bot_path: "bots:second"}
    third: {source: {pypi: third, version: "1"}, bot_path: "bots:third"}
  workflows:
    flow: {first: second}
    longer: {first: {second: third}}
  alarms:
    idle: {MetricName: CPUUtilization, Namespace: AWS/EC2, Statistic: Average, Period: 60, EvaluationPeriods: 10,
           ComparisonOperator: LessThanThreshold, Threshold: '5', AlarmActions: [terminate]}
    busy: {MetricName: CPUUtilization, Namespace: AWS/EC2, Statistic: Maximum, Period: 300, EvaluationPeriods: 2,
           ComparisonOperator: GreaterThanThreshold, Threshold: 90, AlarmActions: [stop]}
  stages:
    dev:
      workflow: flow
      home_region: eu-west-2
      box:
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
          SubnetId: subnet-0123456789abcdef0
          SecurityGroupIds: [sg-0123456789abcdef0]
          BlockDeviceMappings:
            - {DeviceName: /dev/xvda, Ebs: {VolumeSize: 8, DeleteOnTermination: true}}
            - {DeviceName: /dev/xvdb, Ebs: {VolumeSize: 20}}
          Tags: [{Key: cost, Value: low}, {Key: room, Value: one}]
        bots: {first: {}}
      net:
        type: aws
        region_name: eu-west-2
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: t3.micro
          NetworkInterfaces:
            - {DeviceIndex: '0', SubnetId: subnet-0123456789abcdef0, GroupSet: [sg-0123456789abcdef0],
               AssociatePublicIpAddress: false}
        bots: {second: {}}
      far:
        type: aws
        region_name: eu-west-1
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {third: {}}
      desk:
        type: local
        bots: {third: {}}
"""


@dataclass(frozen=True)
class Version:
    """A plan as data, and what is not in it: the `code` of bots (any text), their locked `requirements`, the stacks
    that plan.lock pins sectors to, and text at the end of the script that all instances share.
    """

    plan: Mapping[str, Any]
    code: Mapping[str, str] = field(default_factory=dict)
    requirements: Mapping[str, str] = field(default_factory=dict)
    pinned: Mapping[str, str] = field(default_factory=dict)
    script: str = ""

    @property
    def key(self) -> str:
        """The same for versions that are the same."""
        said = repr((json.dumps(self.plan), self.code, self.requirements, self.pinned, self.script))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


Edit = Callable[[Version], Version]


def base(factory: str = "agree") -> Version:
    """The version that the edits start from."""
    plan = yaml.safe_load(BASE)
    plan["factory"]["name"] = factory
    return Version(plan)


def edited(version: Version, edits: tuple[Edit, ...]) -> Version:
    """`version` after all `edits`."""
    for edit in edits:
        version = edit(version)
    return version


def _parent(plan: Any, path: str) -> tuple[Any, Any]:
    """The container in `plan` that `path` (below `factory:`, its parts between spaces) ends in, and the last part."""
    here = plan["factory"]
    parts = [int(part) if part.isdigit() else part for part in path.split(" ")]
    for part in parts[:-1]:
        here = here[part] if isinstance(part, int) else here.setdefault(part, {})
    return here, parts[-1]


def put(path: str, value: Json) -> Edit:
    """Set what is at `path`."""

    def done(version: Version) -> Version:
        plan = copy.deepcopy(version.plan)
        container, key = _parent(plan, path)
        container[key] = copy.deepcopy(value)
        return replace(version, plan=plan)

    return done


def drop(path: str) -> Edit:
    """Take away what is at `path`."""

    def done(version: Version) -> Version:
        plan = copy.deepcopy(version.plan)
        container, key = _parent(plan, path)
        del container[key]
        return replace(version, plan=plan)

    return done


def rename(path: str, name: str) -> Edit:
    """Give the key at the end of `path` another name, in its place."""

    def done(version: Version) -> Version:
        plan = copy.deepcopy(version.plan)
        container, key = _parent(plan, path)
        items = [(name if one == key else one, value) for one, value in container.items()]
        container.clear()
        container.update(items)
        return replace(version, plan=plan)

    return done


def turn(path: str) -> Edit:
    """Turn the order of the list or mapping at `path` round."""

    def done(version: Version) -> Version:
        plan = copy.deepcopy(version.plan)
        container, key = _parent(plan, path)
        value = container[key]
        container[key] = value[::-1] if isinstance(value, list) else dict(reversed(value.items()))
        return replace(version, plan=plan)

    return done


def code(bot: str, text: str) -> Edit:
    """Give `bot` other code."""
    return lambda version: replace(version, code={**version.code, bot: text})


def locked(bot: str, line: str) -> Edit:
    """Give `bot` another locked requirement."""
    return lambda version: replace(version, requirements={**version.requirements, bot: line})


def pinned(sector: str, stack: str) -> Edit:
    """Let plan.lock keep `sector` in the stack whose name ends in `stack`."""
    return lambda version: replace(version, pinned={**version.pinned, sector: stack})


def script(text: str) -> Edit:
    """Let the script that instances share end in `text`, as another version of factory_cdk would write it."""
    return lambda version: replace(version, script=text)


@dataclass(frozen=True)
class Made:
    """A version designed, as a side of a review; its cloud assembly and templates are made when they are asked for."""

    key: str
    design: StageDesign
    side: StageSide
    folder: Path

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        """The templates by stack."""
        made = synthesized(self.design, self.folder / "cdk.out")
        with_empty_assets(self.design, self.folder / "cdk.out")
        return made

    @property
    def assembly(self) -> Path:
        """The folder of the cloud assembly."""
        assert self.templates is not None
        return self.folder / "cdk.out"

    def region(self, stack: str) -> str:
        """The region of `stack`."""
        return self.side.stacks[stack].region

    def tags(self, stack: str) -> dict[str, str]:
        """The tags of `stack`, which `cdk deploy` passes on."""
        return next(dict(one.tags) for one in self.design.stacks if one.name == stack)


def made(version: Version, folder: Path) -> Made:
    """`version` with every bot packed, in `folder`, which is made. PlanError when the plan is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "factory-plan.yml"
    file.write_text(yaml.safe_dump(version.plan, sort_keys=False), encoding="utf-8")
    plan = read_plan(file)
    stage = resolve_stage(plan, STAGE)
    prefix = f"{plan.name}-{STAGE}-"
    stacks = {sector: f"{prefix}{stack}" for sector, stack in version.pinned.items()}
    design = design_stage(stage, _bundles(version, stage, folder), pinned=stacks)
    if version.script:
        design = replace(design, stacks=tuple(_with_script(one, version.script) for one in design.stacks))
    return Made(version.key, design, side_of_design(plan, design), folder)


def _with_script(stack: StackDesign, text: str) -> StackDesign:
    mappings: dict[str, Any] = copy.deepcopy(dict(stack.mappings))
    for mapping in mappings.values():
        for values in mapping.values():
            values["shared"] += text
    return replace(stack, mappings=mappings)


def _bundles(version: Version, stage: StagePlan, folder: Path) -> dict[str, Bundle]:
    bundles = {}
    for bot in stage.bots:
        said = version.code.get(bot.name, "one")
        lines = version.requirements.get(bot.name)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(zipfile.ZipInfo("bots.py"), f"name = {bot.name!r}, {said!r}\n")
            archive.writestr(zipfile.ZipInfo("requirements.txt"), lines or "")
        file = folder / f"{bot.name}.zip"
        file.write_bytes(content.getvalue())
        bundles[bot.name] = replace(
            unpacked(bot),
            digest=hashlib.sha256(f"{bot.name} {said}".encode()).hexdigest(),
            packed=True,
            requirements=(lines,) if lines else (),
            lock_digest=hashlib.sha256(lines.encode()).hexdigest() if lines else None,
            archive=str(file),
            archive_sha256=hashlib.sha256(content.getvalue()).hexdigest(),
            wheels={"x86_64-3.12": BotWheels()},
        )
    return bundles
