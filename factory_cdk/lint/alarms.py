"""Checks of alarms beside the instances that they watch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.design.model import StageDesign
from factory_cdk.lint.finding import Finding, Placed, is_true, number, of_type
from factory_cdk.lint.instances import INSTANCE
from factory_cdk.plan.checks.aws_checks import ALARM_ACTIONS

ALARM = "AWS::CloudWatch::Alarm"

BASIC, DETAILED = 300, 60
"""Seconds between two points of an instance's metrics
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/manage-detailed-monitoring.html)."""

_VERB = re.compile(r":ec2:(\w+)$|AWS_EC2\.InstanceId\.(\w+)")


def check_period(design: StageDesign) -> Iterator[Finding]:
    """F707: an alarm that checks more often than its metric is published sees no data most of the time."""
    for alarm, instance in _watched(design):
        properties = alarm.resource.properties
        name, period = properties.get("MetricName"), number(properties.get("Period"))
        if properties.get("Namespace") != "AWS/EC2" or not isinstance(name, str) or period is None:
            continue
        detailed = is_true(instance.get("Monitoring"))
        measured = _measured(name, detailed=detailed)
        if period >= measured:
            continue
        message = f"the alarm of `{alarm.resource.sector}` checks every {period:g} s, but EC2 publishes `{name}` "
        message += f"every {measured} s"
        hint = f"write `Period: {measured}`"
        if not detailed and _measured(name, detailed=True) < measured:
            message += " without detailed monitoring"
            hint = f"add `Monitoring: true` to the parameters of `{alarm.resource.sector}`, or `Period: {measured}`"
        yield Finding("F707", alarm.at("Period"), message, hint)


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
        metric = alarm.resource.properties.get("MetricName")
        for key, index, verb in _verbs(alarm.resource.properties):
            if verb == "terminate" and is_true(instance.get("DisableApiTermination")):
                message = f"this alarm cannot terminate the instance of `{sector}`: it is protected from termination"
                hint = f"remove `DisableApiTermination` from the parameters of `{sector}`, or the action"
                yield Finding("F709", alarm.at(key, index), message, hint)
            elif verb == "recover" and isinstance(metric, str) and metric != "StatusCheckFailed_System":
                message = f"EC2 recovers an instance for `StatusCheckFailed_System` alone, not for `{metric}`"
                yield Finding("F709", alarm.at(key, index), message, "`reboot` is for the other metrics")


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
            found = _VERB.search(text) if isinstance(text, str) else None
            if found:
                yield key, index, (found[1] or found[2]).lower()
