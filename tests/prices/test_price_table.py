"""The table that ships: well formed, light, and with the prices that AWS publishes."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from factory_cdk.plan.facts import partitions
from factory_cdk.prices import (
    alarm_month,
    dynamodb_million,
    instance_hour,
    log_gib,
    price_table,
    public_ipv4_hour,
    secret_month,
    sqs_million,
    volume_month,
)
from factory_cdk.prices.table import parse_table

TABLE = Path(__file__).parents[2] / "factory_cdk" / "prices" / "table.json"

# From AWS's own descriptions ("$0.376 per On Demand Windows m5.xlarge Instance Hour") and its pricing pages.
LINUX = [
    ("t2.micro", "us-east-1", "0.0116"),
    ("t3.medium", "eu-west-1", "0.0456"),
    ("t3.small", "ap-southeast-1", "0.0264"),
    ("m5.large", "us-east-1", "0.096"),
    ("m5.large", "eu-west-1", "0.107"),
    ("c5.xlarge", "ap-southeast-1", "0.196"),
    ("m6i.xlarge", "me-central-1", "0.2354"),
    ("c7i.large", "eu-west-1", "0.09576"),
    ("m6id.12xlarge", "eu-central-1", "3.4272"),
    ("d2.2xlarge", "af-south-1", "1.75"),
    ("c4.2xlarge", "ap-southeast-2", "0.522"),
    ("r4.large", "us-east-1", "0.133"),
    ("g5.xlarge", "us-east-1", "1.006"),
    ("m8g.large", "us-east-1", "0.08976"),
    ("p5.48xlarge", "us-east-1", "55.04"),
    ("c6g.metal", "us-east-1", "2.176"),
]
WINDOWS = [
    ("t2.micro", "us-east-1", "0.0162"),
    ("m5.xlarge", "us-east-1", "0.376"),
    ("t3.medium", "eu-west-1", "0.064"),
    ("c5.xlarge", "ap-northeast-1", "0.398"),
    ("r4.2xlarge", "eu-central-1", "1.0082"),
]


@pytest.mark.parametrize(("type_", "region", "price"), LINUX)
def test_linux_instances_cost_what_aws_publishes(type_: str, region: str, price: str) -> None:
    assert instance_hour(type_, region) == Decimal(price)


@pytest.mark.parametrize(("type_", "region", "price"), WINDOWS)
def test_windows_instances_cost_what_aws_publishes(type_: str, region: str, price: str) -> None:
    assert instance_hour(type_, region, "windows") == Decimal(price)


@pytest.mark.parametrize(
    ("type_", "region"),
    [
        ("m5.huge", "us-east-1"),
        ("m5.large", "eu-west-9"),
        ("m5.large", "cn-north-1"),  # priced in another currency
        ("M5.large", "us-east-1"),
        ("", ""),
        ("mac2.metal", "us-east-1"),  # on dedicated hosts only
        ("p5.48xlarge", "us-west-2"),  # its price fell after it was taken
        ("m8i.metal", "us-east-1"),
    ],
)
def test_what_the_table_does_not_have_has_no_price(type_: str, region: str) -> None:
    assert instance_hour(type_, region) is None
    assert instance_hour(type_, region, "windows") is None


def test_no_arm_instance_has_a_price_with_windows() -> None:
    assert instance_hour("t4g.micro", "us-east-1") is not None
    assert instance_hour("t4g.micro", "us-east-1", "windows") is None
    arm = [type_ for type_ in price_table().windows if "g" in type_.partition(".")[0][2:] or type_.startswith("a1")]
    assert arm == []


def test_windows_costs_more_than_linux_everywhere() -> None:
    table = price_table()
    priced = 0
    for type_, regions in table.instances.items():
        for region, linux in regions.items():
            windows = instance_hour(type_, region, "windows")
            priced += windows is not None
            assert windows is None or windows > linux
    assert priced > 5000


def test_every_price_is_a_positive_decimal_of_a_region_that_exists() -> None:
    table = price_table()
    prices = [price for regions in table.instances.values() for price in regions.values()]
    prices += [price for price in table.windows.values() if isinstance(price, Decimal)]
    prices += [price for regions in table.services.values() for price in regions.values()]
    assert all(isinstance(price, Decimal) and price > 0 for price in prices)
    assert set(table.regions) <= partitions().keys()
    for regions in (*table.volumes.values(), *table.services.values()):
        assert regions.keys() <= set(table.regions)
    for volume_type, regions in table.volumes.items():
        for region in regions:
            rates = volume_month(volume_type, region)
            assert rates is not None
            assert rates.gib > 0
            limits = [tier.up_to or sys.maxsize for tier in rates.iops_tiers]
            assert limits == sorted(set(limits))
            assert [tier.price for tier in rates.iops_tiers] == sorted(
                (tier.price for tier in rates.iops_tiers), reverse=True
            )


def test_the_types_and_regions_that_people_use_are_there() -> None:
    used = ["t3.micro", "t3.medium", "m5.large", "m5.2xlarge", "c5.xlarge", "r5.large", "m6i.large", "c6i.xlarge"]
    for region in ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-2", "eu-central-1", "ap-southeast-2"):
        assert [type_ for type_ in used if instance_hour(type_, region) is None] == []
    assert len(price_table().regions) > 30


def test_a_larger_size_of_a_family_costs_more_in_every_region() -> None:
    for family in ("m5", "c6i", "r7i", "t3", "m7g"):
        sizes = ["large", "xlarge", "2xlarge"]
        for region in price_table().regions:
            known = [instance_hour(f"{family}.{size}", region) for size in sizes]
            prices = [price for price in known if price is not None]
            assert prices == sorted(set(prices))


def test_volumes_cost_what_aws_publishes() -> None:
    gp3, io2 = volume_month("gp3", "us-east-1"), volume_month("io2", "us-east-1")
    assert gp3 is not None and io2 is not None
    assert (gp3.gib, gp3.iops_included, gp3.mibps, gp3.mibps_included) == (Decimal("0.08"), 3000, Decimal("0.04"), 125)
    assert [tier.price for tier in io2.iops_tiers] == [Decimal("0.065"), Decimal("0.0455"), Decimal("0.03185")]
    frankfurt = volume_month("gp3", "eu-central-1")
    assert frankfurt is not None
    assert (frankfurt.gib, frankfurt.mibps, frankfurt.charges_mibps) == (Decimal("0.0952"), None, True)
    assert volume_month("gp9", "us-east-1") is None
    assert volume_month("gp3", "mars-1") is None


def test_services_cost_what_aws_publishes() -> None:
    assert sqs_million("eu-west-2") == Decimal("0.4")
    rates = dynamodb_million("eu-west-1")
    assert rates is not None
    assert (rates.writes, rates.reads) == (Decimal("0.705"), Decimal("0.1415"))
    assert (alarm_month("eu-west-2"), secret_month("eu-west-2")) == (Decimal("0.1"), Decimal("0.4"))
    assert (log_gib("eu-west-2"), public_ipv4_hour("eu-west-2")) == (Decimal("0.5985"), Decimal("0.005"))
    for price in (sqs_million, dynamodb_million, alarm_month, secret_month, log_gib):
        assert price("sa-east-1") is None


def test_the_table_says_where_its_prices_are_from_and_how_old_they_may_be() -> None:
    table = price_table()
    assert table.date == min(source.date for source in table.sources)
    assert all(date.fromisoformat(source.date) for source in table.sources)
    assert all(source.name and source.version and source.prices for source in table.sources)
    assert "karpenter" in table.source
    assert table is price_table()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{}", KeyError),
        ("[", ValueError),
        (
            '{"sources": [{"name": "a", "version": "1", "date": "soon", "prices": "all"}], "regions": [],'
            ' "instances": {}, "windows": {}, "volumes": {}, "services": {}}',
            ValueError,
        ),
        (
            '{"sources": [], "regions": ["us-east-1"], "instances": {"m5.large": [1, 2]}, "windows": {}, "volumes": {},'
            ' "services": {}}',
            ValueError,
        ),
    ],
)
def test_a_table_of_another_form_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_table(text)


def test_the_table_is_small_and_read_only_when_it_is_asked_for() -> None:
    assert TABLE.stat().st_size < 400_000
    program = (
        "import sys, factory_cdk.prices as prices\n"
        "from factory_cdk.prices.table import price_table\n"
        "assert price_table.cache_info().currsize == 0\n"
        "assert not {'boto3', 'botocore', 'aws_cdk', 'urllib.request', 'yaml'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
