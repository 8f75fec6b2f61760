"""The log lines of a sector's instances, read from their log group as the lines of a stage's stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from factory_cdk.agent.aws import Aws, asking
from factory_cdk.state.logs import stamp


def read_events(
    aws: Aws, sector: str, group: str, since: float | None, until: float | None = None
) -> Iterator[tuple[str, str]]:
    """The id and the line of each event of the log group of `sector`, oldest first: those from `since` on and
    before `until` (seconds since the epoch). An event that is none of the agent's is left out. AwsError.
    """
    times = {"startTime": int((since or 0) * 1000), **({"endTime": int(until * 1000)} if until is not None else {})}
    token: dict[str, str] = {}
    while True:
        with asking(f"log group {group}"):
            answer = aws.client("logs").filter_log_events(logGroupName=group, **times, **token)
        for event in answer["events"]:
            line = _line(sector, event["timestamp"] / 1000, event["message"])
            if line is not None:
                yield event["eventId"], line
        if not (following := answer.get("nextToken")):
            return
        token = {"nextToken": following}


def _line(sector: str, moment: float, message: str) -> str | None:
    """A line `<time> <label> <job or -> | <text>`, whose label is the bot's, or the sector's and `runner`."""
    try:
        said: Any = json.loads(message)
        label = f"{said['sector']}/{said['bot']}.{said['worker']}" if "bot" in said else f"{sector}/{said['label']}"
        text = f"{said['level']} {said['text']}" if "level" in said else said["text"]
        return f"{stamp(moment)} {label} {said.get('job') or '-'} | {text}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
