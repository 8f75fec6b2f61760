"""What EC2 does not take beside each other, of network interfaces above all."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, Case, load, prove

TYPE = "          InstanceType: t3.micro\n"
PRIMARY = "{Primary: true, PrivateIpAddress: 10.0.0.5}"
SECOND = "{Primary: §true, PrivateIpAddress: 10.0.0.6}"
OTHER = "{Primary: false, PrivateIpAddress: 10.0.0.6}"
ONE = "NetworkInterfaces: [{DeviceIndex: 0}]"


def case(title: str, parameters: str, *says: str, hint: str = "") -> Case:
    return Case(title, "F504", TYPE, f"{TYPE}          {parameters}\n", says, hint, base=AWS)


def interfaces(*each: str) -> str:
    return "NetworkInterfaces: [" + ", ".join(f"{{{one}}}" for one in each) + "]"


CASES = [
    *(
        case(
            f"{name} beside interfaces",
            f"{first}\n          §{second}",
            f"`{name}`",
            "`NetworkInterfaces`",
            "cannot be used together",
            hint="keep one",
        )
        for name, value in [
            ("SubnetId", "subnet-01234567"),
            ("SecurityGroupIds", "[sg-01234567]"),
            ("SecurityGroups", "[default]"),
            ("PrivateIpAddress", "10.0.0.5"),
            ("Ipv6AddressCount", "1"),
            ("Ipv6Addresses", "[{Ipv6Address: '2001:db8::1'}]"),
        ]
        for first, second in [sorted([ONE, f"{name}: {value}"])]
    ),
    case(
        "names of groups with a subnet",
        "SecurityGroups: [default]\n          §SubnetId: subnet-01234567",
        "`SecurityGroups` and `SubnetId`",
    ),
    case(
        "a number and a list of IPv6 addresses",
        "Ipv6AddressCount: 1\n          §Ipv6Addresses: [{Ipv6Address: '2001:db8::1'}]",
        "`Ipv6AddressCount` and `Ipv6Addresses`",
    ),
    case(
        "a public address with two interfaces",
        interfaces("DeviceIndex: 0, §AssociatePublicIpAddress: true", "DeviceIndex: 1"),
        "single network interface, not with 2",
        hint="Elastic IP",
    ),
    case(
        "no public address with two interfaces",
        interfaces("DeviceIndex: 0, §AssociatePublicIpAddress: false", "DeviceIndex: 1"),
        "not with 2",
    ),
    case(
        "a public address of the second device",
        "NetworkInterfaces:\n            - DeviceIndex: 1\n              §AssociatePublicIpAddress: true",
        "with the `DeviceIndex` 0",
    ),
    case(
        "one device index twice",
        interfaces("DeviceIndex: 0", "DeviceIndex: §'0'"),
        "duplicate `DeviceIndex` 0",
        "`NetworkInterfaces[0]`",
        hint="0, 1, 2",
    ),
    case(
        "no primary interface", "§" + interfaces("DeviceIndex: 1", "DeviceIndex: 2"), "`DeviceIndex` 0", hint="0, 1, 2"
    ),
    *(
        case(
            f"{name} of an interface that exists",
            interfaces(f"DeviceIndex: 0, {first}, §{second}"),
            f"`{first.split(':')[0]}` and `{second.split(':')[0]}`",
        )
        for name, value in [
            ("SubnetId", "subnet-01234567"),
            ("GroupSet", "[sg-01234567]"),
            ("PrivateIpAddress", "10.0.0.5"),
            ("SecondaryPrivateIpAddressCount", "1"),
            ("Ipv6AddressCount", "1"),
            ("AssociatePublicIpAddress", "true"),
            ("Description", "mine"),
        ]
        for first, second in [sorted(["NetworkInterfaceId: eni-01234567", f"{name}: {value}"])]
    ),
    case(
        "two primary addresses",
        interfaces(f"DeviceIndex: 0, PrivateIpAddresses: [{PRIMARY}, {SECOND}]"),
        "2 primary addresses",
    ),
    case(
        "a primary address in two places",
        interfaces(f"DeviceIndex: 0, PrivateIpAddress: 10.0.0.5, PrivateIpAddresses: [{SECOND}]"),
        "`PrivateIpAddress` and a primary",
    ),
    case(
        "addresses counted and listed",
        interfaces(f"DeviceIndex: 0, PrivateIpAddresses: [{PRIMARY}, {OTHER}], §SecondaryPrivateIpAddressCount: 1"),
        "`SecondaryPrivateIpAddressCount`",
    ),
    case(
        "hibernation with an enclave",
        "EnclaveOptions: {Enabled: true}\n          §HibernationOptions: {Configured: true}",
        "`EnclaveOptions` and `HibernationOptions`",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


@pytest.mark.parametrize(
    "parameters",
    [
        interfaces("DeviceIndex: 0, SubnetId: subnet-01234567, GroupSet: [sg-01234567], PrivateIpAddress: 10.0.0.5"),
        interfaces("DeviceIndex: 0", "DeviceIndex: 1", "DeviceIndex: '2'"),
        interfaces("DeviceIndex: 0, NetworkInterfaceId: eni-01234567, DeleteOnTermination: false"),
        "SubnetId: subnet-01234567\n          SecurityGroupIds: [sg-01234567]\n          PrivateIpAddress: 10.0.0.5",
        "SecurityGroups: [default]",
        "EnclaveOptions: {Enabled: true}\n          HibernationOptions: {Configured: false}",
    ],
)
def test_what_ec2_takes_is_taken(parameters: str, tmp_path: Path) -> None:
    assert load(AWS.replace(TYPE, f"{TYPE}          {parameters}\n"), tmp_path).diagnostics == ()
