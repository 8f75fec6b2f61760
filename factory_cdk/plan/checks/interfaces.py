"""Checks the network interfaces of an instance against each other, as EC2 does when it starts one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory_cdk.plan.checks.numbers import is_true
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.yaml.nodes import Path


def check_interfaces(interfaces: Any, path: Path, findings: Findings) -> None:
    """Check the `NetworkInterfaces` at `path` (F504); what each of them may hold, the resource schema says."""
    # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html
    given = interfaces if isinstance(interfaces, list) else []
    here = [(index, one) for index, one in enumerate(given) if isinstance(one, Mapping)]
    devices: dict[str, int] = {}
    for index, one in here:
        device = _index(one)
        if device is not None and devices.setdefault(device, index) != index:
            message = f"duplicate `DeviceIndex` {device}: `NetworkInterfaces[{devices[device]}]` has it, too"
            findings.at_value((*path, index, "DeviceIndex"), "F504", message, "number the interfaces 0, 1, 2, …")
        _check_public_address(one, len(given), device, (*path, index), findings)
        _check_addresses(one, index, (*path, index), findings)
    if devices and "0" not in devices and len(devices) == len(given):
        message = "no network interface has the `DeviceIndex` 0, that of the primary interface"
        findings.at_key(path, "F504", message, "number the interfaces 0, 1, 2, …")


def _index(interface: Mapping[str, Any]) -> str | None:
    value = interface.get("DeviceIndex")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _check_public_address(
    one: Mapping[str, Any], count: int, device: str | None, path: Path, findings: Findings
) -> None:
    if "AssociatePublicIpAddress" not in one:
        return
    spot = (*path, "AssociatePublicIpAddress")
    if count > 1:
        message = f"`AssociatePublicIpAddress` can be used with a single network interface, not with {count}"
        hint = "remove it: the subnet decides, or associate an Elastic IP address"
        findings.at_key(spot, "F504", message, hint)
    elif device not in (None, "0"):
        message = f"`AssociatePublicIpAddress` can be used with the `DeviceIndex` 0, not with {device}"
        findings.at_key(spot, "F504", message, "write `DeviceIndex: 0`")


def _check_addresses(one: Mapping[str, Any], index: int, path: Path, findings: Findings) -> None:
    several = one.get("PrivateIpAddresses")
    listed = [address for address in several if isinstance(address, Mapping)] if isinstance(several, list) else []
    primary = [number for number, address in enumerate(listed) if is_true(address.get("Primary"))]
    shown = f"NetworkInterfaces[{index}].PrivateIpAddresses"
    if len(primary) > 1:
        message = f"`{shown}` has {len(primary)} primary addresses; an interface has one"
        spot = (*path, "PrivateIpAddresses", primary[1], "Primary")
        findings.at_value(spot, "F504", message, "write `Primary: false` for all others")
    elif primary and "PrivateIpAddress" in one:
        message = f"`PrivateIpAddress` and a primary address in `{shown}` cannot be used together"
        spot = (*path, "PrivateIpAddresses", primary[0], "Primary")
        findings.at_value(spot, "F504", message, "keep one of them")
    if len(listed) > 1 and "SecondaryPrivateIpAddressCount" in one:
        message = f"`SecondaryPrivateIpAddressCount` and several addresses in `{shown}` cannot be used together"
        findings.at_key((*path, "SecondaryPrivateIpAddressCount"), "F504", message, "keep one of them")
