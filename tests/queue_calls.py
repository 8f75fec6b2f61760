"""What a runner awaits of its queues, for tests without an event loop of their own, one call after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from factory_cdk.plan.model import Json
from factory_cdk.queues.client import Search
from factory_cdk.queues.opening import Queues
from factory_cdk.queues.port import Depth, Failed, Failure, Finished, Forward, JobRecord, Lease, Wanted


def settle_and_claim(
    queues: Queues, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
) -> tuple[list[bool], list[Lease]]:
    return asyncio.run(queues.settle_and_claim(settled, wanted))


def claim(queues: Queues, queue: str, n: int, *, lease: float) -> list[Lease]:
    return settle_and_claim(queues, (), (Wanted(queue, n, lease),))[1]


def finish(queues: Queues, lease: Lease, forwards: Sequence[Forward] = (), result: Json = None) -> bool:
    return settle_and_claim(queues, (Finished(lease, forwards, result),), ())[0][0]


def fail(queues: Queues, lease: Lease, failure: Failure, *, delay: float | None) -> bool:
    return settle_and_claim(queues, (Failed(lease, failure, delay),), ())[0][0]


def release(queues: Queues, lease: Lease) -> bool:
    return asyncio.run(queues.release((lease,)))[0]


def extend(queues: Queues, leases: Sequence[Lease], seconds: float) -> list[Lease]:
    return asyncio.run(queues.extend(leases, seconds))


def reclaim(queues: Queues) -> int:
    return asyncio.run(queues.reclaim())


def depth(queues: Queues, queue: str) -> Depth:
    return queues.history.depths((queue,))[queue]


def run_jobs(queues: Queues, run: str) -> list[JobRecord]:
    return queues.history.find(Search(run=run))[::-1]
