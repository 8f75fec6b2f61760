"""The alarms of a stage's sectors, whose template has them off: an instance that still installs is idle, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory_cdk.design.sector import DOES_ACT

_ALARM = "AWS::CloudWatch::Alarm"


def alarms_that_act(template: Mapping[str, Any]) -> list[str]:
    """The names of the alarms of sectors that are to act once their instance works: fewer than the 100 that one call of
    EnableAlarmActions takes, since a template has 500 resources at the most and a sector more than 5.
    """
    return [
        str(properties["AlarmName"])
        for resource in template.get("Resources", {}).values()
        if resource["Type"] == _ALARM
        and (properties := resource["Properties"]).get("ActionsEnabled") is False
        and {"Key": DOES_ACT, "Value": "false"} not in properties.get("Tags", ())
    ]
