"""Where a CloudFormation property belongs that the plan writes in another place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from factory_cdk.plan.facts import resource_schema

MAX_SHOWN = 3

_IN_A_LAUNCH_TEMPLATE = "set it in a launch template, and refer to that with `LaunchTemplate`"
_DEFINED_ELSEWHERE = "define {} apart from the plan, and name {} with `{}`"
_NETWORK = _DEFINED_ELSEWHERE.format("the network", "its subnet", "SubnetId")
_GROUP = _DEFINED_ELSEWHERE.format("the security group", "its id", "SecurityGroupIds")
_ELASTIC = "associate the address with a network interface apart from the plan, and name that with `NetworkInterfaceId`"
_ONE_INSTANCE = "remove it: a sector is one instance; add sectors for more"
_AS_A_TAG = "write it as a tag: `Tags: [{Key: Name, Value: …}]`"

_NOT_OFFERED: Mapping[str, Mapping[str, str]] = {
    "ec2-instance": {
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ec2-launchtemplate-launchtemplatedata.html
        **dict.fromkeys(
            (
                "CapacityReservationSpecification",
                "DisableApiStop",
                "InstanceMarketOptions",
                "InstanceRequirements",
                "MaintenanceOptions",
                "NetworkPerformanceOptions",
            ),
            _IN_A_LAUNCH_TEMPLATE,
        ),
        **dict.fromkeys(("Count", "InstanceCount", "MaxCount", "MinCount"), _ONE_INSTANCE),
        "ClientToken": "remove it: CloudFormation sets it",
        **dict.fromkeys(("CidrBlock", "GatewayId", "MapPublicIpOnLaunch", "RouteTableId"), _NETWORK),
        **dict.fromkeys(
            (
                "CidrIp",
                "FromPort",
                "GroupDescription",
                "IpProtocol",
                "SecurityGroupEgress",
                "SecurityGroupIngress",
                "ToPort",
            ),
            _GROUP,
        ),
        **dict.fromkeys(("AllocationId", "EIP", "ElasticIp"), _ELASTIC),
        **dict.fromkeys(("EbsBlockDevice", "RootBlockDevice"), "use `BlockDeviceMappings`"),
        "GroupId": "use `SecurityGroupIds`",
        "GroupName": "use `SecurityGroups`",
        "InstanceName": _AS_A_TAG,
        "InstanceTenancy": "use `Tenancy`",
        "KeyPair": "use `KeyName`",
        "Name": _AS_A_TAG,
        "Placement": "use `AvailabilityZone`, `Tenancy`, `HostId`, `Affinity` or `PlacementGroupName`",
        "SpotPrice": _IN_A_LAUNCH_TEMPLATE,
        "TagSpecifications": "use `Tags`, and `PropagateTagsToVolumeOnCreation` for volumes",
        "VpcSecurityGroupIds": "use `SecurityGroupIds`",
    },
    "cloudwatch-alarm": {
        "InstanceId": "remove it: the alarm watches the instance of its sector",
        "Name": "use `AlarmName`",
        "Description": "use `AlarmDescription`",
    },
}
"""Words of other AWS interfaces for instances and alarms, and what to write in a plan."""

_NOT_OFFERED_IN: Mapping[str, Mapping[str, str]] = {
    "Ebs": {
        "Size": "use `VolumeSize`",
        "Throughput": _IN_A_LAUNCH_TEMPLATE,
        "VolumeInitializationRate": _IN_A_LAUNCH_TEMPLATE,
    },
    "NetworkInterfaces": {
        **dict.fromkeys(
            (
                "ConnectionTrackingSpecification",
                "InterfaceType",
                "Ipv4PrefixCount",
                "Ipv4Prefixes",
                "Ipv6PrefixCount",
                "Ipv6Prefixes",
                "NetworkCardIndex",
                "PrimaryIpv6",
            ),
            _IN_A_LAUNCH_TEMPLATE,
        ),
        **dict.fromkeys(("Groups", "SecurityGroupIds", "SecurityGroups"), "use `GroupSet`, with the ids of the groups"),
    },
    "Volumes": {"InstanceId": "remove it: the volume is attached to the instance of its sector"},
}
"""The same for what stands in a part of an instance, by the name of that."""


def place_of(schema: str, name: str, holder: str = "") -> str | None:
    """The hint for the unknown property `name` of the resource schema `schema`, in its part `holder` (`Ebs`) or at the
    top level: where it belongs; None when nowhere.
    """
    words = {**_NOT_OFFERED.get(schema, {}), **_NOT_OFFERED_IN.get(holder, {})}
    known = {key.casefold(): hint for key, hint in words.items()}
    places = _places(schema).get(name.casefold(), ())
    if places and name.casefold() not in known:
        _, exact = places[0]
        shown = " or ".join(f"`{holder}`" if holder else "the top level" for holder, _ in places[:MAX_SHOWN])
        return f"`{exact}` belongs {'at' if not places[0][0] else 'under'} {shown}"
    return known.get(name.casefold())


@cache
def _places(schema: str) -> Mapping[str, list[tuple[str, str]]]:
    """Every property by its name in small letters: what holds it (`BlockDeviceMappings[].Ebs`), and its name."""
    found: dict[str, list[tuple[str, str]]] = {}
    whole = resource_schema(schema)
    for holder, name in _walk(whole, whole["definitions"], ""):
        found.setdefault(name.casefold(), []).append((holder, name))
    return found


def _walk(schema: Mapping[str, Any], definitions: Mapping[str, Any], holder: str) -> Iterator[tuple[str, str]]:
    read_only = {pointer.rsplit("/", 1)[1] for pointer in schema.get("readOnlyProperties", ())}
    for name, value in schema.get("properties", {}).items():
        if name in read_only:
            continue
        yield holder, name
        below, many = value, ""
        if "items" in below:
            below, many = below["items"], "[]"
        if "$ref" in below:
            below = definitions[below["$ref"].rsplit("/", 1)[1]]
        yield from _walk(below, definitions, f"{holder}.{name}{many}".removeprefix("."))
