"""A process that works on a stage's queues in SQS and ends itself, as if killed, at a named point of the protocol."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from queue_calls import claim, release, settle_and_claim
from sqs_stage import location_of, sqs_time

from factory_cdk.queues.port import Failed, Failure, Finished, Forward, Job, Lease
from factory_cdk.queues.sqs.engine import SqsQueues

KILLED = 9
NEXT = {"a": "b", "b": "end"}


def jobs(number: int) -> list[Job]:
    """The jobs that a scenario begins with."""
    return [Job(f"run-{one}", "a", one, "run") for one in range(1, number + 1)]


def forwards(lease: Lease) -> list[Forward]:
    """What follows from a job."""
    following = NEXT[lease.queue]
    return [Forward(following, Job(f"{lease.job.id}.{following}", following, lease.job.payload, "run", lease.job.id))]


def perform(queues: SqsQueues, scenario: str) -> None:
    """Do what `scenario` names, of three jobs that are there (none, for `send`)."""
    match scenario:
        case "send":
            queues.send("a", jobs(3))
        case "finish":
            leases = claim(queues, "a", 3, lease=60)
            settle_and_claim(queues, [Finished(lease, forwards(lease), lease.job.payload) for lease in leases], [])
        case "fail":
            leases = claim(queues, "a", 3, lease=60)
            settle_and_claim(queues, [Failed(lease, Failure("Error", "no", "", 1), 0.0) for lease in leases], [])
        case "die":
            leases = claim(queues, "a", 3, lease=60)
            settle_and_claim(queues, [Failed(lease, Failure("Error", "no", "", 1), None) for lease in leases], [])
        case "give back":
            for _ in range(4):  # the third time a message is sent anew
                for lease in claim(queues, "a", 3, lease=60):
                    release(queues, lease)
        case "retry":
            queues.history.retry([job.id for job in jobs(3)])
        case "sweep":
            queues.history.sweep()


def main() -> None:
    names, bucket, table, clock = json.loads(sys.argv[1])
    scenario, last = sys.argv[2:]

    def point(name: str) -> None:
        if name == last:
            os._exit(KILLED)

    def now() -> float:
        return sqs_time(Path(clock))

    arguments: dict[str, Any] = {"clock": now, "point": point}
    perform(SqsQueues(location_of(names, bucket, table), **arguments), scenario)


if __name__ == "__main__":
    main()
