"""Rows as JSON: the same keys in the same order, whoever asks."""

from __future__ import annotations

import json
from dataclasses import replace

from factory_cdk.queues.client import BotStatistics, Spread
from factory_cdk.queues.port import Failure, Job, JobRecord, Outcome
from factory_cdk.views.jobs import job_detail, job_row, outcome_row, statistics_rows
from factory_cdk.views.plain import as_json

DEAD = JobRecord(
    job=Job("run-1", "weld", {"part": [1, 2]}, "run", tags={"order": "7"}),
    queue="parts",
    state="dead",
    outcome=Outcome.DEAD,
    attempts=2,
    result=None,
    failures=(Failure("OSError", "cold", "trace 1", 1), Failure("ValueError", "hot", "trace 2", 2)),
    enqueued=0.0,
    first_started=0.5,
    started=10.0,
    finished=12.34567,
    cursor=3,
)


def test_a_job_has_everything_that_is_on_record() -> None:
    assert list(as_json(job_row(DEAD)).items()) == [
        ("id", "run-1"),
        ("parent", None),
        ("run", "run"),
        ("bot", "weld"),
        ("queue", "parts"),
        ("state", "dead"),
        ("attempts", 2),
        ("tags", {"order": "7"}),
        ("enqueued", "1970-01-01T00:00:00.000Z"),
        ("first_started", "1970-01-01T00:00:00.500Z"),
        ("started", "1970-01-01T00:00:10.000Z"),
        ("finished", "1970-01-01T00:00:12.345Z"),
        ("waiting", 0.5),
        ("processing", 2.346),
        ("payload", {"part": [1, 2]}),
        ("result", None),
        (
            "failures",
            [
                {"type": "OSError", "message": "cold", "traceback": "trace 1", "attempt": 1},
                {"type": "ValueError", "message": "hot", "traceback": "trace 2", "attempt": 2},
            ],
        ),
    ]
    detail = as_json(job_detail(DEAD, ["run-1.a"]))
    assert list(detail) == [*as_json(job_row(DEAD)), "next"]
    assert detail["next"] == ["run-1.a"]


def test_a_job_that_waits_has_no_times_of_attempts() -> None:
    waiting = replace(DEAD, state="ready", outcome=None, first_started=None, started=None, finished=None, failures=())
    row = job_row(waiting)
    assert (row.waiting, row.processing, row.started, row.failures) == (None, None, None, ())


def test_how_a_job_ended_has_its_last_failure_unless_it_succeeded() -> None:
    found = as_json(outcome_row(DEAD))
    assert list(found) == ["id", "parent", "bot", "outcome", "attempts", "result", "error"]
    assert list(found["error"].items()) == [
        ("type", "ValueError"),
        ("message", "hot"),
        ("traceback", "trace 2"),
        ("attempt", 2),
    ]
    good = outcome_row(replace(DEAD, outcome=Outcome.SUCCESS, result=[1]))
    assert (good.outcome, good.result, good.error) == ("success", [1], None)


def test_a_payload_as_deep_as_one_may_be_is_passed_on() -> None:
    payload: object = 7
    for _ in range(900):
        payload = [payload]
    row = as_json(job_row(replace(DEAD, job=DEAD.job._replace(payload=payload))))
    assert row["payload"] is payload
    json.dumps(row)


def test_statistics_are_rounded_to_milliseconds() -> None:
    found = BotStatistics("weld", 3, 1, 1, 0, 1, 4, 2, Spread(0.00049, 1.23456, 2.0), None)
    (row,) = statistics_rows([found])
    assert as_json(row) == {
        "bot": "weld",
        "count": 3,
        "success": 1,
        "dead": 1,
        "cancelled": 0,
        "live": 1,
        "attempts": 4,
        "failures": 2,
        "waiting": {"p50": 0.0, "p95": 1.235, "max": 2.0},
        "processing": None,
    }
