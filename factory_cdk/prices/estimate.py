"""What a sector costs in a month: its instance, the volumes that its plan describes, and what stands around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from factory_cdk.plan.checks.numbers import is_true
from factory_cdk.prices.lookup import (
    Platform,
    VolumeRates,
    alarm_month,
    dynamodb_million,
    instance_hour,
    log_gib,
    public_ipv4_hour,
    secret_month,
    sqs_million,
    volume_month,
)
from factory_cdk.prices.table import PriceTable

HOURS = Decimal(730)
"""A month as AWS's own calculators take it: 365 days of 24 hours, divided by 12."""

MILLION = Decimal(1_000_000)

DEFAULT_VOLUME_TYPE = "gp2"
"""What EC2 takes where a mapping says none
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ec2-instance-ebs.html)."""

ROOT_DEVICES = frozenset({"/dev/xvda", "/dev/sda1", "/dev/sda"})
"""The names that images give their root volumes."""

SURPLUS_CREDITS_BY_DEFAULT = frozenset({"t3", "t3a", "t4g"})

CHARGED_WHEN_EBS_OPTIMIZED = frozenset({"c1", "c3", "g2", "i2", "m1", "m2", "m3", "r3"})
"""Families that cost more with EbsOptimized; the others have it without a charge or not at all
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-optimized.html)."""


