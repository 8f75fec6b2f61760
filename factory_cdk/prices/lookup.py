"""One price of the table. Every function answers None where the table has no price, and takes another table for tests
and for a table just refreshed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from factory_cdk.prices.table import PriceTable, price_table

Platform = Literal["linux", "windows"]

GP3_IOPS_INCLUDED = 3000
GP3_MIBPS_INCLUDED = 125


@dataclass(frozen=True, slots=True)
class IopsTier:
    """`price` USD a month for each provisioned IOPS up to `up_to` (None: without end)."""

    up_to: int | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class VolumeRates:
    """What a volume costs in a month: `gib` USD a GiB. For each provisioned IOPS beyond `iops_included` the price of
    its tier, and `mibps` USD for each MiB/s beyond `mibps_included`.

    `iops_tiers` is empty and `mibps` None where nothing is charged or no price is known; `charges_iops` and
    `charges_mibps` tell which.
    """

    gib: Decimal
    iops_tiers: tuple[IopsTier, ...] = ()
    iops_included: int = 0
    charges_iops: bool = False
    mibps: Decimal | None = None
    mibps_included: int = 0
    charges_mibps: bool = False


@dataclass(frozen=True, slots=True)
class DynamoDbRates:
    """USD for a million units of an on-demand table: `writes` of 1 KB, `reads` of 4 KB, strongly consistent."""

    writes: Decimal
    reads: Decimal


def instance_hour(
    type_: str, region: str, platform: Platform = "linux", *, table: PriceTable | None = None
) -> Decimal | None:
    """USD for an hour of an instance on demand, shared tenancy; Windows with its licence."""
    table = table or price_table()
    price = table.instances.get(type_, {}).get(region)
    if price is None or platform == "linux":
        return price
    licence = table.windows.get(type_)
    if isinstance(licence, Mapping):
        licence = licence.get(region)
    return None if licence is None else price + licence


def volume_month(volume_type: str, region: str, *, table: PriceTable | None = None) -> VolumeRates | None:
    """What a volume of `volume_type` (`gp3`) costs in a month."""
    rates = (table or price_table()).volumes.get(volume_type, {}).get(region)
    if rates is None:
        return None
    is_gp3 = volume_type == "gp3"
    return VolumeRates(
        gib=rates["gib"],
        iops_tiers=_tiers(rates),
        iops_included=GP3_IOPS_INCLUDED if is_gp3 else 0,
        charges_iops=volume_type in ("gp3", "io1", "io2"),
        mibps=rates.get("mibps"),
        mibps_included=GP3_MIBPS_INCLUDED if is_gp3 else 0,
        charges_mibps=is_gp3,
    )


def _tiers(rates: Mapping[str, Any]) -> tuple[IopsTier, ...]:
    return tuple(IopsTier(None if up_to is None else int(up_to), price) for up_to, price in rates.get("iops", ()))


def sqs_million(region: str, *, table: PriceTable | None = None) -> Decimal | None:
    """USD for a million requests to standard SQS queues, beyond the free million of an account."""
    return _service("sqs_million", region, table)


def dynamodb_million(region: str, *, table: PriceTable | None = None) -> DynamoDbRates | None:
    """USD for a million request units of an on-demand table of DynamoDB, table class Standard."""
    writes, reads = (_service(f"dynamodb_{units}_million", region, table) for units in ("write", "read"))
    return None if writes is None or reads is None else DynamoDbRates(writes, reads)


def secret_month(region: str, *, table: PriceTable | None = None) -> Decimal | None:
    """USD a month for a secret of Secrets Manager, without the calls that read it."""
    return _service("secret_month", region, table)


def alarm_month(region: str, *, table: PriceTable | None = None) -> Decimal | None:
    """USD a month for a CloudWatch alarm of one metric at standard resolution (periods of a minute or more)."""
    return _service("alarm_month", region, table)


def log_gib(region: str, *, table: PriceTable | None = None) -> Decimal | None:
    """USD for a GiB that a log group of class Standard takes in."""
    return _service("log_gib", region, table)


def public_ipv4_hour(region: str, *, table: PriceTable | None = None) -> Decimal | None:
    """USD for an hour of a public IPv4 address."""
    return _service("public_ipv4_hour", region, table)


def _service(name: str, region: str, table: PriceTable | None) -> Decimal | None:
    return (table or price_table()).services.get(name, {}).get(region)
