"""Stages on the emulated AWS: deployed, compared by CloudFormation's change sets, updated for real."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from emulator import Emulator
from facts import Fact
from patience import PATIENCE, until
from versions import Made

CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


def deploy(aws: Emulator, made: Made) -> None:
    """Create every stack of `made`, in their order; their instances say at once that they are ready."""
    for stack in made.templates:
        client = aws.client("cloudformation", made.region(stack))
        _publish(aws, made, stack)
        client.create_stack(
            StackName=stack, Capabilities=CAPABILITIES, Tags=_tags(made, stack), **_template(aws, made, stack)
        )
        status = _ended(aws, made, stack)
        assert status == "CREATE_COMPLETE", events(aws, made, stack)


def change_set(aws: Emulator, made: Made, stack: str, *, execute: bool = False) -> dict[str, Fact]:
    """What the change set of `stack` of `made` says of every resource; of one that is new, what creating it would do.
    With `execute` it is executed, and its instances say that they are ready; else it is deleted.
    """
    client = aws.client("cloudformation", made.region(stack))
    new = aws.status(stack, made.region(stack)) in ("GONE", "DELETE_COMPLETE")
    name = f"review-{uuid.uuid4().hex}"
    client.create_change_set(
        StackName=stack,
        ChangeSetName=name,
        ChangeSetType="CREATE" if new else "UPDATE",
        Capabilities=CAPABILITIES,
        Tags=_tags(made, stack),
        **_template(aws, made, stack),
    )
    pages = client.get_paginator("describe_change_set").paginate(StackName=stack, ChangeSetName=name)
    changes = [one["ResourceChange"] for page in pages for one in page["Changes"]]
    if execute and changes:
        _publish(aws, made, stack)
        client.execute_change_set(StackName=stack, ChangeSetName=name)
        status = _ended(aws, made, stack)
        assert status in ("UPDATE_COMPLETE", "CREATE_COMPLETE"), events(aws, made, stack)
    elif new:
        client.delete_stack(StackName=stack)
    else:
        client.delete_change_set(StackName=stack, ChangeSetName=name)
    return {one["LogicalResourceId"]: _fact(one) for one in changes}


def physical_ids(aws: Emulator, made: Made, stack: str) -> dict[str, str]:
    """The physical id of every resource of `stack` by its logical id."""
    client = aws.client("cloudformation", made.region(stack))
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    found = [one for page in pages for one in page["StackResourceSummaries"]]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def delete(aws: Emulator, made: Made) -> None:
    """Delete every stack of `made`, the last first."""
    for stack in reversed(made.templates):
        client = aws.client("cloudformation", made.region(stack))
        client.delete_stack(StackName=stack)
        until(lambda stack=stack: aws.status(stack, made.region(stack)) in ("GONE", "DELETE_COMPLETE"))


def events(aws: Emulator, made: Made, stack: str) -> list[str]:
    """Why `stack` is as it is, the newest first."""
    found = aws.client("cloudformation", made.region(stack)).describe_stack_events(StackName=stack)["StackEvents"]
    return [
        f"{one['LogicalResourceId']} {one['ResourceStatus']} {one.get('ResourceStatusReason', '')}" for one in found
    ]


def _fact(change: Mapping[str, Any]) -> Fact:
    details = [one for one in change.get("Details", ()) if one["Target"]["Attribute"] == "Properties"]
    names = {one["Target"]["Name"] for one in details}
    direct = {one["Target"]["Name"] for one in details if one["ChangeSource"] == "DirectModification"}
    return Fact(
        change["Action"],
        change.get("Replacement"),
        frozenset(names),
        frozenset(names - direct),
        frozenset(change.get("Scope", ())) - {"Properties"},
    )


def _ended(aws: Emulator, made: Made, stack: str) -> str:
    """The status in which what is done to `stack` ends, its wait handles answered as soon as they are known."""
    answered: set[str] = set()

    def ended() -> str | None:
        status = aws.status(stack, made.region(stack))
        if not status.endswith("IN_PROGRESS"):
            return status
        for url in _signals(aws, made, stack) - answered:
            answered.add(url)
            _answer(url)
        return None

    return until(ended)


def _signals(aws: Emulator, made: Made, stack: str) -> set[str]:
    names = [
        one["Properties"]["Name"]
        for name, one in made.templates[stack]["Resources"].items()
        if one["Type"] == "AWS::SSM::Parameter" and name.endswith("Release")
    ]
    if not names:
        return set()
    found = aws.client("ssm", made.region(stack)).get_parameters(Names=names)["Parameters"]
    said = [json.loads(one["Value"]) for one in found]
    return {value for one in said for value in one.values() if str(value).startswith("http")}


def _answer(url: str) -> None:
    parts = urlsplit(url)
    body = json.dumps({"Status": "SUCCESS", "Reason": "test", "UniqueId": "i-0", "Data": "test"}).encode()
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    connection.request("PUT", f"{parts.path}?{parts.query}", body)
    connection.getresponse().read()
    connection.close()


def _publish(aws: Emulator, made: Made, stack: str) -> None:
    if (made.assembly / f"{stack}.assets.json").is_file():
        aws.publish(made.assembly, stack)


def _tags(made: Made, stack: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in made.tags(stack).items()]


def _template(aws: Emulator, made: Made, stack: str) -> dict[str, str]:
    return aws.template(made.assembly, stack, made.region(stack))
