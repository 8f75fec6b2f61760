"""Fills stacks with sectors and queues, within CloudFormation's limits on a template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from factory_cdk.design.model import Resource
from factory_cdk.plan.model import Json

MAX_RESOURCES = 500
"""Resources of a template
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html)."""

MAX_TEMPLATE_BYTES = 1_000_000
"""Bytes of a template in S3 (same source: 1 MB)."""

FRAME_BYTES = 8_000
"""Bytes kept free for what every template has: its description, the rules and parameter of CDK and ours."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Resources that stay together in one stack: those of a sector, or of a queue. `size` is in bytes."""

    name: str
    resources: tuple[Resource, ...]
    size: int


def unit(name: str, resources: tuple[Resource, ...], metadata: Json = None) -> Unit:
    """A unit with the bytes that it takes in a template at the most; `metadata` is its part of that section."""
    parts = [{"Type": one.type, "Properties": one.properties, "DependsOn": one.depends_on} for one in resources]
    return Unit(name, resources, estimated([name, metadata, [one.logical_id for one in resources], parts]))


def estimated(value: Json) -> int:
    """At least the bytes that `value` takes in a template.

    CDK puts every element on a line of its own, indented by one space a level: 16 bytes for each are more than
    any line here is indented by. Writing the indented text itself takes ten times as long.
    """
    text = json.dumps(value)
    return len(text) + 16 * (text.count(",") + 2 * (text.count("[") + text.count("{")))


@dataclass(slots=True)
class Fill:
    """One stack while it is filled; `size` starts with the bytes of what every stack has."""

    size: int
    units: list[Unit] = field(default_factory=list)
    resources: int = 0

    def takes(self, new: Unit) -> bool:
        """Whether `new` still fits."""
        return self.resources + len(new.resources) <= MAX_RESOURCES and self.size + new.size <= MAX_TEMPLATE_BYTES

    def add(self, new: Unit) -> None:
        """Put `new` into the stack."""
        self.units.append(new)
        self.resources += len(new.resources)
        self.size += new.size


def fill(
    units: Sequence[Unit], pinned: Mapping[str, int] | None = None, *, overhead: int = 0, reserved: int = 0
) -> dict[int, list[Unit]]:
    """`units` in stacks by number (from 1), each within the limits and in the order of `units`.

    `pinned` says which stack a unit was in before: it stays there as long as it fits, and before any other unit
    is placed, so that a change of the plan moves nothing between stacks. The others go, in their order, into
    the first stack that takes them. `overhead` is the bytes of what every stack has beside its units, `reserved`
    how many resources that are. A unit that fits no stack gets one of its own.
    """
    stacks: dict[int, Fill] = {}
    places = {one.name: pinned[one.name] for one in units if pinned and one.name in pinned}
    unplaced: list[Unit] = []
    for new in sorted(units, key=lambda one: one.name not in places):
        number = places.get(new.name)
        if number is not None and stacks.setdefault(number, Fill(overhead, resources=reserved)).takes(new):
            stacks[number].add(new)
        else:
            unplaced.append(new)
    for new in unplaced:
        number = next((number for number in sorted(stacks) if stacks[number].takes(new)), None) or _unused(stacks)
        stacks.setdefault(number, Fill(overhead, resources=reserved)).add(new)
    order = {one.name: place for place, one in enumerate(units)}
    return {
        number: sorted(stack.units, key=lambda one: order[one.name])
        for number, stack in sorted(stacks.items())
        if stack.units
    }


def _unused(numbers: Iterable[int]) -> int:
    """The lowest number from 1 that is not among `numbers`."""
    taken = set(numbers)
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def numbers_after(first: str, stacks: Mapping[str, str]) -> dict[str, int]:
    """The numbers of those `stacks` (names by what is in them) that are `first` or continue it (`first-2`)."""
    numbers: dict[str, int] = {}
    for name, stack in stacks.items():
        if stack == first:
            numbers[name] = 1
        elif found := re.fullmatch(re.escape(first) + r"-([2-9]|[1-9][0-9]{1,5})", stack):
            numbers[name] = int(found[1])
    return numbers
