"""Checks what AWS would refuse: instances, alarms, tags and regions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory_cdk.plan.facts import partitions, resource_schema
from factory_cdk.plan.findings import Findings, did_you_mean
from factory_cdk.plan.nodes import Path
from factory_cdk.plan.properties import PropertyCheck, check_properties

OWN_TAGS = ("factory-cdk:factory", "factory-cdk:stage", "factory-cdk:sector", "factory-cdk:version")
"""The tags that everything created gets beside the plan's."""

MAX_TAGS = 50 - len(OWN_TAGS)
"""AWS allows 50 tags a resource (https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html)."""

ALARM_VERBS = ("terminate", "stop", "reboot", "recover")
"""Alarm actions that a plan may name by a verb; others are ARNs."""

ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")

REQUIRED_PARAMETERS = ("ImageId", "InstanceType")

_TAG = re.compile(r"[\w \u00a0.:/=+@-]*")


def check_region(region: Any, path: Path, findings: Findings) -> None:
    """Refuse a region that no partition has."""
    if isinstance(region, str) and region and region not in partitions():
        hint = did_you_mean(region, partitions()) or "the regions known are those of this version's botocore"
        findings.at_value(path, "F506", f"there is no region `{region}`", hint)


def check_instance(sector: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check the `parameters` of an aws sector at `path` as properties of AWS::EC2::Instance."""
    parameters = sector.get("parameters")
    if parameters is None:
        if "parameters" not in sector:
            hint = "an EC2 instance needs at least `ImageId` and `InstanceType`"
            findings.at_key(path, "F501", f"the aws sector `{path[-1]}` has no `parameters`", hint)
        return
    if not isinstance(parameters, dict):
        return
    path = (*path, "parameters")
    for name in REQUIRED_PARAMETERS:
        if parameters.get(name) in (None, ""):
            findings.at_key(path, "F501", f"the parameters of the sector `{path[-2]}` lack `{name}`")
    for name, reason in (
        ("UserData", "it installs the bots; put your own steps into the image"),
        ("IamInstanceProfile", "it holds the least that the bots need; grant more to the sector's role"),
    ):
        if name in parameters:
            message = f"`{name}` is set by factory_cdk"
            findings.at_key((*path, name), "F505", message, f"remove it: {reason}")
    schema = resource_schema("ec2-instance")
    check = PropertyCheck("AWS::EC2::Instance", schema, "F502", "F503", "F504")
    check_properties(check, parameters, path, findings)
    for index, tag in enumerate(_tag_list(parameters.get("Tags"))):
        _check_tag(tag.get("Key"), tag.get("Value"), (*path, "Tags", index), findings)


def _tag_list(tags: Any) -> list[dict[str, Any]]:
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def check_alarm(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check the alarm at `path` as properties of AWS::CloudWatch::Alarm, whose Dimensions are ours."""
    if "Dimensions" in alarm:
        hint = "remove it: the alarm watches the instance of the sector that names it"
        findings.at_key((*path, "Dimensions"), "F507", "`Dimensions` is set by factory_cdk", hint)
    check = PropertyCheck("AWS::CloudWatch::Alarm", resource_schema("cloudwatch-alarm"), "F507", "F507", "F507")
    check_properties(check, alarm, path, findings)
    for key in ALARM_ACTIONS:
        actions = alarm.get(key)
        for index, action in enumerate(actions if isinstance(actions, list) else ()):
            if isinstance(action, str) and action not in ALARM_VERBS and not _is_arn(action):
                verbs = ", ".join(f"`{verb}`" for verb in ALARM_VERBS)
                message = f"`{action[:80]}` is neither one of {verbs} nor an ARN"
                findings.at_value((*path, key, index), "F507", message, did_you_mean(action, ALARM_VERBS))
    _check_period(alarm, path, findings)


def _is_arn(text: str) -> bool:
    return re.fullmatch(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:[!-~]+", text) is not None


def _check_period(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    period, count = _number(alarm.get("Period")), _number(alarm.get("EvaluationPeriods"))
    if period is not None and period not in (10, 20, 30) and (period < 60 or period % 60):
        message = f"`Period` is {period:g} seconds; CloudWatch takes 10, 20, 30 or a multiple of 60"
        findings.at_value((*path, "Period"), "F507", message)
    elif period is not None and count is not None:
        limit = 604_800 if period >= 3600 else 86_400
        if period * count > limit:
            message = f"the alarm looks back {period * count:,.0f} seconds; with this `Period` at most {limit:,}"
            findings.at_value((*path, "EvaluationPeriods"), "F507", message, "lower `EvaluationPeriods`")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def read_tags(data: Any, path: Path, findings: Findings) -> dict[str, str]:
    """The factory's tags as text, as they were written, after what AWS refuses is in `findings`."""
    if not isinstance(data, dict):
        return {}
    tags: dict[str, str] = {}
    seen: dict[str, str] = {}
    for key, value in data.items():
        text = value if isinstance(value, str) else findings.text_at((*path, key)) or ""
        _check_tag(key, text, (*path, key), findings)
        if key.casefold() in seen:
            message = f"the tags `{seen[key.casefold()]}` and `{key}` differ only in case, which IAM refuses"
            findings.at_key((*path, key), "F509", message)
        seen[key.casefold()] = key
        tags[key] = text
    if len(tags) > MAX_TAGS:
        message = f"there are {len(tags)} tags; AWS takes {MAX_TAGS} beside the {len(OWN_TAGS)} of factory_cdk"
        findings.at_key(path, "F509", message)
    return tags


def _check_tag(key: Any, value: Any, path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html#tag-conventions
    if not isinstance(key, str) or isinstance(value, dict | list):
        return
    text = str(value)
    problem = None
    if not 1 <= len(key) <= 128:
        problem = f"its key has {len(key)} characters; AWS takes 1 to 128"
    elif key.casefold().startswith("aws:"):
        problem = "keys that start with `aws:` are AWS's own"
    elif key.casefold().startswith("factory-cdk:"):
        problem = "keys that start with `factory-cdk:` are set by factory_cdk"
    elif len(text) > 256:
        problem = f"its value has {len(text)} characters; AWS takes 256"
    elif not _TAG.fullmatch(key) or not _TAG.fullmatch(text):
        problem = "AWS takes letters, digits, spaces and `_.:/=+-@`"
    if problem:
        findings.at_key(path, "F509", f"the tag `{key[:60]}` is refused: {problem}")


def check_meta(data: Any, path: Path, findings: Findings) -> dict[str, Any]:
    """The factory's meta; it goes into the stacks' metadata, so keys that CloudFormation evaluates are refused."""
    if not isinstance(data, dict):
        return {}
    for where, key in _keys(data, path):
        if key == "Ref" or key.startswith("Fn::"):
            findings.at_key(where, "F108", f"CloudFormation would evaluate the key `{key}`", "give it another name")
    return data


def _keys(value: Any, path: Path) -> list[tuple[Path, str]]:
    if isinstance(value, dict):
        here = [((*path, key), key) for key in value]
        return here + [found for key, item in value.items() for found in _keys(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _keys(item, (*path, index))]
    return []


def check_local(sector: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Refuse the keys of a local sector that only an EC2 instance can have."""
    if "alarm" in sector:
        message = f"the sector `{path[-1]}` is local: an alarm watches an EC2 instance"
        findings.at_key((*path, "alarm"), "F508", message, "remove it, or make the sector's type `aws`")
    for key in ("parameters", "region_name", "platform"):
        if key in sector:
            message = f"`{key}` goes with aws sectors; the sector `{path[-1]}` is local"
            findings.at_key((*path, key), "F513", message, "remove it, or make the sector's type `aws`")
