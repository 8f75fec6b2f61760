"""Fills stacks with sectors and queues, within CloudFormation's limits on a template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from factory_cdk.design.model import Resource

MAX_RESOURCES = 500
"""Resources of a template
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html)."""

MAX_TEMPLATE_BYTES = 1_000_000
"""Bytes of a template in S3 (same source: 1 MB)."""

TEMPLATE_OVERHEAD = 40_000
"""Bytes kept free for the sections that are not resources: metadata of bots, mappings, CDK's own rule."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Resources that stay together in one stack: those of a sector, or of a queue. `size` is in bytes."""

    name: str
    resources: tuple[Resource, ...]
    size: int


def unit(name: str, resources: tuple[Resource, ...]) -> Unit:
    """A unit with the bytes that it takes in a template at the most.

    CDK puts every element on a line of its own, indented by one space a level: 16 bytes for each are more than
    any line here is indented by. Writing the indented text itself takes ten times as long.
    """
    text = json.dumps([[one.logical_id, one.type, one.properties, one.depends_on] for one in resources])
    lines = text.count(",") + 2 * (text.count("[") + text.count("{"))
    return Unit(name, resources, len(text) + 16 * lines)


@dataclass(slots=True)
class Fill:
    """One stack while it is filled."""

    units: list[Unit] = field(default_factory=list)
    resources: int = 0
    size: int = TEMPLATE_OVERHEAD

    def takes(self, new: Unit) -> bool:
        """Whether `new` still fits."""
        return self.resources + len(new.resources) <= MAX_RESOURCES and self.size + new.size <= MAX_TEMPLATE_BYTES

    def add(self, new: Unit) -> None:
        """Put `new` into the stack."""
        self.units.append(new)
        self.resources += len(new.resources)
        self.size += new.size


def too_large(new: Unit) -> bool:
    """Whether `new` does not even fit a stack of its own."""
    return not Fill().takes(new)


def fill(units: Sequence[Unit], pinned: Mapping[str, int] | None = None) -> list[Fill]:
    """`units` in as few stacks as first-fit in their order gives, each within the limits.

    `pinned` says which stack (from 1) a unit was in before; it stays there as long as it fits, so that a change
    of the plan moves no sector between stacks. Stacks that end up empty keep their place.
    """
    stacks: list[Fill] = []
    for new in units:
        wanted = (pinned or {}).get(new.name)
        if wanted is not None:
            stacks += [Fill() for _ in range(wanted - len(stacks))]
            if stacks[wanted - 1].takes(new):
                stacks[wanted - 1].add(new)
                continue
        place = next((stack for stack in stacks if stack.takes(new)), None)
        if place is None:
            place = Fill()
            stacks.append(place)
        place.add(new)
    return stacks
