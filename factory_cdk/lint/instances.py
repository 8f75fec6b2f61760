"""Checks of instances: metadata service, addresses, volumes, families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.lint.finding import Finding, Placed, of_type
from factory_cdk.plan.checks.numbers import is_true

INSTANCE = "AWS::EC2::Instance"

DEPRECATED: Mapping[str, str] = {
    "a1": "t4g or m7g",
    "c1": "c7i or c7g",
    "c3": "c7i or c7g",
    "c4": "c7i or c7g",
    "cc1": "c7i or c7g",
    "cc2": "c7i or c7g",
    "cg1": "g6",
    "cr1": "r7i or r7g",
    "g2": "g6",
    "g3": "g6",
    "hi1": "i4i",
    "hs1": "d3",
    "i2": "i4i",
    "m1": "m7i or m7g",
    "m2": "r7i or r7g",
    "m3": "m7i or m7g",
    "m4": "m7i or m7g",
    "p2": "g6 or p5",
    "r3": "r7i or r7g",
    "r4": "r7i or r7g",
    "t1": "t3 or t4g",
}
"""Families of AWS's previous generations and what to take instead; cc1, cc2, cg1, cr1, g2, hi1 and hs1 cannot even
be started any more (https://docs.aws.amazon.com/ec2/latest/instancetypes/pg.html)."""


def check_metadata(design: StageDesign) -> Iterator[Finding]:
    """F703: IMDSv1 gives the credentials of the role to anyone who can make the instance fetch a URL."""
    for placed in of_type(design, INSTANCE):
        options = _mapping(placed.resource.properties.get("MetadataOptions"))
        if options.get("HttpTokens") != "required" and options.get("HttpEndpoint") != "disabled":
            message = f"{_whose(placed)} answers metadata requests without a session token (IMDSv1)"
            hint = "write `HttpTokens: required`: else a forged request of a bot can read the role's credentials"
            yield Finding("F703", placed.at("MetadataOptions", "HttpTokens"), message, hint)


def check_public_address(design: StageDesign) -> Iterator[Finding]:
    """F704: whether the internet can reach an instance depends on its security groups, which no plan defines."""
    for placed in of_type(design, INSTANCE):
        for index, interface in enumerate(_list(placed.resource.properties.get("NetworkInterfaces"))):
            if not is_true(_mapping(interface).get("AssociatePublicIpAddress")):
                continue
            groups = _list(_mapping(interface).get("GroupSet"))
            named = ", ".join(str(group) for group in groups if isinstance(group, str))
            message = f"{_whose(placed)} has a public IP address; what the internet can reach depends on "
            message += f"its security groups ({named})" if named else "the default security group of its VPC"
            hint = "bots need no inbound port: use a private subnet with a NAT gateway or VPC endpoints"
            place = placed.at("NetworkInterfaces", index, "AssociatePublicIpAddress")
            yield Finding("F704", place, message, hint)


def check_volumes(design: StageDesign) -> Iterator[Finding]:
    """F705: a volume is encrypted when the plan, its snapshot or the account's default says so."""
    for placed in of_type(design, INSTANCE):
        for index, mapping in enumerate(_list(placed.resource.properties.get("BlockDeviceMappings"))):
            volume = _mapping(mapping).get("Ebs")
            if not isinstance(volume, Mapping) or is_true(volume.get("Encrypted")):
                continue
            device = _mapping(mapping).get("DeviceName", index)
            message = f"the volume {device} of {_whose(placed)} is not encrypted"
            if "Encrypted" not in volume:
                message += ", unless its snapshot or the default of the account says so"
            key = ("Encrypted",) if "Encrypted" in volume else ()
            place = placed.at("BlockDeviceMappings", index, "Ebs", *key)
            yield Finding("F705", place, message, "write `Encrypted: true`")


def check_family(design: StageDesign) -> Iterator[Finding]:
    """F706: AWS keeps its previous generations for those who cannot move, not for new instances."""
    for placed in of_type(design, INSTANCE):
        type_ = placed.resource.properties.get("InstanceType")
        family = type_.partition(".")[0].lower() if isinstance(type_, str) else ""
        if family in DEPRECATED:
            message = f"deprecated instance type: {_whose(placed)} is `{type_}`, of a previous generation"
            yield Finding("F706", placed.at("InstanceType"), message, f"use {DEPRECATED[family]}")


def _whose(placed: Placed) -> str:
    return f"the instance of `{placed.resource.sector}`"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
