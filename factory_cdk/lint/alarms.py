"""Checks of alarms beside the instances that they watch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.lint.finding import Finding, Placed, of_type
from factory_cdk.lint.instances import INSTANCE
from factory_cdk.plan.checks.alarms import ALARM_ACTIONS, EC2_NAMESPACE, instance_verb
from factory_cdk.plan.checks.numbers import is_true, number
from factory_cdk.plan.yaml.nodes import Path

ALARM = "AWS::CloudWatch::Alarm"

BASIC, DETAILED = 300, 60
"""Seconds between two points of an instance's metrics
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/manage-detailed-monitoring.html)."""

_FILLED = re.compile(r"\$\{[^}]*\}")
"""What CloudFormation fills in: the partition and the region of an action on the instance."""


def check_period(design: StageDesign) -> Iterator[Finding]:
    """F707: an alarm that checks more often than its metric is published sees no data most of the time."""
    for alarm, instance in _watched(design):
        sector = alarm.resource.sector
        detailed = is_true(instance.get("Monitoring"))
        for path, metric, given in _ec2_metrics(alarm.resource.properties):
            period = number(given)
            measured = _measured(metric, detailed=detailed)
            if period is None or period >= measured:
                continue
            message = f"the alarm of `{sector}` checks every {period:g} s, but EC2 publishes `{metric}` "
            message += f"every {measured} s"
            hint = f"write `Period: {measured}`"
            if not detailed and _measured(metric, detailed=True) < measured:
                message += " without detailed monitoring"
                hint = f"add `Monitoring: true` to the parameters of `{sector}`, or `Period: {measured}`"
            yield Finding("F707", alarm.at(*path), message, hint)


def _ec2_metrics(properties: Mapping[str, Any]) -> Iterator[tuple[Path, str, Any]]:
    """The path of the period, the name and the period of every metric of EC2 in an alarm."""
    queries = properties.get("Metrics")
    stats: list[tuple[Path, Any, Any]] = [(("Period",), properties, properties)]
    for index, query in enumerate(queries if isinstance(queries, list) else ()):
        stat = query.get("MetricStat")
        if isinstance(stat, Mapping):
            stats.append((("Metrics", index, "MetricStat", "Period"), stat.get("Metric"), stat))
    for path, metric, stat in stats:
        if isinstance(metric, Mapping) and metric.get("Namespace") == EC2_NAMESPACE:
            yield path, str(metric.get("MetricName")), stat.get("Period")


def _measured(metric: str, *, detailed: bool) -> int:
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
    if metric.startswith("StatusCheckFailed"):
        return DETAILED
    if metric.startswith(("CPUCredit", "CPUSurplusCredit")):
        return BASIC
    return DETAILED if detailed else BASIC


def check_termination(design: StageDesign) -> Iterator[Finding]:
    """F708: nothing starts a sector again whose instance an alarm has terminated."""
    for alarm, _ in _watched(design):
        for key, index, verb in _verbs(alarm.resource.properties):
            if verb == "terminate":
                message = f"this alarm terminates the instance of `{alarm.resource.sector}`"
                if alarm.resource.properties.get("TreatMissingData") == "breaching":
                    message += ", also when there is no data"
                hint = "nothing starts the sector again until the next build; use `stop` to keep the instance"
                yield Finding("F708", alarm.at(key, index), message, hint)


def check_actions(design: StageDesign) -> Iterator[Finding]:
    """F709: actions that an alarm can name and EC2 never carries out."""
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/UsingAlarmActions.html
    for alarm, instance in _watched(design):
        sector = alarm.resource.sector
        metric = next((name for _, name, _ in _ec2_metrics(alarm.resource.properties)), None)
        for key, index, verb in _verbs(alarm.resource.properties):
            if verb == "terminate" and is_true(instance.get("DisableApiTermination")):
                message = f"this alarm cannot terminate the instance of `{sector}`: it is protected from termination"
                hint = f"remove `DisableApiTermination` from the parameters of `{sector}`, or the action"
                yield Finding("F709", alarm.at(key, index), message, hint)
            elif verb == "recover" and metric in (None, "StatusCheckFailed_Instance"):
                on = f"`{metric}`" if metric else "a metric that is not of AWS/EC2"
                message = f"this alarm cannot recover the instance of `{sector}`: EC2 does not recover for {on}"
                yield Finding("F709", alarm.at(key, index), message, "use `StatusCheckFailed_System`, or `reboot`")


def _watched(design: StageDesign) -> Iterator[tuple[Placed, Mapping[str, Any]]]:
    """Every alarm with the properties of the instance that it watches."""
    instances = {placed.resource.sector: placed.resource.properties for placed in of_type(design, INSTANCE)}
    for alarm in of_type(design, ALARM):
        yield alarm, instances.get(alarm.resource.sector, {})


def _verbs(properties: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """The property, index and verb of every action on an instance."""
    for key in ALARM_ACTIONS:
        actions = properties.get(key)
        for index, action in enumerate(actions if isinstance(actions, list) else ()):
            text = action.get("Fn::Sub") if isinstance(action, Mapping) else action
            verb = instance_verb(_FILLED.sub("aws", text)) if isinstance(text, str) else None
            if verb:
                yield key, index, verb
