"""The queue engine alone: a loop in one process over `settle_and_claim`, and what a durable submission costs."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from pathlib import Path

from factory_cdk.queues.port import Finished, Forward, Job, Lease, Wanted
from factory_cdk.queues.sqlite.engine import SqliteQueues

NEXT = {"a": "b", "b": "c"}
LEASE = 60.0


def fused(folder: Path, chains: int, batch: int) -> float:
    """Seconds of the floor's plain loop over our engine: settle, forward and claim in one transaction."""
    with SqliteQueues(folder / "queues.sqlite3") as queues:
        run = secrets.token_hex(8)
        queues.send("a", [Job(f"{run}.{number}", "a", number, run) for number in range(chains)])
        wanted = [Wanted(queue, batch, LEASE) for queue in "cba"]
        begun = time.perf_counter()
        done = asyncio.run(_work(queues, wanted))
        assert done == chains
        return time.perf_counter() - begun


async def _work(queues: SqliteQueues, wanted: list[Wanted]) -> int:
    """Do all jobs; how many chains came to their ends."""
    leases = (await queues.settle_and_claim((), wanted))[1]
    done = 0
    while leases:
        done += sum(lease.queue == "c" for lease in leases)
        leases = (await queues.settle_and_claim([_finished(lease) for lease in leases], wanted))[1]
    return done


def _finished(lease: Lease) -> Finished:
    job = lease.job
    result = job.payload + 1
    queue = NEXT.get(lease.queue)
    if queue is None:
        return Finished(lease, (), result)
    return Finished(lease, (Forward(queue, Job(f"{job.id}.{queue}", queue, result, job.run, job.id)),), result)


def submissions(folder: Path, jobs: int) -> list[float]:
    """Seconds of each of `jobs` durable submissions of one job."""
    with SqliteQueues(folder / "queues.sqlite3") as queues:
        return [_timed_send(queues, Job(f"{number}", "a", number, "run")) for number in range(jobs)]


def _timed_send(queues: SqliteQueues, job: Job) -> float:
    begun = time.perf_counter()
    queues.send("a", [job])
    return time.perf_counter() - begun


def syncs(folder: Path, count: int) -> list[float]:
    """Seconds of each of `count` appends of one page to a file with an fsync: what no durable submission can beat."""
    found = []
    with (folder / "bare").open("ab", buffering=0) as file:
        for _ in range(count):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            found.append(time.perf_counter() - begun)
    return found
