"""The queues on AWS beside bare loops over boto3 with the same batching, over the emulator's SQS, in one run.

    python benchmarks/aws_queues.py [--rounds 3] [--chains 300] [--json FILE]

A chain is three jobs, a → b → c; all chains are sent before the clock starts. The bare loop receives ten messages,
sends their bodies on to the next queue and deletes them, call by call: it keeps no history, extends no lease and
recognises no duplicate; a second one also writes each job three times to a table, in batches, and believes it. Our
engine does the same through the port, without and with a history. Contestants take turns, round by round, and medians
are reported. What is measured is this program and the emulator, not AWS, whose answers take longer and are waited for
by several threads at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "queues")]
from emulator import Emulator, running  # noqa: E402 - the tests' folders come first
from figures import Figure, as_text, machine, write_json  # noqa: E402 - the tests' folders come first
from sqs_stage import SqsStage, client, made, unique  # noqa: E402 - the tests' folders come first

from factory_cdk.queues.port import Failed, Finished, Forward, Job, Lease, Wanted  # noqa: E402 - the tests' folders come first

BATCH = 10
ROUTE = {"a": "b", "b": "c", "c": None}
BARE, BARE_TABLE = "bare boto3 loop", "bare boto3 loop with a table"
ENGINE, HISTORY = "our engine, no history", "our engine, with a history"


@dataclass
class Contestant:
    """One way to do the chains: `seconds` does so many of them."""

    name: str
    seconds: Callable[[Emulator, int], float]
    per_second: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Chains a second, the median of the rounds."""
        return statistics.median(self.per_second)


class BareTable:
    """Writes to a table, three for each job, unread."""

    def __init__(self, aws: Emulator, name: str) -> None:
        self._table, self._dynamodb = f"{name}-jobs", client(aws, "dynamodb")

    def record(self, ids: Sequence[str], queue: str) -> None:
        """Jobs that are sent."""
        values = "{'run': ?, 'id': ?, 'part': ?, 'queue': ?, 'payload': ?, 'sent': ?}"
        statement = f'INSERT INTO "{self._table}" VALUE {values}'
        self._write(statement, [[*map(_text, ("run", one, "0", queue, "0")), {"N": "1"}] for one in ids])

    def change(self, ids: Sequence[str], state: str) -> None:
        """Jobs that are leased, or done."""
        statement = f'UPDATE "{self._table}" SET "{state}"=? SET "version"=? WHERE "run"=? AND "id"=?'  # noqa: S608
        self._write(statement, [[_text("x"), {"N": "2"}, _text("run"), _text(one)] for one in ids])

    def _write(self, statement: str, parameters: Sequence[Sequence[dict[str, str]]]) -> None:
        statements = [{"Statement": statement, "Parameters": list(one)} for one in parameters]
        answers = self._dynamodb.batch_execute_statement(Statements=statements)["Responses"]
        assert not any("Error" in answer for answer in answers), answers


def _text(text: str) -> dict[str, str]:
    return {"S": text}


def bare(aws: Emulator, chains: int, *, history: bool) -> float:
    """Seconds for `chains`, by boto3 alone."""
    name = unique("bare")
    stage = made(aws, name, ROUTE, history=history)
    table = BareTable(aws, name) if history else None
    sqs = client(aws, "sqs")
    names = {queue: names.queue for queue, names in stage.location.queues.items()}
    urls = {queue: sqs.get_queue_url(QueueName=name)["QueueUrl"] for queue, name in names.items()}
    for start in range(0, chains, BATCH):
        ids = [str(one) for one in range(start, start + BATCH)]
        if table:
            table.record(ids, "a")
        sqs.send_message_batch(QueueUrl=urls["a"], Entries=[{"Id": one, "MessageBody": one} for one in ids])
    begun, done = time.perf_counter(), 0
    while done < chains:
        for queue, following in ROUTE.items():
            messages = sqs.receive_message(QueueUrl=urls[queue], MaxNumberOfMessages=BATCH).get("Messages", ())
            bodies = [message["Body"] for message in messages]
            if not messages:
                continue
            if table:
                table.change(bodies, "leased")
            if following:
                entries = [{"Id": str(one), "MessageBody": f"{body}.{following}"} for one, body in enumerate(bodies)]
                if table:
                    table.record([f"{body}.{following}" for body in bodies], following)
                sqs.send_message_batch(QueueUrl=urls[following], Entries=entries)
            else:
                done += len(messages)
            if table:
                table.change(bodies, "done")
            gone = [{"Id": str(one), "ReceiptHandle": message["ReceiptHandle"]} for one, message in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=urls[queue], Entries=gone)
    return time.perf_counter() - begun


def ours(aws: Emulator, chains: int, *, history: bool) -> float:
    """Seconds for `chains`, through the port."""
    return asyncio.run(_ours(made(aws, unique("ours"), ROUTE, history=history), chains))


async def _ours(stage: SqsStage, chains: int) -> float:
    with stage.open() as queues:
        queues.send("a", [Job(f"run-{one}", "a", one, "run") for one in range(chains)])
        begun, done = time.perf_counter(), 0
        while done < chains:
            for queue, following in ROUTE.items():
                _, leases = await queues.settle_and_claim([], [Wanted(queue, BATCH, 60)])
                settled: list[Finished | Failed] = [Finished(lease, _forwards(lease), 0) for lease in leases]
                await queues.settle_and_claim(settled, [])
                done += len(leases) if following is None else 0
        return time.perf_counter() - begun


def _forwards(lease: Lease) -> list[Forward]:
    following = ROUTE[lease.queue]
    if following is None:
        return []
    return [Forward(following, Job(f"{lease.job.id}.{following}", following, lease.job.payload, "run", lease.job.id))]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chains", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    contestants = [
        Contestant(BARE, lambda aws, chains: bare(aws, chains, history=False)),
        Contestant(BARE_TABLE, lambda aws, chains: bare(aws, chains, history=True)),
        Contestant(ENGINE, lambda aws, chains: ours(aws, chains, history=False)),
        Contestant(HISTORY, lambda aws, chains: ours(aws, chains, history=True)),
    ]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as aws:
        os.environ.update(aws.environment)
        for _ in range(options.rounds):
            for one in contestants:
                one.per_second.append(options.chains / one.seconds(aws, options.chains))
    print(machine())
    rates = {one.name: one.rate for one in contestants}
    figures = [Figure(name, rate, "chains/s") for name, rate in rates.items()]
    figures += [
        Figure(f"{one} / {floor}", rates[one] / rates[floor], "x", goal=0.5, at_least=True)
        for one, floor in ((ENGINE, BARE), (HISTORY, BARE_TABLE))
    ]
    print(as_text(figures))
    if options.json:
        write_json(options.json, figures)


if __name__ == "__main__":
    main()
