"""Writes factory_cdk/prices/table.json anew from AWS's public price list: `python tools/refresh_prices.py`.

Needs the internet and no credentials. The price list has an offer file of every service in every region; that of EC2 in
us-east-1 is 300 MB. They are read in their CSV form, row by row, so that memory does not grow with them. Nothing is
written before everything has been read. Two prices for one thing are an error: a table must not depend on the order of
rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

PRICE_LIST = "https://pricing.us-east-1.amazonaws.com"
TABLE = Path(__file__).parent.parent / "factory_cdk" / "prices" / "table.json"

REGION = re.compile(r"(?!cn-)[a-z]{2}(-gov)?-[a-z]+-\d")
"""A region, not a local zone (`us-west-2-lax-1`). China has a price list of its own, in another currency."""

USAGE = re.compile(r"(?:[A-Z]{2,4}\d?-|[a-z]{2}(?:-gov)?-[a-z]+-\d-)?(.+)")
"""A usage type without the prefix of its region: `EUW2-EBS:VolumeUsage.gp3` and us-east-1's `EBS:VolumeUsage.gp3`."""

OPERATIONS = {"RunInstances": "Linux", "RunInstances:0002": "Windows"}
"""The operations of an instance without further software, by the operating system that they belong to."""

GIB = {
    "EBS:VolumeUsage": "standard",
    "EBS:VolumeUsage.gp2": "gp2",
    "EBS:VolumeUsage.gp3": "gp3",
    "EBS:VolumeUsage.io2": "io2",
    "EBS:VolumeUsage.piops": "io1",
    "EBS:VolumeUsage.sc1": "sc1",
    "EBS:VolumeUsage.st1": "st1",
}
IOPS = {
    "EBS:VolumeP-IOPS.gp3": ("gp3", None),
    "EBS:VolumeP-IOPS.io2": ("io2", 32_000),
    "EBS:VolumeP-IOPS.io2.tier2": ("io2", 64_000),
    "EBS:VolumeP-IOPS.io2.tier3": ("io2", None),
    "EBS:VolumeP-IOPS.piops": ("io1", None),
}
"""The volume type whose provisioned IOPS a usage type is, and up to how many."""

THROUGHPUT = "EBS:VolumeP-Throughput.gp3"  # USD for a GiB/s and month; the table has MiB/s

SERVICES = {
    "AWSQueueService": {"Requests-Tier1": ("sqs_million", 1_000_000)},
    "AWSSecretsManager": {"AWSSecretsManager-Secrets": ("secret_month", 1)},
    "AmazonCloudWatch": {"CW:AlarmMonitorUsage": ("alarm_month", 1), "DataProcessing-Bytes": ("log_gib", 1)},
    "AmazonDynamoDB": {
        "ReadRequestUnits": ("dynamodb_read_million", 1_000_000),
        "WriteRequestUnits": ("dynamodb_write_million", 1_000_000),
    },
    "AmazonVPC": {"PublicIPv4:InUseAddress": ("public_ipv4_hour", 1)},
}
"""Which usage types of an offer are which price of the table, and how many units that price is for."""


class PriceListError(Exception):
    """The price list cannot be read, or says two things."""


