"""Finds one network interface, private address or volume that several instances would use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Plan, SectorType
from factory_cdk.plan.yaml.nodes import Path


def check_shared(plan: Plan, findings: Findings) -> None:
    """Add F517 for what two instances of one stage cannot share, F518 for what they can share in special cases only:
    a volume, and anything that instances of two stages use, which may run at different times.
    """
    users: dict[tuple[str, ...], tuple[str, str]] = {}
    for stage in plan.stages.values():
        for sector in stage.sectors:
            if sector.type is not SectorType.AWS:
                continue
            path: Path = ("factory", "stages", stage.name, sector.name, "parameters")
            for spot, kind, text, scope in _exclusive(sector.parameters):
                first = users.setdefault((kind, text, scope), (stage.name, sector.name))
                if first != (stage.name, sector.name):
                    _report((*path, *spot), kind, text, first, stage.name, findings)


def _report(path: Path, kind: str, text: str, first: tuple[str, str], stage: str, findings: Findings) -> None:
    other = f"the sector `{first[1]}`" + (f" of the stage `{first[0]}`" if first[0] != stage else "")
    message = f"{other} uses the {kind} `{text}`, too"
    if first[0] == stage and kind != "volume":
        findings.at_value(path, "F517", message, f"use a {kind} of its own for each sector")
    elif first[0] == stage:
        hint = "use a volume of its own, or silence the warning if it is a Multi-Attach volume (io1, io2)"
        findings.at_value(path, "F518", message, hint)
    else:
        hint = f"use a {kind} of its own, or silence the warning if the stages never run at the same time"
        findings.at_value(path, "F518", message, hint)


def _exclusive(parameters: Mapping[str, Any]) -> Iterator[tuple[Path, str, str, str]]:
    """What one instance alone can have: its path, kind, name, and the subnet in which a private address is unique."""
    yield from _addresses(parameters, parameters, ())
    for index, one in _items(parameters.get("NetworkInterfaces")):
        spot: Path = ("NetworkInterfaces", index)
        if isinstance(one.get("NetworkInterfaceId"), str):
            yield (*spot, "NetworkInterfaceId"), "network interface", one["NetworkInterfaceId"], ""
        yield from _addresses(one, parameters, spot)
    for index, one in _items(parameters.get("Volumes")):
        if isinstance(one.get("VolumeId"), str):
            yield ("Volumes", index, "VolumeId"), "volume", one["VolumeId"], ""


def _addresses(holder: Mapping[str, Any], parameters: Mapping[str, Any], path: Path) -> Iterator[Any]:
    subnet = holder.get("SubnetId") or parameters.get("SubnetId")
    if isinstance(subnet, str):
        if isinstance(holder.get("PrivateIpAddress"), str):
            yield (*path, "PrivateIpAddress"), "private address", holder["PrivateIpAddress"], subnet
        for index, one in _items(holder.get("PrivateIpAddresses")):
            if isinstance(one.get("PrivateIpAddress"), str):
                spot = (*path, "PrivateIpAddresses", index, "PrivateIpAddress")
                yield spot, "private address", one["PrivateIpAddress"], subnet
    for index, one in _items(holder.get("Ipv6Addresses")):
        if isinstance(one.get("Ipv6Address"), str):
            yield (*path, "Ipv6Addresses", index, "Ipv6Address"), "IPv6 address", one["Ipv6Address"].lower(), ""


def _items(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, Mapping):
            yield index, one
