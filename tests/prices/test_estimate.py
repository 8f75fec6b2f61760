"""What a sector costs in a month, by the properties of its instance as they stand in a template."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from factory_cdk.prices import Estimate, SectorCounts, sector_estimate

LATER = "is not known before the stack is created"
SUBNET = "the subnet or an existing interface decides whether there is one"
ROOT = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "gp3", "VolumeSize": 20}}
PRIVATE = [{"DeviceIndex": "0", "AssociatePublicIpAddress": False}]
WHOLE: dict[str, Any] = {"InstanceType": "m5.large", "BlockDeviceMappings": [ROOT], "NetworkInterfaces": PRIVATE}


def estimate(region: str = "us-east-1", **properties: Any) -> Estimate:
    return sector_estimate({**WHOLE, **properties}, region)


def lines(found: Estimate) -> dict[str, Decimal]:
    return {item.name: item.monthly for item in found.items}


def unknown(found: Estimate) -> list[str]:
    return [str(item) for item in found.unknown]


def test_an_instance_and_its_volumes_are_added_up() -> None:
    found = estimate()
    assert lines(found) == {
        "instance m5.large (Linux)": Decimal("0.096") * 730,
        "volume /dev/xvda (gp3)": Decimal("0.08") * 20,
    }
    assert found.monthly == Decimal("71.68")
    assert (found.unknown, found.notes) == ((), ())
    (instance, volume) = found.items
    assert (instance.quantity, instance.unit, instance.unit_price) == (Decimal(730), "hour", Decimal("0.096"))
    assert (volume.quantity, volume.unit, volume.unit_price) == (Decimal(20), "GiB", Decimal("0.08"))


def test_windows_is_priced_with_its_licence_and_not_with_cpu_options() -> None:
    found = sector_estimate(WHOLE, "us-east-1", "windows")
    assert lines(found)["instance m5.large (Windows)"] == Decimal("0.188") * 730
    found = sector_estimate({**WHOLE, "CpuOptions": {"CoreCount": 1}}, "us-east-1", "windows")
    assert unknown(found) == ["instance m5.large (Windows): `CpuOptions` changes what the licence of Windows costs"]
    assert unknown(estimate(CpuOptions={"CoreCount": 1})) == []


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"InstanceType": {"Ref": "Type"}}, "instance: `InstanceType` is not known before the stack is created"),
        ({"InstanceType": "m5.huge"}, "instance m5.huge (Linux): no price known in us-east-1"),
        ({"Tenancy": "dedicated"}, "instance m5.large (Linux): tenancy `dedicated` has prices of its own"),
        ({"Tenancy": "host"}, "instance m5.large (Linux): tenancy `host` has prices of its own"),
        ({"Tenancy": {"Ref": "T"}}, "instance m5.large (Linux): `Tenancy` is not known before the stack is created"),
        (
            {"HostId": "h-0123456789abcdef0"},
            "instance m5.large (Linux): `HostId` places it on a dedicated host, which is paid for as a whole",
        ),
    ],
)
def test_an_instance_that_is_not_priced_says_why(properties: dict[str, Any], said: str) -> None:
    found = estimate(**properties)
    assert unknown(found) == [said]
    assert list(lines(found)) == ["volume /dev/xvda (gp3)"]


def test_a_plan_without_a_type_says_so() -> None:
    properties = {name: value for name, value in WHOLE.items() if name != "InstanceType"}
    assert unknown(sector_estimate(properties, "us-east-1")) == ["instance: the plan names no `InstanceType`"]


def test_default_tenancy_is_shared() -> None:
    assert unknown(estimate(Tenancy="default")) == []


@pytest.mark.parametrize(
    ("ebs", "costs"),
    [
        ({"VolumeType": "gp3", "VolumeSize": "100"}, [("", 100, "0.08")]),
        ({"VolumeSize": 8}, [("", 8, "0.10")]),  # gp2 is EC2's default
        ({"VolumeType": "gp3", "VolumeSize": 100, "Iops": 3000, "Throughput": 125}, [("", 100, "0.08")]),
        (
            {"VolumeType": "gp3", "VolumeSize": 100, "Iops": "5000", "Throughput": 250},
            [("", 100, "0.08"), (" IOPS over 3000", 2000, "0.005"), (" throughput over 125", 125, "0.04")],
        ),
        ({"VolumeType": "io1", "VolumeSize": 100, "Iops": 1000}, [("", 100, "0.125"), (" IOPS", 1000, "0.065")]),
        (
            {"VolumeType": "io2", "VolumeSize": 500, "Iops": 70000},
            [
                ("", 500, "0.125"),
                (" IOPS", 32000, "0.065"),
                (" IOPS over 32000", 32000, "0.0455"),
                (" IOPS over 64000", 6000, "0.03185"),
            ],
        ),
        ({"VolumeType": "st1", "VolumeSize": 500}, [("", 500, "0.045")]),
    ],
)
def test_volumes_are_charged_by_size_iops_and_throughput(
    ebs: dict[str, Any], costs: list[tuple[str, int, str]]
) -> None:
    found = estimate(BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": ebs}])
    name = f"volume /dev/sda1 ({ebs.get('VolumeType', 'gp2')})"
    expected = {name + suffix: quantity * Decimal(price) for suffix, quantity, price in costs}
    assert {key: value for key, value in lines(found).items() if key.startswith("volume")} == expected
    assert unknown(found) == []


@pytest.mark.parametrize(
    ("region", "ebs", "said"),
    [
        ("us-east-1", {"VolumeSize": {"Ref": "Size"}}, " (gp2): `VolumeSize` is not known before the stack is created"),
        ("us-east-1", {"SnapshotId": "snap-0123456789abcdef0"}, " (gp2): its snapshot says how large it is"),
        (
            "us-east-1",
            {"VolumeType": {"Ref": "T"}, "VolumeSize": 8},
            f": `VolumeType` {LATER}",
        ),
        ("us-east-1", {"VolumeType": "gp9", "VolumeSize": 8}, " (gp9): no price known in us-east-1"),
        ("us-east-1", {"VolumeSize": "eight"}, " (gp2): `VolumeSize` is not known before the stack is created"),
        ("us-east-1", {"VolumeSize": True}, " (gp2): `VolumeSize` is not known before the stack is created"),
        (
            "eu-central-1",
            {"VolumeType": "gp3", "VolumeSize": 8, "Throughput": 500},
            " (gp3) throughput: no price known in eu-central-1",
        ),
        (
            "us-west-2",
            {"VolumeType": "io2", "VolumeSize": 500, "Iops": 40000},
            " (io2) IOPS over 32000: no price known in us-west-2",
        ),
        (
            "us-east-1",
            {"VolumeType": "gp3", "VolumeSize": 8, "Iops": {"Ref": "I"}},
            " (gp3) IOPS: `Iops` is not known before the stack is created",
        ),
    ],
)
def test_what_is_not_known_of_a_volume_is_told(region: str, ebs: dict[str, Any], said: str) -> None:
    found = estimate(region, BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": ebs}])
    assert unknown(found) == [f"volume /dev/xvda{said}"]


def test_the_root_volume_of_an_image_is_unknown_when_no_mapping_describes_it() -> None:
    said = ["root volume: the image describes it, `BlockDeviceMappings` does not"]
    assert unknown(estimate(BlockDeviceMappings=[])) == said
    data = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeType": "gp3", "VolumeSize": 10}}
    found = estimate(BlockDeviceMappings=[data])
    assert unknown(found) == said
    assert lines(found)["volume /dev/sdf (gp3)"] == Decimal("0.8")


def test_mappings_that_cost_nothing_and_such_that_cannot_be_read() -> None:
    free = [ROOT, {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}, {"DeviceName": "/dev/sdc", "NoDevice": {}}]
    assert list(lines(estimate(BlockDeviceMappings=free))) == ["instance m5.large (Linux)", "volume /dev/xvda (gp3)"]
    assert unknown(estimate(BlockDeviceMappings={"Ref": "Volumes"})) == [
        "volumes: `BlockDeviceMappings` is not known before the stack is created"
    ]
    chosen = estimate(BlockDeviceMappings=[ROOT, {"Fn::If": ["Big", {}, {}]}, {"DeviceName": "/dev/sdd", "Ebs": 8}])
    assert unknown(chosen) == [
        "volume 2: `BlockDeviceMappings[1]` is not known before the stack is created",
        "volume /dev/sdd: `Ebs` is not known before the stack is created",
    ]


@pytest.mark.parametrize(
    ("interfaces", "said"),
    [
        (None, SUBNET),
        (
            [{"NetworkInterfaceId": "eni-0123456789abcdef0"}],
            SUBNET,
        ),
        (
            [{"AssociatePublicIpAddress": {"Ref": "Public"}}],
            "`AssociatePublicIpAddress` is not known before the stack is created",
        ),
    ],
)
def test_an_address_that_the_plan_does_not_decide_is_unknown(interfaces: Any, said: str) -> None:
    assert unknown(estimate(NetworkInterfaces=interfaces)) == [f"public IPv4 address: {said}"]


def test_an_address_that_the_plan_asks_for_costs() -> None:
    for wanted in (True, "true"):
        found = estimate(NetworkInterfaces=[{"AssociatePublicIpAddress": wanted}])
        assert lines(found)["public IPv4 address"] == Decimal("3.65")


@pytest.mark.parametrize(
    ("type_", "credit", "note"),
    [
        ("t3.micro", None, "which is the default of t3"),
        ("t3.micro", {"CPUCredits": "unlimited"}, "as `CPUCredits` says"),
        ("t3.micro", {"CPUCredits": "standard"}, None),
        ("t2.micro", None, None),
        ("t2.micro", {"CPUCredits": "unlimited"}, "as `CPUCredits` says"),
        ("t2.micro", {"CPUCredits": {"Ref": "Mode"}}, "is not known before the stack is created"),
        ("m5.large", {"CPUCredits": "unlimited"}, None),
        ("trn1.2xlarge", None, None),
    ],
)
def test_unlimited_credits_are_noted(type_: str, credit: Any, note: str | None) -> None:
    notes = estimate(InstanceType=type_, **({"CreditSpecification": credit} if credit else {})).notes
    assert len(notes) == (note is not None)
    assert all(note in text for text in notes if note)


def test_what_else_costs_by_the_hour_is_named() -> None:
    found = estimate(Monitoring=True, ElasticInferenceAccelerators=[{"Type": "eia1.medium"}])
    assert unknown(found) == [
        "detailed monitoring: no price known in us-east-1",
        "`ElasticInferenceAccelerators`: no price known in us-east-1",
    ]
    assert unknown(estimate(EbsOptimized=True)) == []
    assert unknown(estimate(InstanceType="m3.large", EbsOptimized="true")) == [
        "EBS optimization: no price known in us-east-1"
    ]


def test_what_an_estimate_cannot_see_is_noted() -> None:
    notes = estimate(LaunchTemplate={"LaunchTemplateId": "lt-1", "Version": "1"}, Volumes=[{"VolumeId": "vol-1"}]).notes
    assert [note.partition(" (")[0] for note in notes] == [
        "the launch template may ask for a spot instance or add volumes; the estimate is of what the plan says",
        "volumes that exist already",
    ]


def test_what_stands_around_an_instance_is_counted() -> None:
    counts = SectorCounts(
        alarms=2,
        secrets=1,
        log_gib=Decimal("1.5"),
        sqs_requests=2_500_000,
        table_writes=1_000_000,
        table_reads=500_000,
    )
    assert lines(sector_estimate({}, "us-east-1", counts=counts)) == {
        "alarms": Decimal("0.2"),
        "secrets": Decimal("0.4"),
        "logs taken in": Decimal("0.75"),
        "requests to queues": Decimal("1"),
        "writes to the table": Decimal("0.625"),
        "reads of the table": Decimal("0.0625"),
    }
    found = sector_estimate(WHOLE, "sa-east-1", counts=counts)
    assert [item.name for item in found.unknown] == [
        "alarms",
        "secrets",
        "logs taken in",
        "requests to queues",
        "writes to the table",
        "reads of the table",
    ]


def test_a_region_without_prices_has_an_estimate_of_unknowns() -> None:
    found = sector_estimate(WHOLE, "eu-west-9")
    assert found.items == ()
    assert found.monthly == 0
    assert unknown(found) == [
        "instance m5.large (Linux): no price known in eu-west-9",
        "volume /dev/xvda (gp3): no price known in eu-west-9",
    ]
