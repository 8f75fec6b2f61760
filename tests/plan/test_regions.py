"""What belongs to one region, in a sector of another; and what one instance alone can have, in two."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, Case, load, prove

from factory_cdk.diagnostics import PlanError
from factory_cdk.plan.stage import resolve_stage

TYPE = "          InstanceType: t3.micro\n"
ACTION = "AlarmActions: [terminate]"
KEY = "arn:aws:kms:{}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def aws(title: str, code: str, old: str, new: str, *says: str, hint: str = "", also: tuple[str, ...] = ()) -> Case:
    return Case(title, code, old, new, says, hint, also, base=AWS)


def parameter(text: str) -> str:
    return f"{TYPE}          {text}\n"


def second(parameters: str, stage: str = "", region: str = "eu-west-2") -> str:
    """The plan with `parameters` in its sector and in a second one, in a stage of its own if that has a name."""
    head = f"    {stage}:\n" if stage else ""
    box = f"      box2:\n        type: aws\n        region_name: {region}\n        parameters:\n"
    box += "          ImageId: ami-0fedcba9876543210\n          InstanceType: t3.micro\n"
    text = AWS.replace(TYPE, parameter(parameters))
    return text.replace("  alarms:\n", f"{head}{box}          §{parameters}\n        bots: {{first: }}\n  alarms:\n")


def shared(title: str, code: str, parameters: str, *says: str, stage: str = "", region: str = "eu-west-2") -> Case:
    """The same parameters in two sectors: it is the second that is told, at the value that is marked with @."""
    text = second(parameters, stage, region).replace("§", "")
    first, _, rest = text.partition("@")
    text = first + rest.replace("@", "§")
    return Case(title, code, AWS, text, says, "", base=AWS)


INTERFACE = "NetworkInterfaces: [{DeviceIndex: 0, "
CASES = [
    # another region
    aws(
        "a key of another region",
        "F516",
        TYPE,
        parameter(
            "BlockDeviceMappings: [{DeviceName: /dev/sdb, Ebs: {Encrypted: true, KmsKeyId: §'"
            + KEY.format("us-east-1")
            + "'}}]"
        ),
        "`us-east-1`",
        "`eu-west-2`",
        "`box`",
        hint="region of the sector",
    ),
    aws(
        "a topic of another region",
        "F516",
        ACTION,
        "AlarmActions: [§'arn:aws:sns:eu-west-1:123456789012:people']",
        "is in `eu-west-1`",
    ),
    aws(
        "an action of another region",
        "F516",
        ACTION,
        "AlarmActions: [§'arn:aws:automate:us-east-1:ec2:stop']",
        "`us-east-1`",
    ),
    aws(
        "a topic of another partition",
        "F516",
        ACTION,
        "AlarmActions: [§'arn:aws-cn:sns:cn-north-1:123456789012:people']",
        "`cn-north-1`",
    ),
    aws(
        "a partition without a region",
        "F516",
        ACTION,
        "AlarmActions: [§'arn:aws-cn:iam::123456789012:role/a']",
        "the partition `aws-cn`",
    ),
    aws(
        "a license of another region",
        "F516",
        TYPE,
        parameter(
            "LicenseSpecifications: [{LicenseConfigurationArn: "
            "§'arn:aws:license-manager:eu-west-1:123456789012:license-configuration:lic-1'}]"
        ),
        "`eu-west-1`",
    ),
    aws(
        "a host group of another region",
        "F516",
        TYPE,
        parameter("HostResourceGroupArn: §'arn:aws:resource-groups:us-west-2:123456789012:group/hosts'"),
        "`us-west-2`",
    ),
    aws(
        "a zone of another region",
        "F516",
        TYPE,
        parameter("AvailabilityZone: §eu-west-1a"),
        "not an availability zone of `eu-west-2`",
        hint="remove it",
    ),
    aws("a region as a zone", "F516", TYPE, parameter("AvailabilityZone: §eu-west-2"), "not an availability zone"),
    aws(
        "a local zone of another region",
        "F516",
        TYPE,
        parameter("AvailabilityZone: §us-west-2-lax-1a"),
        "not an availability zone",
    ),
    # one id in two regions
    shared(
        "a security group in two regions",
        "F519",
        "SecurityGroupIds: [@sg-0123456789abcdef0]",
        "`sg-0123456789abcdef0`",
        "`eu-west-1` (sector `box2`)",
        "`eu-west-2` (sector `box`)",
        region="eu-west-1",
    ),
    shared("a subnet in two regions", "F519", "SubnetId: @subnet-01234567", "`subnet-01234567`", region="us-east-1"),
    shared(
        "a snapshot in two regions",
        "F519",
        "BlockDeviceMappings: [{DeviceName: /dev/sdb, Ebs: {SnapshotId: @snap-01234567}}]",
        "`snap-01234567`",
        region="eu-west-1",
    ),
    shared(
        "an image in two regions",
        "F519",
        "LaunchTemplate: {LaunchTemplateId: @lt-01234567, Version: '1'}",
        "`lt-01234567`",
        stage="other",
        region="eu-west-1",
    ),
    # what one instance has
    shared(
        "an interface of two instances",
        "F517",
        INTERFACE + "NetworkInterfaceId: @eni-01234567}]",
        "the sector `box`",
        "`eni-01234567`",
    ),
    shared(
        "an address of two instances",
        "F517",
        "SubnetId: subnet-01234567\n          PrivateIpAddress: @10.0.0.5",
        "`10.0.0.5`",
    ),
    shared(
        "an address of two interfaces",
        "F517",
        INTERFACE + "SubnetId: subnet-01234567, PrivateIpAddress: @10.0.0.5}]",
        "`10.0.0.5`",
    ),
    shared(
        "a second address of two interfaces",
        "F517",
        INTERFACE + "SubnetId: subnet-01234567, PrivateIpAddresses: [{Primary: true, PrivateIpAddress: @10.0.0.5}]}]",
        "`10.0.0.5`",
    ),
    shared(
        "an IPv6 address of two instances", "F517", "Ipv6Addresses: [{Ipv6Address: @'2001:db8::A'}]", "`2001:db8::a`"
    ),
    shared(
        "a volume of two instances", "F518", "Volumes: [{Device: /dev/sdh, VolumeId: @vol-01234567}]", "`vol-01234567`"
    ),
    shared(
        "an interface of two stages",
        "F518",
        INTERFACE + "NetworkInterfaceId: @eni-01234567}]",
        "the sector `box` of the stage `prod`",
        stage="other",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_told_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        parameter("AvailabilityZone: eu-west-2c"),
        parameter("AvailabilityZone: eu-west-2-wl1-lon-wlz-1"),
        parameter(f"BlockDeviceMappings: [{{DeviceName: a, Ebs: {{KmsKeyId: '{KEY.format('eu-west-2')}'}}}}]"),
        parameter("Tags: [{Key: topic, Value: 'arn:aws:sns:eu-west-1:123456789012:people'}]"),
    ],
)
def test_what_fits_the_region_is_left_alone(text: str, tmp_path: Path) -> None:
    assert load(AWS.replace(TYPE, text), tmp_path).diagnostics == ()


def test_the_same_address_in_another_subnet_is_another_one(tmp_path: Path) -> None:
    text = second("SubnetId: subnet-01234567\n          PrivateIpAddress: 10.0.0.5").replace("§", "")
    first, _, rest = text.partition("box2")
    assert load(first + "box2" + rest.replace("subnet-01234567", "subnet-76543210"), tmp_path).diagnostics == ()


@pytest.mark.parametrize("mark", ["AvailabilityZone: eu-west-2a", f"HostResourceGroupArn: '{KEY.format('eu-west-2')}'"])
def test_a_default_region_is_held_against_what_the_plan_names(mark: str, tmp_path: Path) -> None:
    text = AWS.replace("        region_name: eu-west-2\n", "").replace(TYPE, parameter(mark))
    plan = load(text, tmp_path).plan
    assert plan is not None and resolve_stage(plan, "prod", region="eu-west-2")
    with pytest.raises(PlanError) as refused:
        resolve_stage(plan, "prod", region="us-east-1")
    (found,) = refused.value.diagnostics
    assert found.code == "F516" and "`us-east-1`" in found.message and "`box`" in found.message
