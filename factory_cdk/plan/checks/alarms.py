"""Checks alarms as CloudWatch does, and that they watch the instance of their sector."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.checks.numbers import number
from factory_cdk.plan.checks.properties import PropertyCheck, check_properties
from factory_cdk.plan.checks.tags import check_tag_list
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.yaml.nodes import Path

ALARM_VERBS = ("terminate", "stop", "reboot", "recover")
"""Alarm actions on the instance that a plan may name by a verb; others are ARNs."""

ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")

EC2_NAMESPACE = "AWS/EC2"

_INSTANCE_NAMESPACES = (EC2_NAMESPACE, "AWS/OpsWorks")
"""The namespaces of AWS whose metrics have the dimension InstanceId of EC2 instances; those of agents and programs
(`CWAgent`, `Mine/Own`) may have it, too."""

# The actions of EC2 have `ec2` where other ARNs have the account: arn:aws:automate:eu-west-2:ec2:stop.
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|ec2)?:[!-~]+")
_EC2_ACTION = re.compile(
    r"arn:aws[a-z-]*:(?:automate:[a-z0-9-]*:ec2:(?P<verb>.*)|swf:.*:action/actions/AWS_EC2\.InstanceId\.(?P<old>\w+)/.*)"
)


def check_alarm(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Check the alarm at `path` as properties of AWS::CloudWatch::Alarm, whose Dimensions are ours."""
    if "Dimensions" in alarm:
        hint = "remove it: the alarm watches the instance of the sector that names it"
        findings.at_key((*path, "Dimensions"), "F507", "`Dimensions` is set by factory_cdk", hint)
    check = PropertyCheck("AWS::CloudWatch::Alarm", "cloudwatch-alarm", "F507", "F507", "F507")
    check_properties(check, alarm, path, findings)
    check_tag_list(alarm.get("Tags"), (*path, "Tags"), findings)
    _check_complete(alarm, path, findings)
    _check_actions(alarm, path, findings)
    _check_period(alarm, path, findings)


def instance_verb(action: str) -> str | None:
    """What an alarm action does to the instance of the alarm (`stop`), for a verb or an ARN; None for other actions."""
    if action in ALARM_VERBS:
        return action
    found = _EC2_ACTION.fullmatch(action)
    return (found["verb"] or found["old"] or "").lower() if found else None


def is_arn(action: str) -> bool:
    """Whether an alarm action is an ARN."""
    return _ARN.fullmatch(action) is not None


def gets_instance(metric: Any) -> bool:
    """Whether a `Metric` of an alarm's `Metrics` gets the dimension InstanceId from factory_cdk: it is one of EC2, and
    the plan gives it no dimension.
    """
    return isinstance(metric, Mapping) and metric.get("Namespace") == EC2_NAMESPACE and not metric.get("Dimensions")


