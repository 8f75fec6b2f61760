"""A job as the SQS engine knows it: what a message carries of it, and what the table keeps.

Every change makes another JobState, whose `version` is one higher: the table takes it only while it holds the version
before, so that of two who change a job at once one is told.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from factory_cdk.plan.model import Json
from factory_cdk.queues.port import Failure, Job, JobRecord, Outcome

FORMAT = 1
PARTS = 4
"""Into how many partitions the index of all jobs is spread: one takes 1,000 new jobs a second."""

MOST_FAILURES = 20
LONGEST_TEXT = 6_000
MOST_OF_FAILURES = 100_000
"""Of a job's failures the last are kept, of a message its beginning and of a traceback its end, all in all so many
characters of JSON: a record may have 400 KB, a message 1 MiB.
"""


class NotOursError(ValueError):
    """A message that no factory_cdk has sent, or a newer one."""


@dataclass(frozen=True, slots=True)
class Body:
    """A payload or result: its JSON `text`, or the `key` of the object in the bucket that holds it, or both."""

    text: str | None = None
    key: str | None = None

    def within(self, most: int) -> Body:
        """What is written where up to `most` characters of text may stand."""
        if self.text is not None and (len(self.text) <= most or self.key is None):
            return Body(self.text)
        return Body(None, self.key)


@dataclass(frozen=True, slots=True)
class JobState:
    """A job on its way. `job` has no payload, which is in `payload`, and the attempt that is, or would be, in hand.

    `due` is when it is ready, or until when it is leased (then `token` is set), in seconds since the epoch. `sent` is
    its place in the order of sending, `failed_at` in that of failing and `cursor` in that of ending, in microseconds
    since the epoch.
    `earlier` counts the attempts before a retry; `settled` is the token of the lease that was settled last. `unsent`: a
    retry has begun and its message may not have been sent.
    """

    job: Job
    queue: str
    payload: Body
    sent: int
    enqueued: float
    due: float = 0.0
    token: str | None = None
    earlier: int = 0
    outcome: Outcome | None = None
    cursor: int | None = None
    result: Body | None = None
    failures: tuple[Failure, ...] = ()
    first_started: float | None = None
    started: float | None = None
    finished: float | None = None
    failed_at: int | None = None
    settled: str | None = None
    unsent: bool = False
    version: int = 1

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.outcome is not None

    @property
    def was_begun(self) -> bool:
        """Whether it was ever in hand: then a message of it was sent."""
        return self.started is not None or self.is_final

    def changed(self, **changes: Any) -> JobState:
        """The next version, with `changes`."""
        return replace(self, version=self.version + 1, **changes)

    def is_held_back(self, now: float) -> bool:
        """Whether it is leased or delayed still."""
        return self.outcome is None and self.due > now

    def with_failure(self, failure: Failure, place: int) -> dict[str, Any]:
        """The changes that `failure` makes, whose place in the order of failures is `place`."""
        message, traceback = failure.message[:LONGEST_TEXT], failure.traceback[-LONGEST_TEXT:]
        kept = (*self.failures, replace(failure, message=message, traceback=traceback))[-MOST_FAILURES:]
        while len(kept) > 1 and sum(len(failure_text(one)) for one in kept) > MOST_OF_FAILURES:
            kept = kept[1:]
        return {"failures": kept, "failed_at": place}

    def ended(self, outcome: Outcome, cursor: int, now: float, **changes: Any) -> JobState:
        """Final from now on."""
        return self.changed(
            outcome=outcome, cursor=cursor, finished=now, due=0.0, token=None, settled=self.token, **changes
        )

    def state(self, now: float) -> str:
        """Its state, as `port.JobRecord` names it."""
        if self.outcome is not None:
            return str(self.outcome)
        return "ready" if self.due <= now else "leased" if self.token else "delayed"

    def as_record(self, now: float, payload: Json, result: Json) -> JobRecord:
        """What is known of it, with the values that its bodies hold."""
        waits = self.outcome is None and self.token is None
        return JobRecord(
            job=self.job._replace(payload=payload),
            queue=self.queue,
            state=self.state(now),
            outcome=self.outcome,
            attempts=self.earlier + self.job.attempt - waits,
            result=result,
            failures=self.failures,
            enqueued=self.enqueued,
            first_started=self.first_started,
            started=self.started,
            finished=self.finished,
            cursor=self.cursor,
        )


def part_of(job_id: str) -> str:
    """The partition of the index of all jobs in which a job is."""
    return str(zlib.crc32(job_id.encode()) % PARTS)


def failure_text(failure: Failure) -> str:
    """A failure as JSON text."""
    return json.dumps([failure.type, failure.message, failure.traceback, failure.attempt])


def failure_from(text: str) -> Failure:
    """The failure that `failure_text` was made of."""
    kind, message, traceback, attempt = json.loads(text)
    return Failure(kind, message, traceback, attempt)


def to_message(state: JobState, inline: int) -> str:
    """The text of a message that carries `state`, with a payload of up to `inline` characters in it."""
    job, body = state.job, state.payload
    is_inline = body.text is not None and (len(body.text) <= inline or body.key is None)
    message: dict[str, Json] = {
        "factory_cdk": FORMAT,
        "id": job.id,
        "bot": job.bot,
        "run": job.run,
        "queue": state.queue,
        "attempt": job.attempt,
        "sent": state.sent,
        "enqueued": state.enqueued,
        "version": state.version,
    }
    optional: dict[str, Json] = {
        "parent": job.parent,
        "tags": dict(job.tags),
        "payload": body.text if is_inline else None,
        "payload_key": body.key,
        "due": state.due,
        "earlier": state.earlier,
        "failures": [failure_text(failure) for failure in state.failures],
        "first_started": state.first_started,
        "started": state.started,
    }
    return json.dumps(message | {key: value for key, value in optional.items() if value}, separators=(",", ":"))


def from_message(text: str) -> JobState:
    """The job that a message carries. NotOursError, which says why, when it carries none."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise NotOursError("it is not JSON") from None
    if not isinstance(message, Mapping) or "factory_cdk" not in message:
        raise NotOursError("it was not sent by factory-cdk")
    if message["factory_cdk"] != FORMAT:
        raise NotOursError(f"its format, {message['factory_cdk']!r}, is not known to this version of factory-cdk")
    try:
        return _state_from(message)
    except (KeyError, TypeError, ValueError) as error:
        raise NotOursError(f"it is incomplete ({type(error).__name__}: {error})") from error


def _state_from(message: Mapping[str, Any]) -> JobState:
    tags = message.get("tags", {})
    texts = [message["id"], message["bot"], message["run"], message["queue"], *tags, *tags.values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("an id, name or tag is no text")
    body = Body(message.get("payload"), message.get("payload_key"))
    if not isinstance(body.key if body.text is None else body.text, str):
        raise TypeError("there is no payload")
    job = Job(
        message["id"], message["bot"], None, message["run"], message.get("parent"), int(message["attempt"]), dict(tags)
    )
    return JobState(
        job,
        message["queue"],
        body,
        sent=int(message["sent"]),
        enqueued=float(message["enqueued"]),
        due=float(message.get("due", 0.0)),
        earlier=int(message.get("earlier", 0)),
        failures=tuple(failure_from(text) for text in message.get("failures", ())),
        first_started=message.get("first_started"),
        started=message.get("started"),
        version=int(message["version"]),
    )


class Places:
    """Makes places in an order for all threads of an engine: microseconds since the epoch that always grow."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self, now: float) -> int:
        """The next, for something that happens at `now`."""
        with self._lock:
            self._last = max(self._last + 1, int(now * 1e6))
            return self._last
