"""What CloudFormation will do, resource by resource."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.review.formats.blocks import Block, Details, Line, Table, Value
from factory_cdk.review.formats.grouping import alike
from factory_cdk.review.formats.values import counted, names
from factory_cdk.review.model import ResourceChange, StageReport

MOST_ROWS = 100
"""Rows of resources in the table."""


def resource_blocks(stage: StageReport) -> Iterator[Block]:
    """The resources that are added, modified and removed, in details."""
    groups = alike(stage.resources, lambda one: (one.stack, one.type, one.action, one.replacement, one.properties,
                                                 one.references))  # fmt: skip
    if not groups:
        return
    rows = tuple(_row(same) for same in groups[:MOST_ROWS])
    table = Table(("action", "type", "resource", "replacement", "properties", "stack"), rows)
    yield Details(f"CloudFormation: {counted(len(stage.resources), 'resource')}", (table,))


def _row(same: list[ResourceChange]) -> tuple[Line, ...]:
    first = same[0]
    return (
        (Value(first.action),),
        (Value(first.type),),
        names([one.logical_id for one in same], "resource"),
        (Value(first.replacement),) if first.replacement else (),
        _properties(first),
        (Value(first.stack),),
    )


def _properties(found: ResourceChange) -> Line:
    line: list[str | Value] = []
    for name in found.properties:
        line += [", "] if line else []
        line.append(Value(name))
        if name in found.references:
            line.append(" (by reference)")
    return tuple(line)
