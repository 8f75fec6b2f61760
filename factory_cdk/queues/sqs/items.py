"""A job as an item of the stage's table, and back. docs/aws-queues.md describes the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from factory_cdk.queues.port import Job, Outcome
from factory_cdk.queues.sqs.jobs import Body, JobState, failure_from, failure_text, part_of

INLINE = 2_048
"""Characters of a payload or result that are kept in the item: each further KB costs another unit at every write."""

Item = Mapping[str, Any]

BY_SENT, BY_DEAD, BY_FAILED = "sent", "dead", "failed"
"""The indexes: all jobs as they were sent, the dead ones of each queue, those with failed attempts."""

FAILED = "failed"
"""The one partition of the index of failed attempts."""


def to_item(state: JobState, expires: float | None) -> dict[str, Any]:
    """The item of `state`, which the table forgets after `expires` (seconds since the epoch)."""
    job, payload = state.job, state.payload.within(INLINE)
    result = (state.result or Body()).within(INLINE)
    dead = state.queue if state.outcome is Outcome.DEAD else None
    numbers = {
        "sent": state.sent,
        "attempt": job.attempt,
        "version": state.version,
        "enqueued": state.enqueued,
        "due": state.due or None,
        "earlier": state.earlier or None,
        "cursor": state.cursor,
        "first_started": state.first_started,
        "started": state.started,
        "finished": state.finished,
        "failed_at": state.failed_at,
        "expires": None if expires is None else int(expires),
        "unsent": 1 if state.unsent else None,
    }
    texts = {
        "run": job.run,
        "id": job.id,
        "part": part_of(job.id),
        "bot": job.bot,
        "queue": state.queue,
        "parent": job.parent,
        "tags": json.dumps(dict(job.tags)) if job.tags else None,
        "payload": payload.text,
        "payload_key": payload.key,
        "result": result.text,
        "result_key": result.key,
        "outcome": state.outcome,
        "token": state.token,
        "settled": state.settled,
        "dead": dead,
        "failed": FAILED if state.failed_at is not None else None,
    }
    failures = [{"S": failure_text(failure)} for failure in state.failures]
    item: dict[str, Any] = {name: {"N": repr(value)} for name, value in numbers.items() if value is not None}
    item |= {name: {"S": str(text)} for name, text in texts.items() if text is not None}
    return item | ({"failures": {"L": failures}} if failures else {})


def from_item(item: Item) -> JobState:
    """The job that an item describes."""
    job = Job(
        item["id"]["S"],
        item["bot"]["S"],
        None,
        item["run"]["S"],
        _text(item, "parent"),
        int(item["attempt"]["N"]),
        json.loads(_text(item, "tags") or "{}"),
    )
    outcome, cursor = _text(item, "outcome"), _number(item, "cursor")
    result = Body(_text(item, "result"), _text(item, "result_key"))
    return JobState(
        job,
        item["queue"]["S"],
        Body(_text(item, "payload"), _text(item, "payload_key")),
        sent=int(item["sent"]["N"]),
        enqueued=float(item["enqueued"]["N"]),
        due=_number(item, "due") or 0.0,
        token=_text(item, "token"),
        earlier=int(_number(item, "earlier") or 0),
        outcome=Outcome(outcome) if outcome else None,
        cursor=None if cursor is None else int(item["cursor"]["N"]),
        result=None if result == Body() else result,
        failures=tuple(failure_from(one["S"]) for one in item.get("failures", {"L": []})["L"]),
        first_started=_number(item, "first_started"),
        started=_number(item, "started"),
        finished=_number(item, "finished"),
        failed_at=int(item["failed_at"]["N"]) if "failed_at" in item else None,
        settled=_text(item, "settled"),
        unsent="unsent" in item,
        version=int(item["version"]["N"]),
    )


def _text(item: Item, name: str) -> str | None:
    return str(item[name]["S"]) if name in item else None


def _number(item: Item, name: str) -> float | None:
    return float(item[name]["N"]) if name in item else None
