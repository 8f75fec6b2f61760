"""Volumes and addresses that EC2 refuses, and those that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, Case, load, prove

TYPE = "          InstanceType: t3.micro\n"


def case(title: str, parameters: str, *says: str, hint: str = "") -> Case:
    return Case(title, "F504", TYPE, f"{TYPE}          {parameters}\n", says, hint, base=AWS)


def ebs(text: str) -> str:
    return f"BlockDeviceMappings: [{{DeviceName: /dev/sdf, Ebs: {{{text}}}}}]"


def mappings(*each: str) -> str:
    return "BlockDeviceMappings: [" + ", ".join(f"{{{one}}}" for one in each) + "]"


CASES = [
    case(
        "no IOPS for io1",
        mappings("DeviceName: a, §Ebs: {VolumeType: io1}"),
        "missing `Iops`",
        "type io1",
        hint="Iops: 3000",
    ),
    case("no IOPS for io2", mappings("DeviceName: a, §Ebs: {VolumeType: io2}"), "missing `Iops`", "type io2"),
    *(
        case(
            f"{iops} IOPS for {kind}",
            ebs(f"VolumeType: {kind}, VolumeSize: 500, Iops: §{iops}"),
            f"`Iops` is {iops}",
            f"type {kind} has {least} to {most} IOPS",
            hint=f"from {least} to {most}",
        )
        for kind, iops, least, most in [
            ("io1", 0, 100, 64000),
            ("io1", 64001, 100, 64000),
            ("io2", 99, 100, 256000),
            ("io2", 256001, 100, 256000),
            ("gp3", 2999, 3000, 80000),
            ("gp3", 80001, 3000, 80000),
        ]
    ),
    case("IOPS as a text", ebs("VolumeType: io1, VolumeSize: 20, Iops: §'60'"), "`Iops` is 60"),
    *(
        case(
            f"IOPS for {kind}",
            ebs(f"VolumeType: {kind}, VolumeSize: 500, §Iops: 3000"),
            "`Iops` cannot be used",
            f"type {kind}",
            hint="gp3",
        )
        for kind in ("gp2", "st1", "sc1", "standard")
    ),
    *(
        case(
            f"{size} GiB for {kind}",
            ebs(f"VolumeType: {kind}, VolumeSize: §{size}{more}"),
            f"`VolumeSize` is {size}",
            f"{least} to {most} GiB",
        )
        for kind, size, more, least, most in [
            ("gp2", 0, "", 1, 16384),
            ("gp2", 16385, "", 1, 16384),
            ("gp3", 65537, "", 1, 65536),
            ("io1", 3, ", Iops: 100", 4, 16384),
            ("io2", 65537, ", Iops: 100", 4, 65536),
            ("st1", 124, "", 125, 16384),
            ("sc1", 16385, "", 125, 16384),
            ("standard", 1025, "", 1, 1024),
        ]
    ),
    case(
        "a key for a volume that is not encrypted",
        ebs("Encrypted: false, §KmsKeyId: alias/mine"),
        "`KmsKeyId` and `Encrypted: false`",
        hint="Encrypted: true",
    ),
    case(
        "an instance store volume by another name",
        mappings("DeviceName: /dev/sdb, VirtualName: §ephemeralA"),
        "invalid value `ephemeralA`",
        "BlockDeviceMappings[0].VirtualName",
        hint="ephemeral0",
    ),
    case(
        "an instance store volume of too high a number",
        mappings("DeviceName: /dev/sdb, VirtualName: §ephemeral24"),
        "24",
    ),
    case(
        "a device twice",
        mappings("DeviceName: /dev/sdf, Ebs: {VolumeSize: 8}", "DeviceName: §/dev/sdf, Ebs: {VolumeSize: 9}"),
        "duplicate device `/dev/sdf`",
        "`BlockDeviceMappings[0]` has it, too",
    ),
    case(
        "a device of a mapping and of a volume",
        mappings("DeviceName: /dev/sdf, Ebs: {VolumeSize: 8}")
        + "\n          Volumes: [{Device: §/dev/sdf, VolumeId: vol-01234567}]",
        "duplicate device `/dev/sdf`",
        "`BlockDeviceMappings[0]`",
    ),
    *(
        case(f"no address: {text}", parameters, f"`{shown}` is `{text}`", f"no {kind} address", hint="single address")
        for text, parameters, shown, kind in [
            ("10.0.0.300", "PrivateIpAddress: §10.0.0.300", "PrivateIpAddress", "IPv4"),
            ("10.0.0.0/24", "PrivateIpAddress: §10.0.0.0/24", "PrivateIpAddress", "IPv4"),
            ("10.5", "PrivateIpAddress: §10.5", "PrivateIpAddress", "IPv4"),
            ("2001:db8::1", "PrivateIpAddress: §'2001:db8::1'", "PrivateIpAddress", "IPv4"),
            ("10.0.0.1", "Ipv6Addresses: [{Ipv6Address: §10.0.0.1}]", "Ipv6Addresses[0].Ipv6Address", "IPv6"),
            ("fe80::1%eth0", "Ipv6Addresses: [{Ipv6Address: §'fe80::1%eth0'}]", "Ipv6Addresses[0].Ipv6Address", "IPv6"),
            (
                "abc",
                "NetworkInterfaces: [{DeviceIndex: 0, Ipv6Addresses: [{Ipv6Address: §abc}]}]",
                "NetworkInterfaces[0].Ipv6Addresses[0].Ipv6Address",
                "IPv6",
            ),
            (
                "10.0.0",
                "NetworkInterfaces: [{DeviceIndex: 0, PrivateIpAddresses: [{PrivateIpAddress: §10.0.0, Primary: no}]}]",
                "NetworkInterfaces[0].PrivateIpAddresses[0].PrivateIpAddress",
                "IPv4",
            ),
        ]
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_refused_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


@pytest.mark.parametrize(
    "parameters",
    [
        ebs("VolumeSize: 8"),
        ebs("Iops: 3000"),  # the type is that of the image's volume
        ebs("VolumeType: gp3, VolumeSize: 65536, Iops: 80000"),
        ebs("VolumeType: io1, VolumeSize: '4', Iops: '100'"),
        ebs("VolumeType: io2, SnapshotId: snap-01234567, Iops: 256000"),
        ebs("VolumeType: standard, VolumeSize: 1024"),
        ebs("Encrypted: true, KmsKeyId: alias/mine"),
        ebs("KmsKeyId: alias/mine"),  # where the account encrypts by default
        mappings("DeviceName: /dev/sdb, VirtualName: ephemeral0", "DeviceName: /dev/sdc, VirtualName: ephemeral23"),
        mappings("DeviceName: /dev/sdb, NoDevice: {}", "DeviceName: /dev/sdb, Ebs: {VolumeSize: 8}"),
        "PrivateIpAddress: 10.0.0.5",
        "Ipv6Addresses: [{Ipv6Address: '2001:DB8::1'}]",
    ],
)
def test_what_ec2_takes_is_taken(parameters: str, tmp_path: Path) -> None:
    assert load(AWS.replace(TYPE, f"{TYPE}          {parameters}\n"), tmp_path).diagnostics == ()


@pytest.mark.parametrize(
    "parameters",
    [
        "BlockDeviceMappings: 5",
        "BlockDeviceMappings: [5]",
        "BlockDeviceMappings: [{DeviceName: [a], Ebs: []}]",
        ebs("VolumeType: [gp3], VolumeSize: {}"),
        ebs("VolumeType: io1, Iops: none"),
        "Volumes: {}",
        "PrivateIpAddress: [10.0.0.5]",
        "NetworkInterfaces: {PrivateIpAddress: 5}",
        "NetworkInterfaces: [{DeviceIndex: 0, PrivateIpAddresses: [10.0.0.5]}]",
    ],
)
def test_what_has_the_wrong_type_is_told_once(parameters: str, tmp_path: Path) -> None:
    codes = {found.code for found in load(AWS.replace(TYPE, f"{TYPE}          {parameters}\n"), tmp_path).diagnostics}
    assert "F503" in codes
    assert "F504" not in codes or parameters.startswith("BlockDeviceMappings: [{DeviceName: [a]")
