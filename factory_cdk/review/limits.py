"""How near stacks and sectors are to limits of AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factory_cdk.canonical_json import canonical_json
from factory_cdk.design.policy import POLICY_LIMIT
from factory_cdk.design.stacks import MAX_RESOURCES, MAX_TEMPLATE_BYTES
from factory_cdk.plan.model import Json
from factory_cdk.review.access import ROLE
from factory_cdk.review.behaviour import INSTANCE
from factory_cdk.review.model import LimitReport
from factory_cdk.review.sides.side import StackSide, StageSide

USER_DATA_LIMIT = 16 * 1024
"""Bytes of user-data before it is base64-encoded
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html)."""


def limit_reports(before: StageSide | None, after: StageSide | None) -> tuple[LimitReport, ...]:
    """Every limit that the new side comes near to or far from, by stack and, the largest alone, by sector."""
    if after is None:
        return ()
    old = {key: used for key, (used, _) in _uses(before).items()} if before else {}
    return tuple(
        LimitReport(subject, unit, used, limit, old.get((subject, unit)))
        for (subject, unit), (used, limit) in _uses(after).items()
    )


def _uses(stage: StageSide) -> dict[tuple[str, str], tuple[int, int]]:
    """How much of which limit is used, by what uses it and by the unit."""
    return {(subject, unit): (used, limit) for subject, unit, used, limit in _each(stage)}


def _each(stage: StageSide) -> Iterator[tuple[str, str, int, int]]:
    for stack in stage.stacks.values():
        yield stack.name, "resources", len(stack.resources), MAX_RESOURCES
        yield stack.name, "bytes of template", stack.size, MAX_TEMPLATE_BYTES
        for unit, sizes, limit in (
            ("bytes of user-data", _user_data_sizes(stack), USER_DATA_LIMIT),
            ("characters of role policies", _policy_sizes(stack), POLICY_LIMIT),
        ):
            if sizes:
                largest = max(sizes, key=lambda name: sizes[name])
                yield f"sector {largest}", unit, sizes[largest], limit


def _user_data_sizes(stack: StackSide) -> dict[str, int]:
    return {
        one.sector or one.logical_id: len(_joined(one.properties.get("UserData"), stack.mappings).encode())
        for one in stack.resources.values()
        if one.type == INSTANCE
    }


def _policy_sizes(stack: StackSide) -> dict[str, int]:
    return {
        one.sector or one.logical_id: sum(
            len(canonical_json(policy.get("PolicyDocument"))) for policy in one.properties.get("Policies", ())
        )
        for one in stack.resources.values()
        if one.type == ROLE
    }


def _joined(value: Json, mappings: Mapping[str, Json]) -> str:
    """The text that `value` becomes when CloudFormation has filled in its Join, Base64 and FindInMap."""
    match value:
        case str():
            return value
        case {"Fn::Base64": inner}:
            return _joined(inner, mappings)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_joined(part, mappings) for part in parts)
        case {"Fn::FindInMap": [str(name), str(first), str(second)]}:
            return str(mappings.get(name, {}).get(first, {}).get(second, ""))
        case {"Fn::Sub": str(text)} | {"Ref": str(text)}:
            return text
        case _:
            return ""
