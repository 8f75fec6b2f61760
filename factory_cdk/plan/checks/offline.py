"""Reads what an aws sector needs to install from its release alone, without an index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory_cdk.plan.arguments import read_python
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import Offline, PythonBuild
from factory_cdk.plan.yaml.nodes import Path

LOWEST_PYTHON, NEWEST_PYTHON = 11, 14
"""The minor versions of Python 3 for which there are wheels of the runner (runner_wheels.json)."""

BUILD = r"(https://|(?!.*://))[^#\s][^#]*\.tar\.gz#sha256=[0-9a-f]{64}"
"""A `python-build`: a path or an https address, and the SHA-256 of the file."""

_ARM = re.compile(r"a1\.|[a-z]+[0-9]+[a-z]*g[a-z]*[.-]|[a-z0-9]+-gb[0-9]+\.")
_LIKE_A_BUILD = "write a .tar.gz and its SHA-256: `builds/python.tar.gz#sha256=…` or `https://…/python.tar.gz#sha256=…`"


def architecture_of(instance_type: str) -> str:
    """The architecture of an instance type, as Python names it, `x86_64` or `aarch64`: Graviton families have a `g`
    behind their generation (m7g, c6gn, t4g), all but the first of them, a1; so have those with NVIDIA's Grace (-gb200).
    (https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html)
    """
    return "aarch64" if _ARM.match(instance_type) else "x86_64"


def read_offline(data: Mapping[str, Any], path: Path, findings: Findings) -> Offline | None:
    """How the aws sector `data` at `path` installs without an index; None where it does not. What is wrong with it is
    reported.
    """
    if data.get("offline") is not True:
        if "python-build" in data:
            message = f"`python-build` is for offline sectors, and `{path[-1]}` is none"
            findings.at_key((*path, "python-build"), "F523", message, "add `offline: true`, or remove it")
        return None
    if data.get("platform") == "windows":
        message = f"the sector `{path[-1]}` cannot be offline: no agent runs on Windows yet"
        findings.at_key((*path, "offline"), "F523", message, "remove `offline`, or write `platform: linux`")
    python = _python(data, path, findings)
    build = _build(data.get("python-build"), (*path, "python-build"), findings)
    return Offline(architecture_of(_instance_type(data)), python, build) if python is not None else None


def _python(data: Mapping[str, Any], path: Path, findings: Findings) -> str | None:
    """The version of Python, such as `3.12`, for which there are wheels."""
    if data.get("python") is None:
        message = f"the offline sector `{path[-1]}` needs `python`: the wheels in its release are for one version"
        findings.at_key((*path, "offline"), "F523", message, 'write that of its image or of `python-build`: `"3.12"`')
        return None
    said = read_python(data["python"], (*path, "python"), findings)
    if said is None:
        return None
    version = ".".join(said.split(".")[:2])
    if not LOWEST_PYTHON <= int(version.partition(".")[2]) <= NEWEST_PYTHON:
        message = f"the runner of the offline sector `{path[-1]}` needs Python 3.{LOWEST_PYTHON} to 3.{NEWEST_PYTHON}"
        findings.at_value((*path, "python"), "F523", message, "write another one; a bot can have `python` of its own")
    return version


def _build(value: Any, path: Path, findings: Findings) -> PythonBuild | None:
    if not isinstance(value, str) or not value:
        return None
    if not re.fullmatch(BUILD, value):
        message = f"invalid Python build `{shortened(value)}`"
        findings.at_value(path, "F523", message, _LIKE_A_BUILD)
        return None
    place, _, sha256 = value.partition("#sha256=")
    return PythonBuild(place, sha256)


def _instance_type(data: Mapping[str, Any]) -> str:
    """The type that is used: the first of `availability`, else that of `parameters`."""
    availability, parameters = data.get("availability"), data.get("parameters")
    listed = [str(one) for one in availability] if isinstance(availability, list) else []
    types = [one for one in listed if not one.startswith("subnet-")]
    return types[0] if types else str(parameters.get("InstanceType", "")) if isinstance(parameters, dict) else ""
