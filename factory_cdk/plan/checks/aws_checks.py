"""Checks what AWS would refuse: instances, alarms, tags and regions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.checks.properties import PropertyCheck, check_properties
from factory_cdk.plan.facts import partitions, resource_schema
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import Sector
from factory_cdk.plan.yaml.nodes import Path

OWN_TAGS = ("factory-cdk:factory", "factory-cdk:stage", "factory-cdk:sector", "factory-cdk:version")
"""The tags that everything created gets beside the plan's."""

TAG_LIMIT = 50
"""Tags of a resource (https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html)."""

MAX_TAGS = TAG_LIMIT - len(OWN_TAGS) - 1
"""Tags of a plan: those of factory_cdk come on top, and an instance's `Name` or a queue's bot."""

ALARM_VERBS = ("terminate", "stop", "reboot", "recover")
"""Alarm actions that a plan may name by a verb; others are ARNs."""

ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")

REQUIRED_PARAMETERS = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}

_INSTANCE_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")

_TAG = re.compile(r"[\w \u00a0.:/=+@-]*")


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
    schema = resource_schema("ec2-instance")
    check = PropertyCheck("AWS::EC2::Instance", schema, "F502", "F503", "F504")
    check_properties(check, parameters, path, findings)
    _check_tag_list(parameters.get("Tags"), (*path, "Tags"), findings)


def _check_tag_list(tags: Any, path: Path, findings: Findings) -> None:
    """Check the `Tags` of CloudFormation properties, a list of Key and Value."""
    seen: set[str] = set()
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        if not isinstance(tag, dict):
            continue
        key = tag.get("Key")
        _check_tag(key, tag.get("Value"), (*path, index), findings)
        if isinstance(key, str) and key in seen:
            message = f"duplicate tag `{shortened(key)}`"
            findings.at_value((*path, index, "Key"), "F509", message, "remove one of them")
        seen.add(str(key))


def check_tag_count(sector: Sector, tags: Mapping[str, str], path: Path, findings: Findings) -> None:
    """Refuse an instance whose own tags, those of the factory (`tags`) and those of factory_cdk are too many."""
    own = sector.parameters.get("Tags")
    keys = {str(tag.get("Key")) for tag in own if isinstance(tag, dict)} if isinstance(own, list) else set()
    count = len(keys | tags.keys() | {"Name", *OWN_TAGS})
    if keys and count > TAG_LIMIT:
        message = (
            f"the instance of `{sector.name}` would have {count} tags with the factory's; the limit is {TAG_LIMIT}"
        )
        findings.at_key(path, "F509", message, "remove some of them")


