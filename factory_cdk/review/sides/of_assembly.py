"""A cloud assembly (cdk.out) as a side of a review: what `synth` or a CDK app has written, perhaps long ago."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.design.model import Resource
from factory_cdk.design.stacks import estimated
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json
from factory_cdk.plan.names import logical
from factory_cdk.release import SectorRelease, release_from_json
from factory_cdk.review.resources import is_kept
from factory_cdk.review.sides.side import CodeSide, PlanSide, QueueSide, SectorBot, SectorSide, StackSide, StageSide

MOST_BYTES = 64 * 1024**2
"""A larger file of an assembly is refused; CloudFormation takes templates of 1 MB."""

_OURS = "factory-cdk"
_STACK = "aws:cloudformation:stack"
_NESTED = "cdk:cloud-assembly"
_REMEDY = "name a folder that `factory-cdk synth` or `cdk synth` has written"
_KINDS = (
    "Role|InstanceProfile|LogGroup|Instance[0-9]*(Spot[0-9a-f]{8})?|LaunchTemplate|Alarm|Release"
    "|(Secret|Config|Router)[A-Za-z0-9]*|(Booted|Ready)(Handle)?[0-9a-f]{8}"
)


@dataclass(frozen=True, slots=True)
class _Stack:
    """A stack of an assembly that a plan has made: its template, and what its metadata say."""

    name: str
    region: str
    protect: bool
    template: Mapping[str, Any]
    said: Mapping[str, Any]
    folder: Path


def side_of_assembly(folder: Path) -> PlanSide:
    """The stages in the cloud assembly `folder`. FactoryError when it is none, or has no stack of a factory."""
    stacks = tuple(_stacks(folder))
    if not stacks:
        raise FactoryError(f"{folder} has no stack of a factory", _REMEDY)
    factories = dict.fromkeys(str(stack.said.get("factory")) for stack in stacks)
    if len(factories) > 1:
        raise FactoryError(f"{folder} has stacks of several factories: {', '.join(factories)}", _REMEDY)
    by_stage: dict[str, list[_Stack]] = {}
    for stack in stacks:
        by_stage.setdefault(str(stack.said.get("stage")), []).append(stack)
    return PlanSide(
        label=str(folder),
        factory=next(iter(factories)),
        stages=tuple(by_stage),
        stage=lambda name: _Reading(folder, name, by_stage[name]).stage(),
        whole=False,
    )


def _stacks(folder: Path) -> Iterator[_Stack]:
    manifest = _read(folder / "manifest.json", folder)
    for name, said_of_it in _mapping(manifest.get("artifacts", {}), folder).items():
        artifact = _mapping(said_of_it, folder)
        properties = _mapping(artifact.get("properties", {}), folder)
        if artifact.get("type") == _NESTED:
            yield from _stacks(_inside(folder, properties.get("directoryName")))
        elif artifact.get("type") == _STACK:
            template = _read(_inside(folder, properties.get("templateFile")), folder)
            said = _mapping(template.get("Metadata", {}), folder).get(_OURS)
            if isinstance(said, dict) and "stage" in said:
                region = str(artifact.get("environment", "")).rpartition("/")[2]
                protect = bool(properties.get("terminationProtection"))
                yield _Stack(properties.get("stackName", name), region, protect, template, said, folder)


def _inside(folder: Path, name: Json) -> Path:
    """The file or folder `name` of an assembly."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise FactoryError(f"{folder} is not a cloud assembly: its manifest names {name!r}", _REMEDY)
    return folder / name


def _read(file: Path, folder: Path) -> Mapping[str, Any]:
    try:
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise FactoryError(f"{file} is not a file", _REMEDY)
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise FactoryError(f"{file} cannot be read: {error.strerror}", _REMEDY) from error
    if len(data) > MOST_BYTES:
        raise FactoryError(f"{file} is larger than {MOST_BYTES:,} bytes", _REMEDY)
    try:
        return _mapping(json.loads(data), folder)
    except (ValueError, RecursionError) as error:
        raise FactoryError(f"{file} is not valid JSON: {error}", _REMEDY) from error