@dataclass
class Prices:
    """What has been read so far; `hours` by type, region and operating system, the others as the table has them."""

    hours: dict[str, dict[str, dict[str, Decimal]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    volumes: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    services: dict[str, dict[str, Decimal]] = field(default_factory=lambda: defaultdict(dict))
    published: list[str] = field(default_factory=list)


def refreshed(base: str, only: frozenset[str] = frozenset()) -> str:
    """The text of a new table.json from the price list at `base`, of all regions or those in `only`."""
    prices = Prices()
    for region, url in _offers(base, "AmazonEC2").items():
        if not only or region in only:
            _read_ec2(prices, region, base + url)
    for service, wanted in SERVICES.items():
        for region, url in _offers(base, service).items():
            if any(region in row for row in prices.hours.values()):
                _read_service(prices, region, base + url, wanted)
    if not prices.hours:
        raise PriceListError(f"{base} has no instance prices" + (f" in {', '.join(sorted(only))}" if only else ""))
    return table_text(_table(prices, base))


def _offers(base: str, service: str) -> dict[str, str]:
    """Where the current offer of `service` is, in CSV, by region."""
    with _opened(f"{base}/offers/v1.0/aws/{service}/current/region_index.json") as text:
        regions = json.load(text)["regions"]
    return {
        region: offer["currentVersionUrl"].removesuffix(".json") + ".csv"
        for region, offer in sorted(regions.items())
        if REGION.fullmatch(region)
    }


def _read_ec2(prices: Prices, region: str, url: str) -> None:
    for row in _rows(prices, url):
        if row["Product Family"].startswith("Compute Instance"):
            system = OPERATIONS.get(row["operation"])
            is_plain = row["Tenancy"] == "Shared" and row["CapacityStatus"] == "Used" and row["Unit"] == "Hrs"
            if is_plain and row["Pre Installed S/W"] == "NA" and row["Operating System"] == system:
                _put(prices.hours[row["Instance Type"]][region], system, _price(row), url)
        else:
            _read_volume(prices, region, row, url)


def _read_volume(prices: Prices, region: str, row: Mapping[str, str], url: str) -> None:
    usage = _usage(row)
    if usage in GIB:
        _put(prices.volumes[GIB[usage]][region], "gib", _price(row), url)
    elif usage in IOPS:
        volume_type, up_to = IOPS[usage]
        tiers = prices.volumes[volume_type][region].setdefault("iops", {})
        _put(tiers, up_to, _price(row), url)
    elif usage == THROUGHPUT:
        _put(prices.volumes["gp3"][region], "mibps", _price(row) / 1024, url)


def _read_service(prices: Prices, region: str, url: str, wanted: Mapping[str, tuple[str, int]]) -> None:
    for row in _rows(prices, url):
        name, units = wanted.get(_usage(row), (None, 1))
        if name and Decimal(row["StartingRange"] or 0) == 0:
            _put(prices.services[name], region, _price(row) * units, url)


def _put(prices: dict[Any, Any], key: Any, price: Decimal, url: str) -> None:
    """Keeps a price that is charged. One of 0 is that of a reservation or a free tier and says nothing."""
    if price and prices.setdefault(key, price) != price:
        raise PriceListError(f"{url} has two prices for `{key}`: {prices[key]} and {price}")


def _usage(row: Mapping[str, str]) -> str:
    matched = USAGE.fullmatch(row["usageType"])
    return matched[1] if matched else ""


def _price(row: Mapping[str, str]) -> Decimal:
    return Decimal(row["PricePerUnit"])


def _rows(prices: Prices, url: str) -> Iterator[dict[str, str]]:
    """The rows of an offer that a region charges on demand in USD. Before its columns an offer has lines of its own."""
    with _opened(url) as text:
        lines = csv.reader(text)
        columns: list[str] = []
        for line in lines:
            if line[:1] == ["SKU"]:
                columns = line
                break
            if line[:1] == ["Publication Date"]:
                prices.published.append(line[1])
        if not columns:
            raise PriceListError(f"{url} is not an offer file: no line begins with `SKU`")
        term, currency, place = (columns.index(name) for name in ("TermType", "Currency", "Location Type"))
        for line in lines:
            if line[term] == "OnDemand" and line[currency] == "USD" and line[place] == "AWS Region":
                yield dict(zip(columns, line, strict=False))


@contextmanager
def _opened(url: str) -> Iterator[io.TextIOWrapper]:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - the caller's own price list
            yield io.TextIOWrapper(response, encoding="utf-8", newline="")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise PriceListError(f"{url} cannot be read: {error}") from error


def _table(prices: Prices, base: str) -> dict[str, Any]:
    linux = {
        type_: {region: systems["Linux"] for region, systems in regions.items() if "Linux" in systems}
        for type_, regions in prices.hours.items()
    }
    regions = sorted({region for row in linux.values() for region in row})
    published = sorted(prices.published)
    source = {
        "name": f"AWS's price list, {base}",
        "version": f"offers published from {published[0]} to {published[-1]}",
        "date": published[0][:10],
        "prices": "all",
    }
    return {
        "sources": [source],
        "regions": regions,
        "instances": {type_: [row.get(region) for region in regions] for type_, row in linux.items() if row},
        "windows": dict(_windows(prices, regions)),
        "volumes": {
            volume_type: {region: _rates(rates) for region, rates in by_region.items() if "gib" in rates}
            for volume_type, by_region in prices.volumes.items()
        },
        "services": prices.services,
    }


def _windows(prices: Prices, regions: list[str]) -> Iterator[tuple[str, Decimal | list[Decimal | None]]]:
    """What Windows adds to each type: one price, or where regions differ a list by region."""
    for type_, by_region in prices.hours.items():
        added = {
            region: systems["Windows"] - systems["Linux"]
            for region, systems in by_region.items()
            if {"Linux", "Windows"} <= systems.keys()
        }
        if len(added) == len(by_region) and len(set(added.values())) == 1:
            yield type_, next(iter(added.values()))
        elif added:
            yield type_, [added.get(region) for region in regions]


def _rates(rates: Mapping[str, Any]) -> dict[str, Any]:
    """The rates of a volume with the tiers of its IOPS in their order."""
    tiers = sorted(rates.get("iops", {}).items(), key=lambda tier: tier[0] or sys.maxsize)
    return {**rates, **({"iops": [[up_to, price] for up_to, price in tiers]} if tiers else {})}


def table_text(table: Mapping[str, Any]) -> str:
    """`table` as table.json has it: one line a type or service, sorted, so that a diff shows which prices changed."""
    sources = ",\n".join(json.dumps(source, ensure_ascii=False) for source in table["sources"])
    parts = [f'"sources": [\n{sources}\n]', f'"regions": {json.dumps(table["regions"])}']
    for name in ("instances", "windows", "volumes", "services"):
        rows = sorted(table[name].items(), key=lambda row: row[0].partition("."))
        parts.append(
            f'"{name}": {{\n' + ",\n".join(f"{json.dumps(key)}: {_json(value)}" for key, value in rows) + "\n}"
        )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: Any) -> str:
    """Compact JSON in which a Decimal is written with its digits and without its zeros."""
    match value:
        case None:
            return "null"
        case int() | Decimal():
            return format(Decimal(value).normalize(), "f")
        case list():
            return f"[{','.join(map(_json, value))}]"
        case _:
            return "{" + ",".join(f"{json.dumps(key)}:{_json(part)}" for key, part in sorted(value.items())) + "}"


def main() -> None:
    """Reads the price list and replaces the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default=PRICE_LIST, help="where the price list is")
    parser.add_argument("--region", action="append", default=[], help="a region to read, as often as needed (all)")
    parser.add_argument("--output", type=Path, default=TABLE)
    arguments = parser.parse_args()
    try:
        text = refreshed(arguments.url, frozenset(arguments.region))
    except PriceListError as error:
        sys.exit(str(error))
    arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
