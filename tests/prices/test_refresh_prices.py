"""`tools/refresh_prices.py` reads a price list in the form of AWS's, from a server on loopback."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from price_list import Row, instance, offer, served, usage, windows

from factory_cdk.prices import (
    alarm_month,
    dynamodb_million,
    instance_hour,
    log_gib,
    public_ipv4_hour,
    secret_month,
    sqs_million,
    volume_month,
)
from factory_cdk.prices.table import PriceTable, parse_table

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "refresh_prices.py"

NOTHING: Mapping[str, Mapping[str, Iterable[Row]]] = {
    service: {}
    for service in ("AWSQueueService", "AWSSecretsManager", "AmazonCloudWatch", "AmazonDynamoDB", "AmazonVPC")
}
"""The services beside EC2, sold nowhere."""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh_prices", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def refreshed(tool: ModuleType, offers: Mapping[str, Mapping[str, Iterable[Row]]]) -> PriceTable:
    lines = {
        service: {region: list(offer(rows)) for region, rows in by_region.items()}
        for service, by_region in {**NOTHING, **offers}.items()
    }
    with served(lines) as url:
        return parse_table(tool.refreshed(url))


def of_ec2(tool: ModuleType, *rows: Row) -> PriceTable:
    return refreshed(tool, {"AmazonEC2": {"eu-west-2": rows}})


def test_only_what_a_customer_pays_for_a_shared_instance_on_demand_is_taken(tool: ModuleType) -> None:
    table = of_ec2(
        tool,
        instance("m5.large", "0.0000000000", CapacityStatus="AllocatedCapacityReservation"),
        instance("m5.large", "0.1180000000", CapacityStatus="UnusedCapacityReservation", Tenancy="Dedicated"),
        instance("m5.large", "0.1110000000"),
        instance("m5.large", "0.0000000000", Tenancy="Host"),
        instance("m5.large", "0.1180000000", Tenancy="Dedicated"),
        instance("m5.large", "0.0700000000", TermType="Reserved"),
        instance("m5.large", "0.5910000000", **{"Pre Installed S/W": "SQL Std", "operation": "RunInstances:0004"}),
        instance("m5.large", "0.1710000000", **{"Operating System": "RHEL", "operation": "RunInstances:0010"}),
        instance("m5.large", "0.1500000000", **{"Location Type": "AWS Local Zone"}),
        instance("m5.large", "0.8000000000", Currency="CNY"),
        windows("m5.large", "0.2030000000"),
        windows("m5.large", "0.1110000000", operation="RunInstances:0800"),  # with a licence of one's own
    )
    assert instance_hour("m5.large", "eu-west-2", table=table) == Decimal("0.111")
    assert instance_hour("m5.large", "eu-west-2", "windows", table=table) == Decimal("0.203")
    assert table.regions == ("eu-west-2",)


def test_rates_of_volumes_are_taken_with_their_tiers_and_throughput_by_the_mib(tool: ModuleType) -> None:
    table = of_ec2(
        tool,
        instance("m5.large", "0.111"),
        usage("EUW2-EBS:VolumeUsage.gp3", "0.0928000000", Unit="GB-Mo"),
        usage("EUW2-EBS:VolumeP-IOPS.gp3", "0.0058000000", Unit="IOPS-Mo", StartingRange="3000"),
        usage("EUW2-EBS:VolumeP-Throughput.gp3", "47.5136000000", Unit="GiBps-mo"),
        usage("EUW2-EBS:VolumeUsage.io2", "0.1450000000", Unit="GB-month"),
        usage("EUW2-EBS:VolumeP-IOPS.io2.tier3", "0.0372400000", Unit="IOPS-Mo"),
        usage("EUW2-EBS:VolumeP-IOPS.io2", "0.0760000000", Unit="IOPS-Mo"),
        usage("EUW2-EBS:VolumeP-IOPS.io2.tier2", "0.0532000000", Unit="IOPS-Mo"),
        usage("EUW2-LHR1-EBS:VolumeUsage.gp2", "0.9000000000", Unit="GB-Mo"),
    )
    gp3, io2 = (volume_month(kind, "eu-west-2", table=table) for kind in ("gp3", "io2"))
    assert gp3 is not None and io2 is not None
    assert (gp3.gib, gp3.mibps) == (Decimal("0.0928"), Decimal("0.0464"))
    assert [(tier.up_to, tier.price) for tier in gp3.iops_tiers] == [(None, Decimal("0.0058"))]
    assert [(tier.up_to, tier.price) for tier in io2.iops_tiers] == [
        (32_000, Decimal("0.076")),
        (64_000, Decimal("0.0532")),
        (None, Decimal("0.03724")),
    ]
    assert volume_month("gp2", "eu-west-2", table=table) is None


def test_services_are_taken_by_their_usage_types_whatever_a_region_is_called_in_them(tool: ModuleType) -> None:
    table = refreshed(
        tool,
        {
            "AmazonEC2": {"eu-west-1": [instance("m5.large", "0.107")], "us-east-1": [instance("m5.large", "0.096")]},
            "AWSQueueService": {
                "eu-west-1": [
                    usage("EU-Requests-Tier1", "0.0000004000"),
                    usage("EU-Requests-Tier1", "0.0000003000", StartingRange="100000000000"),
                    usage("EU-Requests-FIFO-Tier1", "0.0000005000"),
                    usage("Global-Requests", "0.0000000000"),
                ]
            },
            "AmazonDynamoDB": {
                "eu-west-1": [
                    usage("EU-WriteRequestUnits", "0.000000705"),
                    usage("EU-ReadRequestUnits", "0.0000001415"),
                ],
                "us-east-1": [usage("WriteRequestUnits", "0.000000625")],
            },
            "AmazonCloudWatch": {
                "us-east-1": [usage("CW:AlarmMonitorUsage", "0.1"), usage("USE1-DataProcessing-Bytes", "0.50")]
            },
            "AWSSecretsManager": {"eu-west-1": [usage("EU-AWSSecretsManager-Secrets", "0.40")]},
            "AmazonVPC": {
                "eu-west-1": [usage("EU-PublicIPv4:InUseAddress", "0.005")],
                "eu-west-9": [usage("EUW9-PublicIPv4:InUseAddress", "0.009")],
            },
        },
    )
    assert sqs_million("eu-west-1", table=table) == Decimal("0.4")
    rates = dynamodb_million("eu-west-1", table=table)
    assert rates is not None
    assert (rates.writes, rates.reads) == (Decimal("0.705"), Decimal("0.1415"))
    assert dynamodb_million("us-east-1", table=table) is None  # reads have no price there
    assert (alarm_month("us-east-1", table=table), log_gib("us-east-1", table=table)) == (
        Decimal("0.1"),
        Decimal("0.5"),
    )
    assert secret_month("eu-west-1", table=table) == Decimal("0.4")
    assert public_ipv4_hour("eu-west-1", table=table) == Decimal("0.005")
    assert public_ipv4_hour("eu-west-9", table=table) is None  # no instance is sold there


def test_windows_that_costs_otherwise_in_a_region_is_priced_by_region(tool: ModuleType) -> None:
    table = refreshed(
        tool,
        {
            "AmazonEC2": {
                "eu-west-1": [instance("c3.large", "0.120"), windows("c3.large", "0.188")],
                "us-east-1": [
                    instance("c3.large", "0.105"),
                    windows("c3.large", "0.188"),
                    instance("t3.nano", "0.0052"),
                ],
                "us-west-2": [instance("c3.large", "0.105")],
            }
        },
    )
    hours = [instance_hour("c3.large", region, "windows", table=table) for region in table.regions]
    assert hours == [Decimal("0.188"), Decimal("0.188"), None]
    assert instance_hour("t3.nano", "us-east-1", "windows", table=table) is None


def test_local_zones_and_china_are_left_out(tool: ModuleType) -> None:
    rows = [instance("m5.large", "0.111")]
    regions = ("us-west-2", "us-west-2-lax-1", "cn-north-1", "us-gov-east-1")
    table = refreshed(tool, {"AmazonEC2": dict.fromkeys(regions, rows)})
    assert table.regions == ("us-gov-east-1", "us-west-2")


def test_two_prices_for_one_thing_are_an_error_and_leave_the_table_as_it_was(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text("as it was")
    rows = [instance("m5.large", "0.111"), instance("m5.large", "0.112")]
    offers = {"AmazonEC2": {"eu-west-2": list(offer(rows))}}
    with served(offers) as url:
        command = [sys.executable, str(TOOL), "--url", url, "--output", str(table)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "two prices for `Linux`: 0.111 and 0.112" in result.stderr
    assert "Traceback" not in result.stderr
    assert table.read_text() == "as it was"


@pytest.mark.parametrize("lines", [[], ["<html>\n"], ['"FormatVersion","v1.0"\n']])
def test_what_is_no_offer_file_is_said(tool: ModuleType, lines: list[str]) -> None:
    with served({"AmazonEC2": {"eu-west-2": lines}}) as url, pytest.raises(tool.PriceListError, match="no line begins"):
        tool.refreshed(url)


def test_a_price_list_that_is_not_there_is_said_without_a_traceback(tmp_path: Path) -> None:
    with served({}) as url:
        command = [sys.executable, str(TOOL), "--url", url, "--output", str(tmp_path / "table.json")]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "region_index.json cannot be read: HTTP Error 404" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_region_that_is_asked_for_is_read_alone(tool: ModuleType) -> None:
    offers = {
        "AmazonEC2": {
            "eu-west-2": list(offer([instance("m5.large", "0.111")])),
            "us-east-1": ["this would be an error\n"],
        },
        **NOTHING,
    }
    with served(offers) as url:
        assert parse_table(tool.refreshed(url, frozenset({"eu-west-2"}))).regions == ("eu-west-2",)
        with pytest.raises(tool.PriceListError, match="no instance prices in mars-1"):
            tool.refreshed(url, frozenset({"mars-1"}))


def test_memory_does_not_grow_with_an_offer_file(tool: ModuleType) -> None:
    def peak(rows: int) -> int:
        many = (instance(f"m5.{number % 50}xlarge", f"0.{number % 50 + 1}") for number in range(rows))
        offers = {"AmazonEC2": {"eu-west-2": offer(many)}, **NOTHING}
        with served(offers) as url:
            tracemalloc.start()
            try:
                tool.refreshed(url)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    small, large = peak(500), peak(10_000)
    assert large < small + 500_000, "20 times the rows, 5 MB more text"


def test_the_table_that_ships_is_written_as_the_tool_writes_it(tool: ModuleType) -> None:
    text = (ROOT / "factory_cdk" / "prices" / "table.json").read_text()
    assert tool.table_text(json.loads(text, parse_float=Decimal)) == text


def test_a_refreshed_table_tells_its_source_and_date(tool: ModuleType) -> None:
    table = of_ec2(tool, instance("m5.large", "0.111"))
    assert table.date == "2026-11-03"
    assert "AWS's price list, http://127.0.0.1" in table.source