def _check_actions(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Refuse what is no action, and actions on an instance that no single metric of the instance triggers."""
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/UsingAlarmActions.html
    unfit = _not_one_metric_of_the_instance(alarm)
    acts_on_instance = False
    for spot, action in _actions(alarm, path):
        verb = instance_verb(action)
        if (not _ARN.fullmatch(action) and verb is None) or (verb is not None and verb not in ALARM_VERBS):
            verbs = ", ".join(f"`{one}`" for one in ALARM_VERBS)
            message = f"invalid alarm action `{shortened(action)}`: it must be {verbs} or an ARN"
            findings.at_value(spot, "F507", message, findings.suggest(verb or action, ALARM_VERBS))
        elif verb is not None and unfit is not None:
            acts_on_instance = True
            message = f"the action `{shortened(action)}` needs an alarm on one metric of the instance, but {unfit}"
            hint = (
                "use `Namespace` and `MetricName` of one metric of AWS/EC2, or the ARN of another action (SNS, Lambda)"
            )
            findings.at_value(spot, "F507", message, hint)
    if unfit is not None and not acts_on_instance:
        _warn_unwatched(alarm, path, findings)


def _actions(alarm: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    for key in ALARM_ACTIONS:
        actions = alarm.get(key)
        for index, action in enumerate(actions if isinstance(actions, list) else ()):
            if isinstance(action, str):
                yield (*path, key, index), action


def _not_one_metric_of_the_instance(alarm: Mapping[str, Any]) -> str | None:
    """Why an alarm is on no single metric of its instance, as the end of a sentence; None when it is on one."""
    if "EvaluationCriteria" in alarm:
        return "this alarm is on a query"
    if "Metrics" not in alarm:
        namespace = alarm.get("Namespace")
        if isinstance(namespace, str) and namespace.startswith("AWS/") and namespace not in _INSTANCE_NAMESPACES:
            return f"metrics of `{shortened(namespace)}` have no dimension InstanceId"
        return None
    metrics = alarm["Metrics"]
    if not isinstance(metrics, list) or not all(isinstance(one, Mapping) for one in metrics):
        return None  # refused already
    if any("Expression" in one for one in metrics):
        return "this alarm is on an expression (metric math)"
    if len(metrics) > 1:
        return f"this alarm is on {len(metrics)} metrics"
    return None if any(map(gets_instance, _metrics(metrics))) else "its metric is not of the instance"


def _metrics(metrics: list[Any]) -> Iterator[Any]:
    for one in metrics:
        stat = one.get("MetricStat")
        yield stat.get("Metric") if isinstance(stat, Mapping) else None


def _warn_unwatched(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    metrics = alarm.get("Metrics")
    if isinstance(metrics, list) and any(map(gets_instance, _metrics(metrics))):
        return
    if "EvaluationCriteria" in alarm:
        spot, why = (*path, "EvaluationCriteria"), "a query does not know which instance that is"
    elif "Metrics" in alarm:
        spot, why = (*path, "Metrics"), "none of its metrics is of AWS/EC2 without `Dimensions`"
    else:
        spot, why = (*path, "Namespace"), f"metrics of `{alarm['Namespace']}` have no dimension InstanceId"
    message = f"the alarm `{path[-1]}` does not watch the instance of its sector: {why}"
    hint = "factory_cdk sets the dimension InstanceId of metrics of AWS/EC2 that have no `Dimensions`: use one of them"
    findings.at_key(spot, "F515", message, hint)


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
    points, periods = number(alarm.get("DatapointsToAlarm")), number(alarm.get("EvaluationPeriods"))
    if points is not None and periods is not None and points > periods:
        message = f"`DatapointsToAlarm` is {points:g}; it must be at most `EvaluationPeriods`, which is {periods:g}"
        findings.at_value((*path, "DatapointsToAlarm"), "F507", message, f"write {periods:g} or less")


def _check_period(alarm: Mapping[str, Any], path: Path, findings: Findings) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    period, count = number(alarm.get("Period")), number(alarm.get("EvaluationPeriods"))
    if period is not None and not _is_period(period):
        _refuse_period(period, (*path, "Period"), "Period", findings)
    elif period is not None and count is not None:
        limit = 604_800 if period >= 3600 else 86_400
        if period * count > limit:
            message = f"`Period` times `EvaluationPeriods` is {period * count:,.0f} seconds; the limit is {limit:,}"
            findings.at_value((*path, "EvaluationPeriods"), "F507", message, "lower `EvaluationPeriods`")
    metrics = alarm.get("Metrics")
    for index, one in enumerate(metrics if isinstance(metrics, list) else ()):
        stat = one.get("MetricStat") if isinstance(one, Mapping) else None
        for holder, spot in ((one, ("Period",)), (stat, ("MetricStat", "Period"))):
            period = number(holder.get("Period")) if isinstance(holder, Mapping) else None
            if period is not None and not _is_period(period):
                shown = ".".join((f"Metrics[{index}]", *spot))
                _refuse_period(period, (*path, "Metrics", index, *spot), shown, findings)


def _is_period(seconds: float) -> bool:
    return seconds in (10, 20, 30) or (seconds >= 60 and not seconds % 60)


def _refuse_period(seconds: float, spot: Path, shown: str, findings: Findings) -> None:
    message = f"`{shown}` is {seconds:g} seconds; it must be 10, 20, 30 or a multiple of 60"
    findings.at_value(spot, "F507", message, "write 60 for one minute")
