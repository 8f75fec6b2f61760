"""A finding and the place that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from factory_cdk.design.model import Resource, StageDesign
from factory_cdk.plan.yaml.nodes import Path


@dataclass(frozen=True, slots=True)
class InTemplate:
    """A place in the template of `stack`: `path` starts with the section (`("Resources", "BoxInstance", …)`)."""

    stack: str
    path: Path


@dataclass(frozen=True, slots=True)
class InPlan:
    """A place in the plan."""

    path: Path


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, where, and what to do about it; `code` decides how severe it is."""

    code: str
    place: InTemplate | InPlan
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A resource of a design and the stack that it is in."""

    stack: str
    resource: Resource

    def at(self, *path: str | int) -> InTemplate:
        """The place of one of its properties."""
        return InTemplate(self.stack, ("Resources", self.resource.logical_id, "Properties", *path))


def of_type(design: StageDesign, type_: str) -> Iterator[Placed]:
    """Every resource of a CloudFormation type, in the order of the templates."""
    for stack in design.stacks:
        for resource in stack.resources:
            if resource.type == type_:
                yield Placed(stack.name, resource)
