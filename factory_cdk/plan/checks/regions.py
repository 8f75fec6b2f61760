"""Refuses what belongs to another region than the sector that uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.facts import partitions
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import Plan, SectorType
from factory_cdk.plan.regional import Regional, regional_values
from factory_cdk.plan.yaml.nodes import Path


def check_regions(plan: Plan, findings: Findings) -> None:
    """Add F516 for every ARN and availability zone of another region in the sectors that name theirs, and F519 for an
    id that sectors of two regions use: it is wrong in one of them, but only AWS knows in which.
    """
    ids: dict[str, tuple[str, str]] = {}
    known: dict[int, tuple[Regional, ...]] = {}
    for sector, region, path, properties in _used(plan):
        # What an alias repeats is one object: it is looked through once.
        found = known.get(id(properties))
        if found is None:
            found = known[id(properties)] = regional_values(properties)
        for one in found:
            misfit = one.misfit(region) if one.kind != "id" else None
            if misfit is not None:
                message = f"`{shortened(one.text, 120)}` {misfit}, the region of the sector `{sector}`"
                findings.at_value((*path, *one.path), "F516", message, _HINTS[one.kind])
            elif one.kind == "id":
                first_region, first = ids.setdefault(one.text, (region, sector))
                if first_region != region:
                    message = f"`{one.text}` is used in `{region}` (sector `{sector}`) and in `{first_region}` "
                    message += f"(sector `{first}`), but an id exists in one region"
                    findings.at_value((*path, *one.path), "F519", message, _HINTS["id"])


_HINTS = {
    "arn": "use the ARN of a resource in the region of the sector",
    "zone": "use a zone of the region of the sector, or remove it",
    "id": "use the id that this resource has in the region of the sector",
}


def _used(plan: Plan) -> Iterator[tuple[str, str, Path, Mapping[str, Any]]]:
    """The properties that aws sectors with a region use: the sector, its region, their path, and they themselves."""
    for stage in plan.stages.values():
        for sector in stage.sectors:
            region = sector.region_name
            if sector.type is not SectorType.AWS or region is None or region not in partitions():
                continue
            path: Path = ("factory", "stages", stage.name, sector.name, "parameters")
            yield sector.name, region, path, sector.parameters
            alarm = plan.alarms.get(sector.alarm or "")
            if alarm is not None:
                yield sector.name, region, ("factory", "alarms", alarm.name), alarm.properties
