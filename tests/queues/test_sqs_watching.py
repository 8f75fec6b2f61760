"""Whoever waits for a run on AWS sees every outcome once, and the end of it when it is the end."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aws_proxy import Call, proxied
from emulator import Emulator
from exchanging import Works
from queue_calls import claim, finish, settle_and_claim
from sqs_stage import client, made, unique

from factory_cdk.queues.port import Finished, Forward, Job

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
            over = not queues.history.remaining("run")  # asked first: jobs end between the two questions
            news = queues.history.outcomes("run", after=cursor, n=50)
            seen += [record.job.id for record in news]
            if news:
                cursor = news[-1].cursor or cursor
            elif over:
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


@pytest.mark.slow
def test_a_run_whose_last_job_ends_while_it_is_read_is_not_taken_for_complete(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    stage = made(aws, unique("paged"), ROUTE)
    with stage.open() as queues:
        queues.send("c", [Job(f"run-{one:03}", "c", LARGE, "run") for one in range(300)])
        while leases := claim(queues, "c", 100, lease=600):
            settle_and_claim(queues, [Finished(lease, (), LARGE) for lease in leases], [])
        queues.send("a", [Job("run-last", "a", 1, "run")])
        (last,) = claim(queues, "a", 1, lease=600)

        def choose(call: Call) -> None:
            """Before the second page is read, its job ends, and one follows that belongs on the first page."""
            nonlocal last_is_done
            if b"ExclusiveStartKey" in call.body and not last_is_done:
                last_is_done = True
                assert finish(queues, last, [Forward("b", Job("run-", "b", 1, "run", "run-last"))], 1)

        last_is_done = False
        with proxied(aws.url) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            proxy.choose = choose
            with stage.open() as watching:
                assert watching.history.remaining("run") == 1
        assert last_is_done
