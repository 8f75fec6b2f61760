"""What CloudFormation does when a property of a resource changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from factory_cdk.design.model import Resource
from factory_cdk.plan.facts import update_behaviour
from factory_cdk.plan.model import Json
from factory_cdk.review.model import Effect
from factory_cdk.review.values import differences

INSTANCE = "AWS::EC2::Instance"

_STOPS = frozenset(
    {
        "AdditionalInfo",
        "Affinity",
        "EbsOptimized",
        "HostId",
        "InstanceType",
        "KernelId",
        "PrivateDnsNameOptions",
        "RamdiskId",
        "Tenancy",
        "UserData",
    }
)
"""Properties for which CloudFormation stops an instance whose root volume is in EBS, changes it and starts it again;
one whose root is an instance store is replaced (`Update requires: Some interruptions` in the documentation of
AWS::EC2::Instance, https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-instance.html).
"""

_IN_PLACE_TEXT = "changed without interruption"

_IN_PLACE = frozenset({"SecurityGroupIds"})
"""Conditional in the schema for EC2-Classic, which ended in 2022; in a VPC they are changed without interruption."""


def replacement(type_: str, name: str) -> str:
    """Whether a change of the property `name` replaces a resource of `type_`, as a change set says it: True,
    Conditional or False.
    """
    known = update_behaviour().get(type_, {})
    if name in known.get("replaces", ()):
        return "True"
    return "Conditional" if name in known.get("may_replace", ()) else "False"


def effect_of(resource: Resource, name: str, before: Json, after: Json) -> tuple[Effect, str]:
    """What a change of the property `name` of `resource` from `before` to `after` does, and a sentence why."""
    if resource.type != INSTANCE:  # what is replaced then is not what runs the bots
        replaced = replacement(resource.type, name) == "True"
        return (
            Effect.UPDATE,
            f"one that exists cannot get another {name}: it is replaced" if replaced else _IN_PLACE_TEXT,
        )
    match replacement(resource.type, name):
        case "True":
            return Effect.REPLACE, f"an instance that exists cannot get another {name}"
        case "Conditional":
            return _conditional(name, before, after)
    return Effect.UPDATE, _IN_PLACE_TEXT


def _conditional(name: str, before: Json, after: Json) -> tuple[Effect, str]:
    if name in _IN_PLACE:
        return Effect.UPDATE, _IN_PLACE_TEXT
    if name in _STOPS:
        return Effect.RESTART, "the instance stops and starts (with an instance store as its root: is replaced)"
    if name == "BlockDeviceMappings":
        # "you can modify only the DeleteOnTermination parameter […] without interrupting the instance"
        changed = [path for path, _, _ in differences(before, after)]
        if changed and all(path.endswith(".Ebs.DeleteOnTermination") for path in changed):
            return Effect.UPDATE, _IN_PLACE_TEXT
        return Effect.REPLACE, "the volumes of an instance that exists cannot be changed"
    return Effect.MAY_REPLACE, "CloudFormation decides when it updates whether it is replaced"


def references(value: Json) -> Iterator[tuple[str, bool]]:
    """What `value` refers to by Ref, Fn::GetAtt or Fn::Sub: the name, and whether it is an attribute of it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield item, False
            elif key == "Fn::GetAtt" and item:
                yield (item.split(".") if isinstance(item, str) else item)[0], True
            elif key == "Fn::Sub" and isinstance(item, str):
                yield from _in_text(item)
            elif key == "Fn::Sub" and item:
                yield from (*_in_text(str(item[0])), *references(item[1:]))
            else:
                yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def _in_text(text: str) -> Iterator[tuple[str, bool]]:
    for name in re.findall(r"\$\{([^!}][^}]*)\}", text):
        logical_id, dot, _ = name.partition(".")
        yield logical_id, bool(dot)


def looked_up(value: Json, mappings: Mapping[str, Json]) -> Json:
    """`value` with every Fn::FindInMap replaced by what it finds in `mappings`, as CloudFormation does before it
    compares; one that finds nothing stays as it is.
    """
    if isinstance(value, Mapping):
        if value.keys() == {"Fn::FindInMap"}:
            found: Json = mappings
            for key in value["Fn::FindInMap"]:
                found = found.get(key) if isinstance(found, Mapping) and isinstance(key, str) else None
            return value if found is None else found
        return {key: looked_up(item, mappings) for key, item in value.items()}
    return [looked_up(item, mappings) for item in value] if isinstance(value, list | tuple) else value
