"""Queues in SQS for tests: what a stage's templates make, made on the emulator, and engines that use it."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator import ACCOUNT, Emulator

from factory_cdk.queues.opening import QueueNames, SqsLocation
from factory_cdk.queues.sqs.engine import SqsQueues
from factory_cdk.queues.sqs.table import table_request

REGION = "eu-west-2"
MAX_RECEIVES = 5
KEEP = 14 * 86_400.0


@dataclass(frozen=True)
class SqsStage:
    """A stage on the emulator."""

    aws: Emulator
    location: SqsLocation

    def now(self) -> float:
        """The time on the clock of SQS."""
        return sqs_time(self.aws.sqs_clock)

    def open(self) -> SqsQueues:
        """The queues, with a clock that goes with that of SQS."""
        return SqsQueues(self.location, clock=self.now)

    @property
    def arguments(self) -> list[object]:
        """What `opened` takes in another process."""
        location = self.location
        names = {queue: [names.queue, names.dead_letters] for queue, names in location.queues.items()}
        return [names, location.bucket, location.table, str(self.aws.sqs_clock)]

    def messages(self, queue: str, *, dead: bool = False) -> int:
        """How many messages SQS has, in whatever state."""
        names = self.location.queues[queue]
        sqs = client(self.aws, "sqs")
        url = sqs.get_queue_url(QueueName=names.dead_letters if dead else names.queue)["QueueUrl"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(counts[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "Delayed", "NotVisible"))


def sqs_time(clock: Path) -> float:
    """The time on the emulator's clock of SQS."""
    return time.time() + float(clock.read_text())


def opened(names: dict[str, Sequence[str]], bucket: str, table: str | None, clock: str) -> SqsQueues:
    """The queues of a stage of another process, in whose environment the emulator is."""
    return SqsQueues(location_of(names, bucket, table), clock=lambda: sqs_time(Path(clock)))


def location_of(names: dict[str, Sequence[str]], bucket: str, table: str | None) -> SqsLocation:
    return SqsLocation(REGION, {queue: QueueNames(*both) for queue, both in names.items()}, bucket, table, KEEP)


def made(aws: Emulator, name: str, queues: Iterable[str], *, history: bool = True) -> SqsStage:
    """A stage `name` with `queues`, their dead-letter queues, a bucket and a table."""
    sqs = client(aws, "sqs")
    names = {}
    for number, queue in enumerate(queues):
        physical = f"{name}-{number}"
        sqs.create_queue(QueueName=f"{physical}-dlq")
        redrive = {
            "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{physical}-dlq",
            "maxReceiveCount": MAX_RECEIVES,
        }
        sqs.create_queue(QueueName=physical, Attributes={"RedrivePolicy": json.dumps(redrive)})
        names[queue] = (physical, f"{physical}-dlq")
    client(aws, "s3").create_bucket(Bucket=f"{name}-payloads", CreateBucketConfiguration={"LocationConstraint": REGION})
    if history:
        client(aws, "dynamodb").create_table(**table_request(f"{name}-jobs"))
    return SqsStage(aws, location_of(names, f"{name}-payloads", f"{name}-jobs" if history else None))


@functools.cache
def client(aws: Emulator, service: str) -> Any:
    """A client of `service`, made once."""
    return aws.client(service, REGION)


def unique(prefix: str) -> str:
    """A name that no other stage has."""
    return f"{prefix}-{os.urandom(4).hex()}"
