"""What a sector costs on AWS in a month: a table of prices that ships with the program, and the estimate made with it.

`table.py` reads the table (`table.json`, when it is first asked for), `lookup.py` answers for one price, `estimate.py`
adds up a sector. Nothing here asks the network; `tools/refresh_prices.py` writes the table anew from AWS's price list.
A price that the table does not have is None, never a guess.
"""

from __future__ import annotations

from factory_cdk.prices.estimate import Estimate, LineItem, SectorCounts, UnknownItem, sector_estimate
from factory_cdk.prices.lookup import (
    DynamoDbRates,
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
from factory_cdk.prices.table import PriceSource, PriceTable, price_table

__all__ = [
    "DynamoDbRates",
    "Estimate",
    "LineItem",
    "PriceSource",
    "PriceTable",
    "SectorCounts",
    "UnknownItem",
    "VolumeRates",
    "alarm_month",
    "dynamodb_million",
    "instance_hour",
    "log_gib",
    "price_table",
    "public_ipv4_hour",
    "secret_month",
    "sector_estimate",
    "sqs_million",
    "volume_month",
]