def check_alarm(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check the alarm at `path` as properties of AWS::CloudWatch::Alarm, whose Dimensions are ours."""
    if "Dimensions" in alarm:
        hint = "remove it: the alarm watches the instance of the sector that names it"
        findings.at_key((*path, "Dimensions"), "F507", "`Dimensions` is set by factory_cdk", hint)
    check = PropertyCheck("AWS::CloudWatch::Alarm", resource_schema("cloudwatch-alarm"), "F507", "F507", "F507")
    check_properties(check, alarm, path, findings)
    _check_tag_list(alarm.get("Tags"), (*path, "Tags"), findings)
    _check_complete(alarm, path, findings)
    for key in ALARM_ACTIONS:
        actions = alarm.get(key)
        for index, action in enumerate(actions if isinstance(actions, list) else ()):
            if isinstance(action, str) and action not in ALARM_VERBS and not _is_arn(action):
                verbs = ", ".join(f"`{verb}`" for verb in ALARM_VERBS)
                message = f"invalid alarm action `{shortened(action)}`: it must be {verbs} or an ARN"
                findings.at_value((*path, key, index), "F507", message, findings.suggest(action, ALARM_VERBS))
    _check_period(alarm, path, findings)


def _is_arn(text: str) -> bool:
    # The actions of EC2 have `ec2` where other ARNs have the account: arn:aws:automate:eu-west-2:ec2:stop.
    return re.fullmatch(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|ec2)?:[!-~]+", text) is not None


def _check_complete(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Refuse an alarm that lacks what PutMetricAlarm needs: the resource schema leaves most of it optional."""
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    if "EvaluationCriteria" in alarm or not alarm:
        return
    needed = [("ComparisonOperator",), ("EvaluationPeriods",), ("Threshold", "ThresholdMetricId")]
    if "MetricName" in alarm:
        needed += [("Namespace",), ("Period",), ("Statistic", "ExtendedStatistic")]
    for names in needed:
        if not any(name in alarm for name in names):
            shown = " or ".join(f"`{name}`" for name in names)
            message = f"missing {shown} in the alarm `{path[-1]}`"
            findings.missing(path, names, "F507", message, f"add `{names[0]}:` and its value")
    points, periods = _number(alarm.get("DatapointsToAlarm")), _number(alarm.get("EvaluationPeriods"))
    if points is not None and periods is not None and points > periods:
        message = f"`DatapointsToAlarm` is {points:g}; it must be at most `EvaluationPeriods`, which is {periods:g}"
        findings.at_value((*path, "DatapointsToAlarm"), "F507", message, f"write {periods:g} or less")


def _check_period(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    period, count = _number(alarm.get("Period")), _number(alarm.get("EvaluationPeriods"))
    if period is not None and period not in (10, 20, 30) and (period < 60 or period % 60):
        message = f"`Period` is {period:g} seconds; it must be 10, 20, 30 or a multiple of 60"
        findings.at_value((*path, "Period"), "F507", message, "write 60 for one minute")
    elif period is not None and count is not None:
        limit = 604_800 if period >= 3600 else 86_400
        if period * count > limit:
            message = f"`Period` times `EvaluationPeriods` is {period * count:,.0f} seconds; the limit is {limit:,}"
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
        if key == "Ref" or key.startswith("Fn::"):
            message = f"CloudFormation would evaluate the tag `{shortened(key)}`"
            findings.at_key((*path, key), "F108", message, "use another key")
        if key.casefold() in seen:
            message = f"the tags `{seen[key.casefold()]}` and `{key}` differ only in case, which IAM does not allow"
            findings.at_key((*path, key), "F509", message, "remove one of them")
        seen[key.casefold()] = key
        tags[key] = text
    if len(tags) > MAX_TAGS:
        message = f"there are {len(tags)} tags; the limit is {MAX_TAGS}, because factory_cdk adds its own"
        findings.at_key(path, "F509", message, "remove some of them")
    return tags


def _check_tag(key: Any, value: Any, path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html#tag-conventions
    if not isinstance(key, str) or isinstance(value, dict | list):
        return
    text = str(value).lower() if isinstance(value, bool) else str(value)
    problem, hint = None, "shorten it"
    if not 1 <= len(key) <= 128:
        problem = f"its key has {len(key)} characters; it must have 1 to 128"
        hint = hint if key else "write a key, or remove it"
    elif key.casefold().startswith("aws:"):
        problem, hint = "keys that start with `aws:` are reserved by AWS", "use another key"
    elif key.casefold().startswith("factory-cdk:"):
        problem, hint = "keys that start with `factory-cdk:` are reserved by factory_cdk", "use another key"
    elif len(text) > 256:
        problem = f"its value has {len(text)} characters; the limit is 256"
    elif not _TAG.fullmatch(key) or not _TAG.fullmatch(text):
        part = "value" if _TAG.fullmatch(key) else "key"
        problem = f"its {part} may contain only letters, digits, spaces and `_.:/=+-@`"
        hint = "remove the other characters"
    if problem:
        findings.at_key(path, "F509", f"invalid tag `{shortened(key)}`: {problem}", hint)


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
    for key in ("parameters", "region_name", "platform"):
        if key in sector:
            message = f"`{key}` is not allowed in the local sector `{path[-1]}`"
            findings.at_key((*path, key), "F513", message, "remove it, or write `type: aws`")
