"""A process that has queues open and does what its standard input says; for the contract suite.

Every line in is a JSON list (a command and its arguments), every line out is JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factory_cdk.queues.opening import Queues
from factory_cdk.queues.port import Failure, Forward, Job, Lease, Wanted

sys.path.append(str(Path(__file__).parents[1]))
from queue_calls import depth, fail, finish


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


def described(lease: Lease) -> dict[str, Any]:
    return {"id": lease.job.id, "payload": lease.job.payload, "attempt": lease.job.attempt}


def forwarded(lease: Lease, route: dict[str, str]) -> list[Forward]:
    following = route[lease.queue]
    result = lease.job.payload + 1
    return [Forward(following, Job(f"{lease.job.id}.{following}", "bot", result, "run", lease.job.id))]


async def wait_for(queues: Queues, queue: str, n: int, lease: float, wait: float) -> list[Lease]:
    """Up to `n` jobs; a wake-up, or half a second, is waited for while there are none, for up to `wait` seconds."""
    woken = asyncio.Event()
    deadline = time.monotonic() + wait
    subscription = queues.subscribe([queue], woken.set)
    try:
        while True:
            leases = (await queues.settle_and_claim((), (Wanted(queue, n, lease),)))[1]
            left = deadline - time.monotonic()
            if leases or left <= 0:
                return leases
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(left, 0.5))
            woken.clear()
    finally:
        subscription.close()


def work(queues: Queues, route: dict[str, str], lease_seconds: float, wait: float) -> Iterator[str | None]:
    """Do jobs along `route`; yields the id of each that ends it, and None when a round found nothing."""
    while True:
        idle = True
        for queue in reversed(route):
            for lease in asyncio.run(wait_for(queues, queue, 3, lease_seconds, wait if idle else 0)):
                idle = False
                done = finish(queues, lease, forwarded(lease, route), lease.job.payload + 1)
                if done and route[queue] not in route:
                    yield lease.job.id
        if idle:
            yield None


def main() -> None:
    opening = json.loads(sys.argv[1])
    module, _, name = opening["factory"].partition(":")
    queues = getattr(importlib.import_module(module), name)(*opening["arguments"])
    hand: list[Lease] = []
    for line in sys.stdin:
        match json.loads(line):
            case ["send", queue, jobs]:
                queues.send(queue, [Job(job_id, "bot", payload, "run") for job_id, payload in jobs])
                say(True)
            case ["receive", queue, n, lease, wait]:
                hand = asyncio.run(wait_for(queues, queue, n, lease, wait))
                say([described(lease) for lease in hand])
            case ["finish", queue, child]:
                say(finish(queues, hand[0], [Forward(queue, Job(child, "bot", 0, "run"))]))
            case ["fail"]:
                say(fail(queues, hand[0], Failure("Error", "", "", 1), delay=0))
            case ["work", route, chains, lease]:
                done = []
                for finished in work(queues, route, lease, 0.05):
                    if finished is not None:
                        done.append(finished)
                    elif depth(queues, "end").ready >= chains:
                        break
                say(done)
            case ["stream", route, lease]:
                for finished in work(queues, route, lease, 0):
                    say(finished)
                    if finished is None:
                        break


if __name__ == "__main__":
    main()
