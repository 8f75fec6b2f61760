"""What a million three-bot jobs cost on AWS, from the calls that the engine makes for some of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from aws_proxy import Call, Proxy, proxied
from emulator import Emulator
from exchanging import Works
from sqs_stage import SqsStage, made, unique

from factory_cdk.prices import dynamodb_million, sqs_million
from factory_cdk.queues.port import Job
from factory_cdk.queues.sqs.engine import SqsQueues

PRICED_REGION = "us-east-1"
ROUTE = {"a": "b", "b": "c", "c": None}
MILLION = 1_000_000
PAYLOAD = {"file": "s3://bucket/" + "k" * 100}
KIB = 1024
FREE = {"sqs.GetQueueUrl"}
"""Once for each queue and process."""


@dataclass(frozen=True)
class Used:
    """What was used for one chain of three jobs, on average."""

    requests: Decimal
    writes: Decimal
    reads: Decimal

    @property
    def sqs(self) -> Decimal:
        """USD for a million chains."""
        price = sqs_million(PRICED_REGION)
        assert price is not None
        return self.requests * price

    @property
    def dynamodb(self) -> Decimal:
        """USD for a million chains."""
        rates = dynamodb_million(PRICED_REGION)
        assert rates is not None
        return self.writes * rates.writes + self.reads * rates.reads


@pytest.fixture
def stage(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> SqsStage:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return made(aws, unique("prices"), ROUTE)


@pytest.fixture
def proxy(stage: SqsStage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxied(stage.aws.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def jobs(first: int, number: int) -> list[Job]:
    return [Job(f"8f3a2b1c9d4e5f60-{one}", "a", PAYLOAD, "8f3a2b1c9d4e5f60") for one in range(first, first + number)]


def used(calls: list[Call], chains: int) -> Used:
    """What `calls` use, as AWS counts. A message is counted for each 64 KB, an item for each KB that is written and
    for each 4 KB that is read, and once more for the index of all jobs when it is made.
    """
    requests = writes = reads = 0
    for call in calls:
        body = json.loads(call.body) if call.body else {}
        if call.operation.startswith("sqs.") and call.operation not in FREE:
            requests += max(1, -(-len(call.body) // (64 * KIB)))
        elif call.operation == "dynamodb.BatchExecuteStatement":
            for one in body["Statements"]:
                assert len(json.dumps(one["Parameters"])) < KIB
                writes += 2 if one["Statement"].startswith("INSERT") else 1
        elif call.operation == "dynamodb.BatchGetItem":
            reads += sum(len(table["Keys"]) for table in body["RequestItems"].values())
        else:
            assert call.operation in FREE, call.operation
    return Used(*(Decimal(number) / chains for number in (requests, writes, reads)))


def test_a_million_batched_jobs_cost_no_more_than_documented(stage: SqsStage, proxy: Proxy) -> None:
    chains = 200
    with stage.open() as queues:
        queues.send("a", jobs(0, chains))
        asyncio.run(Works(queues, ROUTE, lease=3600).run(3 * chains))
    found = used(proxy.calls, chains)
    assert found.sqs <= Decimal("1.5"), found
    assert_documented("batches of ten", found)


def test_a_million_single_jobs_cost_no_more_than_documented(stage: SqsStage, proxy: Proxy) -> None:
    chains = 20

    async def one_by_one(queues: SqsQueues) -> None:
        def submit_next(chain: int) -> None:
            if chain < chains:
                asyncio.get_running_loop().run_in_executor(None, queues.send, "a", jobs(chain, 1))

        works = Works(queues, ROUTE, room=1, lease=3600, ended=submit_next)
        await works.run(3 * chains)

    with stage.open() as queues:
        queues.send("a", jobs(0, 1))
        asyncio.run(one_by_one(queues))
    found = used(proxy.calls, chains)
    assert found.sqs <= Decimal(4), found
    assert_documented("one by one", found)


def assert_documented(row: str, found: Used) -> None:
    """The row of docs/aws-queues.md says no less than what was used."""
    text = (Path(__file__).parents[2] / "docs" / "aws-queues.md").read_text(encoding="utf-8")
    match = re.search(
        rf"^\| {row} \| ([\d.]+) \| \$([\d.]+) \| ([\d.]+) \| ([\d.]+) \| \$([\d.]+) \|", text, re.MULTILINE
    )
    assert match, "there is no such row"
    requests, sqs, writes, reads, dynamodb = map(Decimal, match.groups())
    assert found.requests <= requests
    assert found.sqs <= sqs
    assert found.writes <= writes
    assert found.reads <= reads
    assert found.dynamodb <= dynamodb
