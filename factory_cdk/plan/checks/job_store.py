"""Reads what a stage says of what is kept of its jobs on AWS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory_cdk.plan.checks.alarms import is_arn
from factory_cdk.plan.findings import Findings, shortened
from factory_cdk.plan.model import JobStore
from factory_cdk.plan.yaml.nodes import Path

DAYS = r"[1-9][0-9]{0,3}d"
MAX_DAYS = 3650
MAX_ACTIONS = 5
"""Actions of an alarm for one state
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html)."""


def read_jobs(data: Mapping[str, Any], path: Path, findings: Findings) -> JobStore:
    """The JobStore of the stage `data` at `path`; what is wrong with it is reported and left out."""
    days = JobStore().days
    given = data.get("keep-jobs")
    if isinstance(given, str) and given:
        if re.fullmatch(DAYS, given) and int(given[:-1]) <= MAX_DAYS:
            days = int(given[:-1])
        else:
            message = f"invalid `keep-jobs`: `{shortened(given)}`; it must be a number of days from 1d to {MAX_DAYS}d"
            findings.at_value((*path, "keep-jobs"), "F104", message, "write `14d` for 14 days")
    actions = data.get("queue-alarms")
    actions = actions if isinstance(actions, list) else []
    for index, action in enumerate(actions):
        if isinstance(action, str) and action and not is_arn(action):
            message = f"invalid alarm action `{shortened(action)}`: it must be an ARN"
            findings.at_value((*path, "queue-alarms", index), "F507", message, "use that of an SNS topic")
    if len(actions) > MAX_ACTIONS:
        message = f"{len(actions)} actions of an alarm; it has at most {MAX_ACTIONS}"
        findings.at_key((*path, "queue-alarms"), "F507", message, "use one SNS topic with several subscriptions")
    return JobStore(
        history=data.get("history") is not False,
        days=days,
        queue_alarms=tuple(one for one in actions if isinstance(one, str)),
    )
