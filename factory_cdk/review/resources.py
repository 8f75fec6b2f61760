"""What CloudFormation will do to each resource of a stage, predicted as its change sets say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from factory_cdk.design.model import Resource
from factory_cdk.review.behaviour import looked_up, references, replacement
from factory_cdk.review.model import ResourceChange
from factory_cdk.review.sides.side import StackSide
from factory_cdk.review.values import same

_REPLACEMENTS = ("False", "Conditional", "True")

_NAMES = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::SQS::Queue": "QueueName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
}
"""The property that names a resource of a type to the whole account."""

_GLOBAL = frozenset({"AWS::IAM::Role", "AWS::IAM::InstanceProfile"})


def resource_changes(before: Mapping[str, StackSide], after: Mapping[str, StackSide]) -> tuple[ResourceChange, ...]:
    """The changes of all resources of the stacks of a stage, in the order of the stacks. A stack of the same name in
    another region is another stack.
    """
    found: list[ResourceChange] = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is not None and new is not None and old.region == new.region:
            found += _of_stack(old, new)
        else:
            found += [_whole(old, one, "Remove") for one in old.resources.values()] if old else []
            found += [_whole(new, one, "Add") for one in new.resources.values()] if new else []
    return tuple(found)


def _whole(stack: StackSide, resource: Resource, action: str) -> ResourceChange:
    kept = action == "Remove" and is_kept(resource)
    return ResourceChange(stack.name, resource.logical_id, resource.type, action, sector=resource.sector, kept=kept)


def is_kept(resource: Resource) -> bool:
    """Whether CloudFormation leaves a resource alone that its stack has no longer."""
    return (resource.deletion_policy or "").startswith("Retain")


def _of_stack(old: StackSide, new: StackSide) -> Iterator[ResourceChange]:
    if old.mappings != new.mappings:
        old, new = _without_mappings(old), _without_mappings(new)
    found: dict[str, ResourceChange] = {}
    while True:  # what changes changes what refers to it, which may be replaced for that
        modified = {name: one.replacement for name, one in found.items() if one.action == "Modify"}
        found = {one.logical_id: one for one in _compared(old, new, modified)}
        if modified == {name: one.replacement for name, one in found.items() if one.action == "Modify"}:
            break
    yield from found.values()


def _without_mappings(stack: StackSide) -> StackSide:
    """`stack` with what its resources look up in its mappings in them."""
    resources = {
        name: replace(one, properties=looked_up(one.properties, stack.mappings))
        for name, one in stack.resources.items()
    }
    return replace(stack, resources=resources, mappings={})


def _compared(old: StackSide, new: StackSide, modified: Mapping[str, str | None]) -> Iterator[ResourceChange]:
    """The changes of the resources, when those that are `modified` are replaced as it says."""
    for name in dict.fromkeys((*old.resources, *new.resources)):
        was, now = old.resources.get(name), new.resources.get(name)
        if was is None or now is None:
            if was is not None:
                yield _whole(old, was, "Remove")
            if now is not None:
                yield _whole(new, now, "Add")
        elif was.type != now.type:  # CloudFormation refuses to update it; the template has to remove it first
            yield ResourceChange(new.name, name, now.type, "Modify", "True", ("Type",), sector=now.sector)
        else:
            keys = dict.fromkeys((*was.properties, *now.properties))
            changed = {
                key: replacement(now.type, key)
                for key in keys
                if not same(was.properties.get(key), now.properties.get(key))
            }
            referring = {
                key: effect
                for key in keys
                if modified and key not in changed and (effect := _by_reference(now, key, modified)) is not None
            }
            if changed or referring:
                worst = max((*changed.values(), *referring.values()), key=_REPLACEMENTS.index)
                properties = (*changed, *referring)
                yield ResourceChange(new.name, name, now.type, "Modify", worst, properties, (*referring,), now.sector)


def _by_reference(resource: Resource, key: str, modified: Mapping[str, str | None]) -> str | None:
    """How a property that stays as it is replaces `resource`, because it refers to what is `modified`; None: it does
    not change.

    An id changes when its resource is replaced, and an attribute may change with any change. Whether they do is known
    beforehand only of what is surely replaced (`Evaluation` in
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChangeDetail.html).
    """
    causes = {
        modified[name]
        for name, attribute in references(resource.properties.get(key))
        if name in modified and (attribute or modified[name] != "False")
    }
    if not causes:
        return None
    own = replacement(resource.type, key)
    return "Conditional" if own == "True" and "True" not in causes else own


def name_conflicts(
    before: Mapping[str, StackSide], after: Mapping[str, StackSide], changes: tuple[ResourceChange, ...]
) -> Iterator[tuple[str, str, str]]:
    """Names that a resource which is added takes while another stack, or another logical id, still has it: the name,
    the stack that is to get it and the one that has it. CloudFormation refuses to create it.
    """
    owners = {
        key: stack.name for stack in before.values() for one in stack.resources.values() if (key := _named(stack, one))
    }
    for change in changes:
        if change.action == "Add":
            stack = after[change.stack]
            key = _named(stack, stack.resources[change.logical_id])
            if key is not None and key in owners:
                yield key[1], change.stack, owners[key]


def _named(stack: StackSide, resource: Resource) -> tuple[str, str, str] | None:
    name = resource.properties.get(_NAMES.get(resource.type, ""))
    if not isinstance(name, str):
        return None
    return resource.type, name, "" if resource.type in _GLOBAL else stack.region
