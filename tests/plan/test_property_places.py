"""A key or property in the wrong place gets a hint with the right one, never a name that is like it by chance."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, errors, load

TYPE = "          InstanceType: t3.micro\n"
ALARM = "      Threshold: '5'\n"


def hint(text: str, folder: Path) -> str:
    """The hint of the only error in a plan."""
    (error,) = errors(load(text, folder))
    assert error.code in ("F102", "F502", "F504", "F507")
    return error.hint or ""


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("VolumeSize: 100", "`VolumeSize` belongs under `BlockDeviceMappings[].Ebs`"),
        ("volumeType: gp3", "`VolumeType` belongs under `BlockDeviceMappings[].Ebs`"),
        ("Encrypted: true", "`BlockDeviceMappings[].Ebs`"),
        ("AssociatePublicIpAddress: true", "`NetworkInterfaces[]`"),
        ("GroupSet: [sg-01234567]", "`NetworkInterfaces[]`"),
        ("HttpTokens: required", "`MetadataOptions`"),
        ("CPUCredits: unlimited", "`CreditSpecification`"),
        ("CoreCount: 2", "`CpuOptions`"),
        ("LaunchTemplateId: lt-01234567", "`LaunchTemplate`"),
        ("InstanceMarketOptions: {MarketType: spot}", "launch template"),
        ("CapacityReservationSpecification: {}", "launch template"),
        ("DisableApiStop: true", "launch template"),
        ("TagSpecifications: []", "`Tags`"),
        ("Name: box", "Tags: [{Key: Name"),
        ("Placement: {Tenancy: host}", "`Tenancy`"),
        ("MaxCount: 2", "a sector is one instance"),
        ("NetworkInterfaces: [{DeviceIndex: 0, KeyName: k}]", "`KeyName` belongs at the top level"),
        ("BlockDeviceMappings: [{DeviceName: a, Ebs: {}, VolumeSize: 8}]", "`BlockDeviceMappings[].Ebs`"),
        ("NetworkInterfaces: [{DeviceIndex: 0, SecurityGroupIds: [sg-01234567]}]", "use `GroupSet`"),
        ("NetworkInterfaces: [{DeviceIndex: 0, Groups: [sg-01234567]}]", "use `GroupSet`"),
        ("NetworkInterfaces: [{DeviceIndex: 0, InterfaceType: efa}]", "launch template"),
        ("NetworkInterfaces: [{DeviceIndex: 0, SourceDestCheck: false}]", "`SourceDestCheck` belongs at the top level"),
        ("BlockDeviceMappings: [{DeviceName: a, Ebs: {Size: 8}}]", "use `VolumeSize`"),
        ("BlockDeviceMappings: [{DeviceName: a, Ebs: {VolumeType: gp3, Throughput: 250}}]", "launch template"),
        ("Volumes: [{Device: /dev/sdf, VolumeId: vol-01234567, InstanceId: i-01234567}]", "the instance of its sector"),
        ("CidrBlock: 10.0.0.0/24", "`SubnetId`"),
        ("MapPublicIpOnLaunch: true", "`SubnetId`"),
        ("VpcId: vpc-01234567", "the subnet decides (`SubnetId`)"),
        ("SecurityGroupIngress: []", "`SecurityGroupIds`"),
        ("GroupDescription: web", "`SecurityGroupIds`"),
        ("GroupName: web", "use `SecurityGroups`"),
        ("AllocationId: eipalloc-01234567", "`NetworkInterfaceId`"),
        ("InstanceTenancy: dedicated", "use `Tenancy`"),
        ("KeyPair: k", "use `KeyName`"),
        ("RootBlockDevice: {}", "use `BlockDeviceMappings`"),
        ("KeyNam: k", "did you mean `KeyName`?"),
        ("Keyname: k", "did you mean `KeyName`?"),
        ("NetworkInterfaces: [{DeviceIndex: 0, SubnetID: x}]", "did you mean `SubnetId`?"),
        ("InstanceInitiatedShutdownBehavior: hibernate", "known: `stop`, `terminate`"),
    ],
)
def test_a_property_in_the_wrong_place_is_sent_to_the_right_one(parameter: str, says: str, tmp_path: Path) -> None:
    assert says in hint(AWS.replace(TYPE, f"{TYPE}          {parameter}\n"), tmp_path)


@pytest.mark.parametrize("parameter", ["Speed: 5", "Affinities: x", "InstanceFamily: t3"])
def test_a_property_of_nowhere_is_not_guessed(parameter: str, tmp_path: Path) -> None:
    said = hint(AWS.replace(TYPE, f"{TYPE}          {parameter}\n"), tmp_path)
    assert "did you mean" not in said or parameter.startswith("Affinit")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Stat: Average", "`Metrics[].MetricStat`"),
        ("Expression: m * 2", "`Metrics[]`"),
        ("InstanceId: i-01234567", "the alarm watches the instance of its sector"),
        ("Name: idle", "`AlarmName`"),
        ("Treshold: 5", "did you mean `Threshold`?"),
    ],
)
def test_a_property_of_an_alarm_in_the_wrong_place(line: str, says: str, tmp_path: Path) -> None:
    assert says in hint(AWS.replace(ALARM, f"{ALARM}      {line}\n"), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "      bot_path: works:first\n",
            "      bot_path: works:first\n      branch: main\n",
            "under the `source` of a bot",
        ),
        ("      bot_path: works:first\n", "      bot_path: works:first\n      processes: 2\n", "in a bot of a sector"),
        ("        type: local\n", "        type: local\n        processes: 2\n", "in a bot of a sector"),
        ("        type: local\n", "        type: local\n        protect: true\n", "in a stage"),
        ("            processes: 2\n", "            bot_path: 'a:b'\n", "in a bot under `bots`"),
        ("factory:\n", "tags: {a: b}\nfactory:\n", "under `factory`"),
        ("            processes: 2\n", "            proceses: 2\n", "did you mean `processes`?"),
    ],
)
def test_a_key_of_the_plan_in_the_wrong_place(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert says in hint(LOCAL.replace(old, new, 1), tmp_path)
