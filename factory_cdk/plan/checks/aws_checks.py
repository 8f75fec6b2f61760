"""Checks what AWS would refuse: instances, metadata and regions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.checks.addresses import check_addresses
from factory_cdk.plan.checks.instance_options import OPTION_KEYS
from factory_cdk.plan.checks.interfaces import check_interfaces
from factory_cdk.plan.checks.numbers import is_true
from factory_cdk.plan.checks.properties import PropertyCheck, check_properties
from factory_cdk.plan.checks.tags import check_tag_list
from factory_cdk.plan.checks.volumes import check_volumes
from factory_cdk.plan.facts import partitions
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.yaml.nodes import Path

REQUIRED_PARAMETERS = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}

_INSTANCE_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")


def check_region(region: Any, path: Path, findings: Findings) -> None:
    """Refuse a region that no partition has."""
    if isinstance(region, str) and region and region not in partitions():
        close = findings.suggest(region, partitions())
        hint = close or "if it is a new region, update factory_cdk"
        findings.at_value(path, "F506", f"unknown region `{region}`", hint)


def check_instance(sector: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check the `parameters` of an aws sector at `path` as properties of AWS::EC2::Instance."""
    parameters = sector.get("parameters")
    if parameters is None:
        if "parameters" not in sector:
            hint = "an EC2 instance needs at least `ImageId` and `InstanceType`"
            message = f"the aws sector `{path[-1]}` has no `parameters`"
            findings.missing(path, ["parameters"], "F501", message, hint)
        return
    if not isinstance(parameters, dict):
        return
    path = (*path, "parameters")
    for name, example in REQUIRED_PARAMETERS.items():
        if parameters.get(name) in (None, ""):
            message = f"missing `{name}` in the parameters of the aws sector `{path[-2]}`"
            findings.missing(path, [name], "F501", message, f"add `{name}: {example}`")
    kind = parameters.get("InstanceType")
    if isinstance(kind, str | int | float) and kind != "" and not _INSTANCE_TYPE.fullmatch(str(kind)):
        message = f"invalid instance type `{shortened(str(kind))}`"
        findings.at_value((*path, "InstanceType"), "F504", message, "write a family, a dot and a size: `t3.micro`")
    for name, reason in (
        ("UserData", "it installs the bots; add your own steps to the image"),
        ("IamInstanceProfile", "it has the permissions that the bots need; grant more to the role of the sector"),
    ):
        if name in parameters:
            message = f"`{name}` is set by factory_cdk"
            findings.at_key((*path, name), "F505", message, f"remove it: {reason}")
    check = PropertyCheck("AWS::EC2::Instance", "ec2-instance", "F502", "F503", "F504")
    check_properties(check, parameters, path, findings)
    check_interfaces(parameters.get("NetworkInterfaces"), (*path, "NetworkInterfaces"), findings)
    check_addresses(parameters, path, findings)
    check_volumes(parameters, path, findings)
    _check_hibernation(parameters, path, findings)
    _check_metadata(parameters.get("MetadataOptions"), (*path, "MetadataOptions"), findings)
    check_tag_list(parameters.get("Tags"), (*path, "Tags"), findings)


def _check_hibernation(parameters: Mapping[str, Any], path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html (EnclaveOptions)
    enclave, hibernation = parameters.get("EnclaveOptions"), parameters.get("HibernationOptions")
    if not isinstance(enclave, Mapping) or not isinstance(hibernation, Mapping):
        return
    if is_true(enclave.get("Enabled")) and is_true(hibernation.get("Configured")):
        message = "`EnclaveOptions` and `HibernationOptions` cannot be used together"
        findings.at_key((*path, "HibernationOptions"), "F504", message, "keep one of them")


def _check_metadata(options: Any, path: Path, findings: Findings) -> None:
    if isinstance(options, Mapping) and options.get("HttpEndpoint") == "disabled":
        message = "without its metadata the instance has no credentials, and could not even read what it is to run"
        hint = "remove it: `HttpTokens: required` is the default, and keeps out who makes a bot fetch a URL"
        findings.at_value((*path, "HttpEndpoint"), "F504", message, hint)


def check_meta(data: Any, path: Path, findings: Findings) -> dict[str, Any]:
    """The factory's meta; it goes into the stacks' metadata, so keys that CloudFormation evaluates are refused."""
    if not isinstance(data, dict):
        return {}
    for where, key in _keys(data, path):
        findings.refuse_control(where, key, key=True)
        if key == "Ref" or key.startswith("Fn::"):
            message = f"CloudFormation would evaluate the key `{shortened(key)}`"
            findings.at_key(where, "F108", message, "use another key")
    for where, text in _texts(data, path):
        findings.refuse_control(where, text)
    findings.warn_of_all_read_otherwise(path, data)
    return data


def _keys(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from _keys(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _keys(item, (*path, index))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))


def check_local(sector: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Refuse the keys of a local sector that only an EC2 instance can have."""
    if "alarm" in sector:
        message = f"`alarm` is not allowed in the local sector `{path[-1]}`: an alarm watches an EC2 instance"
        findings.at_key((*path, "alarm"), "F508", message, "remove it, or write `type: aws`")
    for key in ("parameters", "region_name", "platform", *OPTION_KEYS):
        if key in sector:
            message = f"`{key}` is not allowed in the local sector `{path[-1]}`"
            findings.at_key((*path, key), "F513", message, "remove it, or write `type: aws`")
