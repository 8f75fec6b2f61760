"""Jobs, and how they went, as rows. Moments are text, in UTC; durations are seconds, rounded to milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from factory_cdk.plan.model import Json
from factory_cdk.queues.client import BotStatistics, Spread
from factory_cdk.queues.port import Failure, JobRecord, Outcome
from factory_cdk.state.logs import stamp


@dataclass(frozen=True, slots=True)
class JobRow:
    """Everything that is on record of a job. `waiting` is from being sent to the first attempt, `processing` the last
    attempt of a job that is done or dead; None where there was none.
    """

    id: str
    parent: str | None
    run: str
    bot: str
    queue: str
    state: str
    attempts: int
    tags: Mapping[str, str]
    enqueued: str
    first_started: str | None
    started: str | None
    finished: str | None
    waiting: float | None
    processing: float | None
    payload: Json
    result: Json
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class JobDetail(JobRow):
    """A job, and the ids of those that follow from it."""

    next: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """How a job ended, for whoever submitted it: `error` is the last failure of one that is no success."""

    id: str
    parent: str | None
    bot: str
    outcome: str
    attempts: int
    result: Json
    error: Failure | None


def job_row(record: JobRecord) -> JobRow:
    """One row for a job."""
    job = record.job
    return JobRow(
        id=job.id,
        parent=job.parent,
        run=job.run,
        bot=job.bot,
        queue=record.queue,
        state=record.state,
        attempts=record.attempts,
        tags=dict(job.tags),
        enqueued=stamp(record.enqueued),
        first_started=_moment(record.first_started),
        started=_moment(record.started),
        finished=_moment(record.finished),
        waiting=_between(record.enqueued, record.first_started),
        processing=_between(record.started, record.finished) if record.outcome in ("success", "dead") else None,
        payload=job.payload,
        result=record.result,
        failures=record.failures,
    )


def job_detail(record: JobRecord, following: Sequence[str]) -> JobDetail:
    """A job with the ids of those that are `following` from it."""
    row = job_row(record)
    return JobDetail(**{field.name: getattr(row, field.name) for field in fields(row)}, next=tuple(following))


def outcome_row(record: JobRecord) -> OutcomeRow:
    """One row for a job that is final."""
    job = record.job
    error = record.failures[-1] if record.failures and record.outcome is not Outcome.SUCCESS else None
    return OutcomeRow(job.id, job.parent, job.bot, str(record.outcome), record.attempts, record.result, error)


def statistics_rows(found: Iterable[BotStatistics]) -> list[BotStatistics]:
    """One row per bot."""
    return [replace(one, waiting=_rounded(one.waiting), processing=_rounded(one.processing)) for one in found]


def _rounded(spread: Spread | None) -> Spread | None:
    return spread and Spread(round(spread.p50, 3), round(spread.p95, 3), round(spread.max, 3))


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else stamp(seconds)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(max(0.0, end - start), 3)
