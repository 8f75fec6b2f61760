"""Stacks of a stage that its design has no more: a sector moved to another region, or was the last one in a stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.stacks import numbers_after
from factory_cdk.plan.names import FACTORY_TAG, STAGE_TAG


@dataclass(frozen=True, slots=True)
class ExistingStack:
    """A stack as an account has it."""

    name: str
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)


def stale_stacks(design: StageDesign, existing: Iterable[ExistingStack]) -> tuple[ExistingStack, ...]:
    """Those of `existing` that are of the stage of `design` and that it has no more, those of its queues last.

    They are found by their tags: nothing else remembers them, since an assembly has the stacks of one design alone.
    Their instances go on until they are deleted.
    """
    wanted = {(stack.name, stack.region) for stack in design.stacks}
    own = {FACTORY_TAG: design.factory, STAGE_TAG: design.stage}
    found = [
        stack
        for stack in existing
        if own.items() <= dict(stack.tags).items() and (stack.name, stack.region) not in wanted
    ]
    first = Names(design.factory, design.stage).stack("queues")
    return tuple(sorted(found, key=lambda stack: (_is_one_of(first, stack.name), stack.region, stack.name)))


def _is_one_of(first: str, name: str) -> bool:
    return bool(numbers_after(first, {name: name}))