def _mapping(value: Json, folder: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FactoryError(f"{folder} is not a cloud assembly that can be read", _REMEDY)
    return value


@dataclass(frozen=True, slots=True)
class _Reading:
    """One stage of an assembly while it is read."""

    folder: Path
    name: str
    stacks: list[_Stack]

    def stage(self) -> StageSide:
        """The stage. FactoryError when a part of it is not what factory_cdk writes."""
        try:
            return self._stage()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{self.folder}: stage {self.name} is not as factory-cdk writes it ({error})"
            raise FactoryError(message, _REMEDY) from error

    def _stage(self) -> StageSide:
        sides = {stack.name: self._stack(stack) for stack in self.stacks}
        sectors: dict[str, SectorSide] = {}
        edges: dict[tuple[str, str], None] = {}
        for stack in self.stacks:
            for name in stack.said.get("sectors", ()):
                sectors[name] = self._sector(stack, sides[stack.name], name)
        for sector in sectors.values():
            for bot in sector.bots.values():
                edges.update({(bot.release.name, one.bot): None for one in bot.release.successors})
        first = self.stacks[0].said
        return StageSide(
            name=self.name,
            factory=str(first["factory"]),
            version=str(first["version"]),
            sectors=sectors,
            queues=dict(self._queues(sides)),
            stacks=sides,
            edges=tuple(edges),
            code=self._code(sectors),
            whole=False,
        )

    def _stack(self, stack: _Stack) -> StackSide:
        owners = {logical(name): name for name in stack.said.get("sectors", ())}
        resources = {
            logical_id: Resource(
                logical_id,
                str(said["Type"]),
                said.get("Properties", {}),
                tuple(_listed(said.get("DependsOn", ()))),
                _owner(logical_id, owners),
                said.get("DeletionPolicy"),
                said.get("UpdateReplacePolicy"),
                said.get("Condition"),
            )
            for logical_id, said in stack.template.get("Resources", {}).items()
            if said["Type"] != "AWS::CDK::Metadata"
        }
        sections = [stack.said, stack.template.get("Mappings", {})]
        size = sum(map(estimated, [*sections, [(one.logical_id, one.properties) for one in resources.values()]]))
        return StackSide(stack.name, stack.region, resources, stack.template.get("Mappings", {}), size, stack.protect)

    def _sector(self, stack: _Stack, side: StackSide, name: str) -> SectorSide:
        own = {one.logical_id: one for one in side.by_sector.get(name, ())}
        release, content = self._release(stack, own[f"{logical(name)}Release"])
        values = {one.properties["Name"]: one.properties["Value"] for one in own.values() if _is_parameter(one)}
        bots = {
            bot.name: SectorBot(
                bot, json.loads("".join(values[one] for one in bot.config.parameters)) if bot.config else {}
            )
            for bot in release.bots
        }
        platform = "windows" if str(content["install"]["key"]).endswith(".ps1") else "linux"
        return SectorSide(name, "aws", bots, platform, stack.region, stack.name)

    def _release(self, stack: _Stack, parameter: Resource) -> tuple[SectorRelease, Mapping[str, Any]]:
        text = parameter.properties["Value"]
        said = json.loads(text["Fn::Sub"] if isinstance(text, dict) else text)
        content = _read(_inside(stack.folder, f"asset.{said['sha256']}.json"), stack.folder)
        return release_from_json(content), content

    def _queues(self, sides: Mapping[str, StackSide]) -> Iterator[tuple[str, QueueSide]]:
        for stack in self.stacks:
            by_name = {one.properties.get("QueueName"): one for one in sides[stack.name].resources.values()}
            for said in stack.said.get("queues", ()):
                queue = by_name[said["queue"]]
                visibility = int(queue.properties["VisibilityTimeout"])
                yield said["name"], QueueSide(said["name"], said["queue"], visibility, stack.name, is_kept(queue))

    def _code(self, sectors: Mapping[str, SectorSide]) -> dict[str, CodeSide]:
        described = {said["bot"]: said for stack in self.stacks for said in stack.said.get("bots", ())}
        names = dict.fromkeys(name for sector in sectors.values() for name in sector.bots)
        return {
            name: CodeSide(
                name=name,
                kind=said["kind"],
                origin=said["source"],
                digest=said["digest"],
                pinned=bool(said["packed"]),
                url=said["source"].rpartition("@")[0] if said["kind"] == "git" and said.get("commit") else None,
                commit=said.get("commit"),
            )
            for name in names
            if (said := described.get(name))
        }


def _owner(logical_id: str, owners: Mapping[str, str]) -> str | None:
    """The sector that a resource is of, by its logical id."""
    found = [one for one in owners if re.fullmatch(re.escape(one) + f"({_KINDS})", logical_id)]
    return owners[max(found, key=len)] if found else None


def _is_parameter(resource: Resource) -> bool:
    return resource.type == "AWS::SSM::Parameter" and isinstance(resource.properties.get("Value"), str)


def _listed(value: Json) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
