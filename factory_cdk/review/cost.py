"""What a stage costs in a month, before and after, from the table of prices that ships with the program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from factory_cdk.canonical_json import canonical_json
from factory_cdk.plan.model import Json
from factory_cdk.prices.estimate import SectorCounts, sector_estimate
from factory_cdk.prices.lookup import dynamodb_million, sqs_million
from factory_cdk.prices.table import price_table
from factory_cdk.review.model import Cost, CostReport, SectorReport
from factory_cdk.review.sectors import ALARM
from factory_cdk.review.security import instance_properties
from factory_cdk.review.sides.side import SectorSide, StageSide, resources_of

REQUESTS_PER_JOB = 3
"""SQS requests that a job takes at most, one each to send, to receive and to delete it: batches take fewer."""

_SECRET_TYPE = "AWS::SecretsManager::Secret"  # noqa: S105 - the type of a resource
_TABLE = "AWS::DynamoDB::Table"


def with_costs(
    sectors: Iterable[SectorReport], before: StageSide | None, after: StageSide | None
) -> tuple[SectorReport, ...]:
    """`sectors` with what each costs on either side."""
    known: dict[str, Cost] = {}
    return tuple(
        replace(one, cost_before=_cost(before, one.name, known), cost_after=_cost(after, one.name, known))
        for one in sectors
    )


def cost_report(
    sectors: Iterable[SectorReport], before: StageSide | None, after: StageSide | None
) -> CostReport | None:
    """The sums over `sectors`, which have their costs; None without an aws sector. A sector whose price is not known on
    one side is in neither sum: nothing is saved by a type without a price.
    """
    priced = [one for one in sectors if one.cost_before or one.cost_after]
    if not priced:
        return None
    unknown = [one.name for one in priced if _unknown(one.cost_before) or _unknown(one.cost_after)]
    priced = [one for one in priced if one.name not in set(unknown)]
    return CostReport(
        date=price_table().date,
        before=sum((one.cost_before.dollars or 0.0 for one in priced if one.cost_before), 0.0),
        after=sum((one.cost_after.dollars or 0.0 for one in priced if one.cost_after), 0.0),
        unknown=tuple(unknown),
        per_million_jobs=_jobs(after or before),
        notes=("on demand, in US dollars without tax; traffic, and volumes that only the image names, are not in it",),
    )


def _unknown(cost: Cost | None) -> bool:
    return cost is not None and cost.dollars is None


def _cost(stage: StageSide | None, name: str, known: dict[str, Cost]) -> Cost | None:
    sector = stage.sectors.get(name) if stage else None
    properties = instance_properties(stage, sector)
    if stage is None or sector is None or sector.region is None or properties is None:
        return None
    counts = _counts(stage, sector)
    parts: Json = {key: value for key, value in properties.items() if key not in ("UserData", "Tags")}
    key = canonical_json([parts, sector.region, sector.platform, counts.alarms, counts.secrets])
    if key not in known:
        known[key] = _estimated(parts, sector.region, sector.platform, counts)
    return known[key]


def _estimated(properties: Json, region: str, platform: str, counts: SectorCounts) -> Cost:
    estimate = sector_estimate(properties, region, "windows" if platform == "windows" else "linux", counts)
    no_instance = any(item.name.startswith("instance") for item in estimate.unknown)
    return Cost(
        dollars=None if no_instance else float(round(estimate.monthly, 2)),
        items={item.name: float(round(item.monthly, 2)) for item in estimate.items},
        unknown=tuple(f"{item.name}: {item.why}" for item in estimate.unknown),
    )


def _counts(stage: StageSide, sector: SectorSide) -> SectorCounts:
    types = [one.type for one in resources_of(stage, sector)]
    return SectorCounts(alarms=types.count(ALARM), secrets=types.count(_SECRET_TYPE))


def _jobs(stage: StageSide | None) -> dict[str, float]:
    """US dollars for the requests of a million jobs, by the service, in the region of the queues."""
    home = (
        next((stage.stacks[queue.stack].region for queue in stage.queues.values() if queue.stack), None)
        if stage
        else None
    )
    if stage is None or home is None:
        return {}
    found: dict[str, Decimal | None] = {"SQS": _times(REQUESTS_PER_JOB, sqs_million(home))}
    if any(one.type == _TABLE for stack in stage.stacks.values() for one in stack.resources.values()):
        rates = dynamodb_million(home)
        found["DynamoDB"] = rates.writes if rates else None
    return {name: float(round(price, 4)) for name, price in found.items() if price is not None}


def _times(count: int, price: Decimal | None) -> Decimal | None:
    return None if price is None else count * price
