"""Whoever waits for a run on AWS sees every outcome once, and the end of it when it is the end."""

from __future__ import annotations

import asyncio
import threading

import pytest
from emulator import Emulator
from exchanging import Works
from sqs_stage import client, made, unique

from factory_cdk.queues.port import Job

ROUTE = {"a": "b", "b": "c", "c": None}
CHAINS = 100
LARGE = "x" * 1900
"""Kept in the record, as payload and as result: the run has more than a page of the table."""


@pytest.mark.slow
def test_a_watcher_beside_two_runners_sees_every_outcome_once_and_stops_at_the_end(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    stage = made(aws, unique("watched"), ROUTE)
    expected = {f"run-{one}{ending}" for one in range(CHAINS) for ending in ("", ".b", ".b.c")}
    shared: list[str] = []

    def run() -> None:
        with stage.open() as queues:
            works = Works(queues, ROUTE, room=4, done=shared)
            asyncio.run(works.run(3 * CHAINS))

    seen: list[str] = []
    with stage.open() as queues:
        queues.send("a", [Job(f"run-{one}", "a", LARGE, "run") for one in range(CHAINS)])
        runners = [threading.Thread(target=run) for _ in range(2)]
        for runner in runners:
            runner.start()
        cursor = 0
        while True:
            news = queues.history.outcomes("run", after=cursor, n=50)
            seen += [record.job.id for record in news]
            if news:
                cursor = news[-1].cursor or cursor
            elif not queues.history.remaining("run"):
                break
        for runner in runners:
            runner.join()
        assert queues.history.outcomes("run", after=cursor) == []
    assert sorted(seen) == sorted(expected)
    key = {":run": {"S": "run"}}
    page = client(aws, "dynamodb").query(
        TableName=stage.location.table, KeyConditionExpression="run = :run", ExpressionAttributeValues=key
    )
    assert "LastEvaluatedKey" in page, "the run is read page by page"
