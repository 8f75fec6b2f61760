"""ministack with what it lacks for our stacks; run as a program by tests/emulator.py.

AWS::EC2::Instance becomes a resource, DescribeInstanceAttribute returns the user-data that was given, and Ref is a
secret's ARN and an instance profile's name, as on AWS. An instance whose user-data changes stays the same one; one
is replaced, and change sets say so, as the resource schemas and the documentation of their properties have it. Leases
and delays of SQS go by a clock that tests can put forward. DescribeInstanceTypeOfferings answers, and IAM simulates
with the context and for all resources that it is given.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import emulator_iam
from ministack import app
from ministack.services import ec2, iam, sqs
from ministack.services.cloudformation import provisioners

from factory_cdk.plan.facts import update_behaviour

Properties = dict[str, Any]
INSTANCE = "AWS::EC2::Instance"
BEHAVIOUR = update_behaviour()
STOPPING = ("EbsOptimized", "InstanceType", "UserData")
"""Properties whose change stops an instance and starts it again, of those that the tests use."""


def create_instance(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, Properties]:
    (made,) = ec2._launch_instances_internal(
        properties["ImageId"],
        properties["InstanceType"],
        properties.get("SubnetId"),
        1,
        key_name=properties.get("KeyName", ""),
        user_data=properties.get("UserData", ""),
        iam_profile={"Arn": properties.get("IamInstanceProfile", ""), "Id": "AIPA"},
    )
    identifier = made["InstanceId"]
    ec2._tags[identifier] = list(properties.get("Tags", []))
    return identifier, {
        "PrivateIp": made["PrivateIpAddress"],
        "AvailabilityZone": made["Placement"]["AvailabilityZone"],
    }


def update_instance(physical_id: str, old: Properties, new: Properties, stack_name: str) -> tuple[str, Properties]:
    replacing = (name for name in BEHAVIOUR[INSTANCE]["replaces"] if state(old.get(name)) != state(new.get(name)))
    if any(replacing) or other_volumes(old, new):
        made = create_instance("", new, stack_name)
        delete_instance(physical_id, old)
        return made
    instance = ec2._instances[physical_id]
    if any(old.get(name) != new.get(name) for name in STOPPING):
        instance["LaunchTime"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")  # when it was started last
    ec2._tags[physical_id] = list(new.get("Tags", []))
    instance["UserData"] = new.get("UserData", "")
    instance["InstanceType"] = new["InstanceType"]
    return physical_id, {"PrivateIp": instance["PrivateIpAddress"]}


def other_volumes(old: Properties, new: Properties) -> bool:
    """Whether the volumes differ in more than what becomes of them when the instance ends: "Modifying any other
    parameter results in instance replacement" (BlockDeviceMappings in the documentation of AWS::EC2::Instance).
    """
    before, after = (copy.deepcopy(side.get("BlockDeviceMappings", [])) for side in (old, new))
    for volume in (*before, *after):
        volume.get("Ebs", {}).pop("DeleteOnTermination", None)
    return bool(state(before) != state(after))


def state(value: Any) -> Any:
    """`value` as a provider compares it: of the type of its schema (here: all text), lists of mappings in no order."""
    if isinstance(value, dict):
        return {key: state(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [state(item) for item in value]
        return sorted(items, key=json.dumps) if all(isinstance(item, dict) for item in items) else items
    return value if value is None or isinstance(value, str) else json.dumps(value)


def know_replacements() -> None:
    """Let change sets say of each property what its resource schema says, for types that the emulator does not know:
    of those it says Conditional, whichever property changes.
    """
    for type_, known in BEHAVIOUR.items():
        if type_ not in provisioners._REPLACING_PROPERTIES:
            provisioners._REPLACING_PROPERTIES[type_] = tuple(known["replaces"])
            provisioners._CONDITIONALLY_REPLACING_PROPERTIES[type_] = tuple(known["may_replace"])


def delete_instance(physical_id: str, properties: Properties) -> None:
    ec2._terminate_instances({"InstanceId.1": [physical_id]})


def describe_attribute(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def described(request: Any) -> Any:
        status, headers, body = original(request)
        instance = ec2._instances.get(ec2._p(request, "InstanceId"))
        if instance and ec2._p(request, "Attribute") == "userData":
            text = body.decode() if isinstance(body, bytes) else body
            shown = text.replace("<userData/>", f"<userData><value>{instance['UserData']}</value></userData>")
            return status, headers, shown.encode() if isinstance(body, bytes) else shown
        return status, headers, body

    return described


def describe_offerings(request: Any) -> Any:
    """Where instance types are offered: everywhere, but those with many GPUs (`p`) nowhere."""
    filters = ec2._parse_filters(request)
    items = "".join(
        f"<item><instanceType>{type_}</instanceType><locationType>{ec2._p(request, 'LocationType')}</locationType>"
        f"<location>{place}</location></item>"
        for type_ in filters.get("instance-type", [])
        for place in filters.get("location", [])
        if not type_.startswith("p")
    )
    return ec2._xml(
        200, "DescribeInstanceTypeOfferingsResponse", f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>"
    )


def referred_to_by(type_: str, ours: Callable[[str, Properties], str], theirs: Callable[[str], str]) -> None:
    """Make Ref of `type_` what `ours` makes of the emulator's id and attributes; `theirs` is the way back."""
    handlers = provisioners._RESOURCE_HANDLERS[type_]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def created(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, Properties]:
        identifier, attributes = create(logical_id, properties, stack_name)
        return ours(identifier, attributes), attributes

    def updated(
        physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
    ) -> tuple[str, Properties]:
        identifier, attributes = update(theirs(physical_id), old, new, stack_name, logical_id)
        return ours(identifier, attributes), attributes

    handlers |= {
        "create": created,
        "update": updated,
        "delete": lambda physical_id, properties: delete(theirs(physical_id), properties),
    }


def shifted_time(file: Path) -> SimpleNamespace:
    """`time`, but ahead by the seconds that are in `file`: the clock of SQS, which tests put forward."""
    return SimpleNamespace(time=lambda: time.time() + float(file.read_text()))


def main() -> None:
    sqs.time = shifted_time(Path(os.environ["SQS_CLOCK"]))
    know_replacements()
    provisioners._RESOURCE_HANDLERS[INSTANCE] = {
        "create": create_instance,
        "update": update_instance,
        "delete": delete_instance,
    }
    ec2._ACTION_MAP["DescribeInstanceAttribute"] = describe_attribute(ec2._ACTION_MAP["DescribeInstanceAttribute"])
    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = describe_offerings
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = emulator_iam.simulate
    referred_to_by(
        "AWS::SecretsManager::Secret",
        lambda identifier, attributes: str(attributes.get("Arn", identifier)),
        lambda arn: next((name for name, one in provisioners._sm._secrets.items() if one["ARN"] == arn), arn),
    )
    referred_to_by(
        "AWS::IAM::InstanceProfile",
        lambda identifier, attributes: identifier.rpartition("/")[2],
        lambda name: str(provisioners._iam._instance_profiles.get(name, {}).get("Arn", name)),
    )
    if app.AUTH:
        emulator_iam.correct()
    app.main()


if __name__ == "__main__":
    main()
