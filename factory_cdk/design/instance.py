"""What an instance has to do again when its properties change, and how a spot instance is launched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from factory_cdk.design.values import canonical, sha256
from factory_cdk.plan.facts import update_behaviour
from factory_cdk.plan.model import Json

_WITHOUT_INTERRUPTION = frozenset({"SecurityGroupIds"})
"""Conditional in the schema for EC2-Classic, which ended in 2022; in a VPC they are changed without interruption."""


@cache
def _interrupting() -> frozenset[str]:
    known = update_behaviour()["AWS::EC2::Instance"]
    return frozenset((*known["replaces"], *known["may_replace"])) - _WITHOUT_INTERRUPTION


@cache
def _stopping() -> frozenset[str]:
    return frozenset(update_behaviour()["AWS::EC2::Instance"]["may_replace"]) - _WITHOUT_INTERRUPTION


def is_at_boot(properties: Mapping[str, Json]) -> dict[str, Json]:
    """Those `properties` whose change makes another instance or has this one stop and start, and so boot."""
    return {name: value for name, value in properties.items() if name in _interrupting()}


def launched(
    properties: Mapping[str, Json], prefix: str, generation: int, *, spot: bool
) -> tuple[str, dict[str, Json] | None]:
    """The logical id of an instance of a sector's `generation`, and the data of its launch template (None: it needs
    none), which says that it is a spot instance: AWS::EC2::Instance has no property for that.

    A spot instance of a one-time request cannot be stopped, so what would stop it and start it again is part of its
    logical id: another value makes another instance. (One of a persistent request could be, but EC2 would start
    another one for the request when CloudFormation terminates it.)
    """
    name = f"{prefix}Instance" + (str(generation) if generation > 1 else "")
    if not spot:
        return name, None
    mark = sha256(canonical({key: value for key, value in properties.items() if key in _stopping()}))[:8]
    options = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}}
    return f"{name}Spot{mark}", {"InstanceMarketOptions": options}
