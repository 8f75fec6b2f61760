"""Checks the private addresses of an instance and its network interfaces: that they are addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.yaml.nodes import Path


def check_addresses(parameters: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check the addresses in the `parameters` at `path` (F504); whether they are in the subnet, only AWS knows."""
    for spot, value in _addresses(parameters):
        version: type[IPv4Address | IPv6Address] = IPv6Address if spot[-1] == "Ipv6Address" else IPv4Address
        try:
            address = version(str(value))
        except AddressValueError:
            address = None
        if address is None or (isinstance(address, IPv6Address) and address.scope_id):
            shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in spot).removeprefix(".")
            kind, example = ("IPv6", "2001:db8::5") if version is IPv6Address else ("IPv4", "10.0.0.5")
            message = f"`{shown}` is `{shortened(str(value))}`, which is no {kind} address"
            findings.at_value((*path, *spot), "F504", message, f"write a single address of the subnet: `{example}`")


def _addresses(holder: Mapping[str, Any], start: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in holder.items():
        here: Path = (*start, name)
        if name in ("PrivateIpAddress", "Ipv6Address"):
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                yield here, value
        elif name in ("PrivateIpAddresses", "Ipv6Addresses", "NetworkInterfaces") and isinstance(value, list):
            for index, one in enumerate(value):
                if isinstance(one, Mapping):
                    yield from _addresses(one, (*here, index))
