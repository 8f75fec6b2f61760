"""Checks the volumes of an instance: what EC2 refuses of them depends on their type and on each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.checks.numbers import number
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.yaml.nodes import Path

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html and API_CreateVolume.html
SIZES = {
    "gp2": (1, 16_384),
    "gp3": (1, 65_536),
    "io1": (4, 16_384),
    "io2": (4, 65_536),
    "sc1": (125, 16_384),
    "st1": (125, 16_384),
    "standard": (1, 1024),
}
"""The least and the most GiB of a volume by its type."""

IOPS = {"gp3": (3000, 80_000), "io1": (100, 64_000), "io2": (100, 256_000)}
"""The least and the most IOPS that a volume can be given; the other types have none to be given."""

IOPS_REQUIRED = frozenset({"io1", "io2"})

_INSTANCE_STORE = re.compile(r"ephemeral(1?[0-9]|2[0-3])")


def check_volumes(parameters: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check `BlockDeviceMappings` and `Volumes` of the `parameters` at `path` (F504)."""
    devices: dict[str, str] = {}
    for spot, mapping in _listed(parameters, "BlockDeviceMappings"):
        shown = f"BlockDeviceMappings[{spot[-1]}]"
        if "NoDevice" not in mapping:
            _check_device(mapping.get("DeviceName"), (*path, *spot, "DeviceName"), shown, devices, findings)
        ebs, name = mapping.get("Ebs"), mapping.get("VirtualName")
        if isinstance(ebs, Mapping):
            _check_ebs(ebs, (*path, *spot, "Ebs"), f"{shown}.Ebs", findings)
        elif isinstance(name, str) and not _INSTANCE_STORE.fullmatch(name):
            message = f"invalid value `{shortened(name)}` of `{shown}.VirtualName`"
            hint = "write `ephemeral0`, `ephemeral1`, … for an instance store volume, or `Ebs` for any other"
            findings.at_value((*path, *spot, "VirtualName"), "F504", message, hint)
    for spot, volume in _listed(parameters, "Volumes"):
        _check_device(volume.get("Device"), (*path, *spot, "Device"), f"Volumes[{spot[-1]}]", devices, findings)


def _listed(parameters: Mapping[str, Any], name: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    given = parameters.get(name)
    for index, one in enumerate(given if isinstance(given, list) else ()):
        if isinstance(one, Mapping):
            yield (name, index), one


def _check_device(device: Any, path: Path, shown: str, devices: dict[str, str], findings: Findings) -> None:
    if isinstance(device, str) and devices.setdefault(device, shown) != shown:
        message = f"duplicate device `{shortened(device)}`: `{devices[device]}` has it, too"
        findings.at_value(path, "F504", message, "use a device of its own for each volume")


def _check_ebs(ebs: Mapping[str, Any], path: Path, shown: str, findings: Findings) -> None:
    kind = ebs.get("VolumeType")
    if isinstance(kind, str) and kind in SIZES:
        _check_bounds(ebs, "VolumeSize", SIZES[kind], "GiB", path, findings)
        if kind in IOPS:
            _check_bounds(ebs, "Iops", IOPS[kind], "IOPS", path, findings)
        elif "Iops" in ebs:
            message = f"`Iops` cannot be used with a volume of type {kind}"
            findings.at_key((*path, "Iops"), "F504", message, "remove it, or use the type gp3, io1 or io2")
        if kind in IOPS_REQUIRED and "Iops" not in ebs:
            message = f"missing `Iops` in `{shown}`: a volume of type {kind} needs it"
            findings.missing(path, ["Iops"], "F504", message, "add `Iops: 3000`, or use the type gp3")
    if "KmsKeyId" in ebs and str(ebs.get("Encrypted")).lower() == "false":
        message = f"`KmsKeyId` and `Encrypted: false` in `{shown}` cannot be used together"
        findings.at_key((*path, "KmsKeyId"), "F504", message, "write `Encrypted: true`, or remove `KmsKeyId`")


def _check_bounds(
    ebs: Mapping[str, Any], name: str, bounds: tuple[int, int], unit: str, path: Path, findings: Findings
) -> None:
    given = number(ebs.get(name))
    least, most = bounds
    if given is not None and not least <= given <= most:
        message = f"`{name}` is {given:g}; a volume of type {ebs['VolumeType']} has {least} to {most} {unit}"
        findings.at_value((*path, name), "F504", message, f"write a number from {least} to {most}")