@dataclass(frozen=True, slots=True)
class LineItem:
    """`quantity` of `unit`s in a month at `unit_price` USD each: `monthly` USD."""

    name: str
    quantity: Decimal
    unit: str
    unit_price: Decimal

    @property
    def monthly(self) -> Decimal:
        """USD a month, not rounded."""
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class UnknownItem:
    """Something that costs, or may cost, with no known price, and why: the end of a sentence about it."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a sector costs in a month: what is known, what is not, and what to know of both.

    A sum over `items` is a lower bound as soon as there is something in `unknown`.
    """

    items: tuple[LineItem, ...] = ()
    unknown: tuple[UnknownItem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def monthly(self) -> Decimal:
        """USD a month for all that is known, not rounded."""
        return sum((item.monthly for item in self.items), Decimal(0))


@dataclass(frozen=True, slots=True)
class SectorCounts:
    """What stands around the instance of a sector, in a month: alarms and secrets that exist, GiB that its log groups
    take in, requests to SQS, units of the stage's table. What is 0 is left out of the estimate.
    """

    alarms: int = 0
    secrets: int = 0
    log_gib: Decimal = field(default_factory=Decimal)
    sqs_requests: int = 0
    table_writes: int = 0
    table_reads: int = 0


def sector_estimate(
    properties: Mapping[str, Any],
    region: str,
    platform: Platform = "linux",
    counts: SectorCounts | None = None,
    *,
    table: PriceTable | None = None,
) -> Estimate:
    """The estimate of a sector by the `properties` of its AWS::EC2::Instance, as they stand in the template.

    What only AWS knows (a `Ref`, the root volume of an image, traffic) is unknown, never taken as something usual.
    """
    found: list[LineItem | UnknownItem | str] = [
        *_instance(properties, region, platform, table),
        *_volumes(properties, region, table),
        *_addresses(properties, region, table),
        *_extras(properties, region),
        *_around(counts or SectorCounts(), region, table),
    ]
    return Estimate(
        items=tuple(entry for entry in found if isinstance(entry, LineItem)),
        unknown=tuple(entry for entry in found if isinstance(entry, UnknownItem)),
        notes=tuple(entry for entry in found if isinstance(entry, str)),
    )


def _instance(
    properties: Mapping[str, Any], region: str, platform: Platform, table: PriceTable | None
) -> Iterator[LineItem | UnknownItem | str]:
    type_ = properties.get("InstanceType")
    if not isinstance(type_, str):
        why = "the plan names no `InstanceType`" if type_ is None else _only_aws_knows("InstanceType")
        yield UnknownItem("instance", why)
        return
    name = f"instance {type_} ({'Windows' if platform == 'windows' else 'Linux'})"
    elsewhere = _not_shared(properties)
    price = instance_hour(type_, region, platform, table=table)
    if elsewhere:
        yield UnknownItem(name, elsewhere)
    elif price is None:
        yield UnknownItem(name, f"no price known in {region}")
    elif platform == "windows" and "CpuOptions" in properties:
        yield UnknownItem(name, "`CpuOptions` changes what the licence of Windows costs")
    else:
        yield LineItem(name, HOURS, "hour", price)
    if "LaunchTemplate" in properties:
        yield "the launch template may ask for a spot instance or add volumes; the estimate is of what the plan says"
    yield from _credits(properties, type_)


def _not_shared(properties: Mapping[str, Any]) -> str | None:
    """Why an instance is not priced as one of shared tenancy; None when it is."""
    tenancy = properties.get("Tenancy", "default")
    if not isinstance(tenancy, str):
        return _only_aws_knows("Tenancy")
    if tenancy != "default":
        return f"tenancy `{tenancy}` has prices of its own"
    for key in ("HostId", "HostResourceGroupArn"):
        if key in properties:
            return f"`{key}` places it on a dedicated host, which is paid for as a whole"
    return None


def _credits(properties: Mapping[str, Any], type_: str) -> Iterator[str]:
    family = type_.partition(".")[0]
    if not (family.startswith("t") and family[1:2].isdigit()):
        return
    credit = properties.get("CreditSpecification")
    mode = credit.get("CPUCredits") if isinstance(credit, Mapping) else None
    if mode == "unlimited" or (mode is None and family in SURPLUS_CREDITS_BY_DEFAULT):
        cause = "as `CPUCredits` says" if mode else f"which is the default of {family}"
        yield f"CPU credits are unlimited, {cause}: load above the baseline over a day costs more"
    elif mode not in (None, "standard"):
        yield "whether CPU credits are unlimited is not known before the stack is created"


def _volumes(
    properties: Mapping[str, Any], region: str, table: PriceTable | None
) -> Iterator[LineItem | UnknownItem | str]:
    mappings = properties.get("BlockDeviceMappings", [])
    if not isinstance(mappings, Sequence) or isinstance(mappings, str):
        yield UnknownItem("volumes", _only_aws_knows("BlockDeviceMappings"))
        return
    has_root = False
    for index, mapping in enumerate(mappings):
        device = mapping.get("DeviceName") if isinstance(mapping, Mapping) else None
        name = f"volume {device}" if isinstance(device, str) else f"volume {index + 1}"
        if not isinstance(mapping, Mapping) or set(mapping) & {"Fn::If", "Ref"}:
            yield UnknownItem(name, _only_aws_knows(f"BlockDeviceMappings[{index}]"))
            continue
        has_root = has_root or device in ROOT_DEVICES
        if "Ebs" in mapping:
            yield from _volume(name, mapping["Ebs"], region, table)
    if not has_root:
        yield UnknownItem("root volume", "the image describes it, `BlockDeviceMappings` does not")
    if properties.get("Volumes"):
        yield "volumes that exist already (`Volumes`) are not in the estimate"


def _volume(name: str, ebs: Any, region: str, table: PriceTable | None) -> Iterator[LineItem | UnknownItem]:
    if not isinstance(ebs, Mapping):
        yield UnknownItem(name, _only_aws_knows("Ebs"))
        return
    kind = ebs.get("VolumeType", DEFAULT_VOLUME_TYPE)
    if not isinstance(kind, str):
        yield UnknownItem(name, _only_aws_knows("VolumeType"))
        return
    rates = volume_month(kind, region, table=table)
    if rates is None:
        yield UnknownItem(f"{name} ({kind})", f"no price known in {region}")
        return
    if "VolumeSize" not in ebs:
        yield UnknownItem(f"{name} ({kind})", "its snapshot says how large it is")
    elif (size := _amount(ebs["VolumeSize"])) is None:
        yield UnknownItem(f"{name} ({kind})", _only_aws_knows("VolumeSize"))
    else:
        yield LineItem(f"{name} ({kind})", size, "GiB", rates.gib)
    yield from _performance(f"{name} ({kind})", ebs, rates, region)


def _performance(
    name: str, ebs: Mapping[str, Any], rates: VolumeRates, region: str
) -> Iterator[LineItem | UnknownItem]:
    if "Iops" in ebs and rates.charges_iops:
        yield from _iops(f"{name} IOPS", _amount(ebs["Iops"]), rates, region)
    if "Throughput" in ebs and rates.charges_mibps:
        throughput = _amount(ebs["Throughput"])
        more = None if throughput is None else throughput - rates.mibps_included
        if more is None:
            yield UnknownItem(f"{name} throughput", _only_aws_knows("Throughput"))
        elif more > 0 and rates.mibps is None:
            yield UnknownItem(f"{name} throughput", f"no price known in {region}")
        elif more > 0 and rates.mibps is not None:
            yield LineItem(f"{name} throughput over {rates.mibps_included}", more, "MiB/s", rates.mibps)


def _iops(name: str, iops: Decimal | None, rates: VolumeRates, region: str) -> Iterator[LineItem | UnknownItem]:
    if iops is None:
        yield UnknownItem(name, _only_aws_knows("Iops"))
        return
    paid = Decimal(rates.iops_included)
    for tier in rates.iops_tiers:
        end = iops if tier.up_to is None else min(iops, Decimal(tier.up_to))
        if end > paid:
            yield LineItem(f"{name} over {paid:f}" if paid else name, end - paid, "IOPS", tier.price)
            paid = end
    if iops > paid:
        yield UnknownItem(f"{name} over {paid:f}" if paid else name, f"no price known in {region}")


def _addresses(
    properties: Mapping[str, Any], region: str, table: PriceTable | None
) -> Iterator[LineItem | UnknownItem]:
    interfaces = properties.get("NetworkInterfaces")
    described = interfaces if isinstance(interfaces, Sequence) and not isinstance(interfaces, str) else []
    wanted = [
        interface["AssociatePublicIpAddress"]
        for interface in described
        if isinstance(interface, Mapping) and "AssociatePublicIpAddress" in interface
    ]
    if any(is_true(value) for value in wanted):
        price = public_ipv4_hour(region, table=table)
        if price is None:
            yield UnknownItem("public IPv4 address", f"no price known in {region}")
        else:
            yield LineItem("public IPv4 address", HOURS, "hour", price)
    elif any(isinstance(value, Mapping) for value in wanted):
        yield UnknownItem("public IPv4 address", _only_aws_knows("AssociatePublicIpAddress"))
    elif not wanted:
        yield UnknownItem("public IPv4 address", "the subnet or an existing interface decides whether there is one")


def _extras(properties: Mapping[str, Any], region: str) -> Iterator[UnknownItem]:
    """What costs by the hour beside the instance and has no price in the table."""
    type_ = properties.get("InstanceType")
    family = type_.partition(".")[0] if isinstance(type_, str) else ""
    no_price = f"no price known in {region}"
    if is_true(properties.get("Monitoring")):
        yield UnknownItem("detailed monitoring", no_price)
    if is_true(properties.get("EbsOptimized")) and family in CHARGED_WHEN_EBS_OPTIMIZED:
        yield UnknownItem("EBS optimization", no_price)
    for key in ("ElasticGpuSpecifications", "ElasticInferenceAccelerators"):
        if properties.get(key):
            yield UnknownItem(f"`{key}`", no_price)


def _around(counts: SectorCounts, region: str, table: PriceTable | None) -> Iterator[LineItem | UnknownItem]:
    rates = dynamodb_million(region, table=table)
    for name, quantity, unit, price in (
        ("alarms", Decimal(counts.alarms), "alarm", alarm_month(region, table=table)),
        ("secrets", Decimal(counts.secrets), "secret", secret_month(region, table=table)),
        ("logs taken in", counts.log_gib, "GiB", log_gib(region, table=table)),
        ("requests to queues", counts.sqs_requests / MILLION, "million", sqs_million(region, table=table)),
        ("writes to the table", counts.table_writes / MILLION, "million", rates.writes if rates else None),
        ("reads of the table", counts.table_reads / MILLION, "million", rates.reads if rates else None),
    ):
        if not quantity:
            continue
        if price is None:
            yield UnknownItem(name, f"no price known in {region}")
        else:
            yield LineItem(name, quantity, unit, price)


def _amount(value: Any) -> Decimal | None:
    """A number as CloudFormation takes it, written as a number or a text; None when only AWS knows it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _only_aws_knows(key: str) -> str:
    return f"`{key}` is not known before the stack is created"
