"""The table of prices: USD, on demand, as text in `table.json` and as Decimals here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where prices were taken from: `name` and `version` say what was read, `date` (ISO) when its author took them from
    AWS, `prices` which of the table they are.
    """

    name: str
    version: str
    date: str
    prices: str


@dataclass(frozen=True, slots=True)
class PriceTable:
    """All prices in USD. The mappings are read with `lookup.py`.

    `instances` has the price of an hour of every type in every region (Linux, shared tenancy), `windows` what Windows
    adds to an hour of a type: one price for all regions, or one by region where they differ. `volumes` and `services`
    have the rates of a volume type or a service by region.
    """

    sources: tuple[PriceSource, ...]
    instances: Mapping[str, Mapping[str, Decimal]]
    windows: Mapping[str, Decimal | Mapping[str, Decimal]]
    volumes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    services: Mapping[str, Mapping[str, Decimal]]

    @property
    def date(self) -> str:
        """The ISO date since which the table may be out of date: that of its oldest source."""
        return min(source.date for source in self.sources)

    @property
    def source(self) -> str:
        """Where the prices are from, as one line."""
        return "; ".join(f"{source.name} {source.version} ({source.date})" for source in self.sources)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions of which instance prices are known, in the order of their names."""
        return tuple(sorted({region for prices in self.instances.values() for region in prices}))


@cache
def price_table() -> PriceTable:
    """The table that ships with the program. It is read once, when it is first asked for."""
    return parse_table((files("factory_cdk.prices") / "table.json").read_text(encoding="utf-8"))


def parse_table(text: str) -> PriceTable:
    """The table that `text`, JSON as `table.json` has it, describes.

    An instance type's prices are a list in the order of `regions`, null where there is none: region names in each of
    a thousand rows would treble the file. KeyError or ValueError when the text is something else.
    """
    data = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    regions: list[str] = data["regions"]
    sources = tuple(PriceSource(**source) for source in data["sources"])
    for source in sources:
        date.fromisoformat(source.date)

    def by_region(row: list[Decimal | None]) -> dict[str, Decimal]:
        return {region: price for region, price in zip(regions, row, strict=True) if price is not None}

    return PriceTable(
        sources=sources,
        instances={type_: by_region(row) for type_, row in data["instances"].items()},
        windows={
            type_: by_region(price) if isinstance(price, list) else price for type_, price in data["windows"].items()
        },
        volumes=data["volumes"],
        services=data["services"],
    )
