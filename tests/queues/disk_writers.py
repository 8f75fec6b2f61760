"""A process that uses a queue database; what it asks of the disk is traced (disk_trace.c).

    python disk_writers.py send|work NAME FOLDER SEED

`send` submits jobs and notes the ids of those that were acknowledged in FOLDER/acknowledged, then leaves a file
FOLDER/NAME; `work` takes jobs of `a` and `b` and sends them on, until that file is there. Both open the database anew
now and then (the last to close it removes its log), and workers checkpoint it.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from pathlib import Path

from factory_cdk.queues.port import Finished, Forward, Job, Lease, Wanted
from factory_cdk.queues.sqlite.bodies import FILE_BYTES
from factory_cdk.queues.sqlite.engine import SqliteQueues

sys.path.append(str(Path(__file__).parents[1]))
from queue_calls import reclaim, settle_and_claim

NEXT = {"a": "b", "b": "end"}
SENDS = 60
SIZES = [0] * 12 + [900] * 4 + [5000] * 3 + [FILE_BYTES]


def payload(job: str, size: int) -> str:
    """What a job carries: nothing but its name, often enough."""
    return f"{job} " * (size // (len(job) + 1) + 1)


def onward(lease: Lease) -> Finished:
    """Send what was leased to the next queue."""
    job = Job(lease.job.id + ">", "bot", lease.job.payload, "run", lease.job.id)
    return Finished(lease, [Forward(NEXT[lease.queue], job)], lease.job.payload)


def send(name: str, folder: Path, dice: random.Random) -> None:
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = 0
    while number < SENDS:
        with SqliteQueues(folder / "queues.db") as queues:
            for _ in range(dice.randint(1, 10)):
                ids = [f"{name}-{number}-{one}" for one in range(dice.randint(1, 3))]
                queues.send("a", [Job(one, "bot", payload(one, dice.choice(SIZES)), "run") for one in ids])
                os.write(acknowledged, "".join(f"{one}\n" for one in ids).encode())
                number += 1
    (folder / name).touch()


def work(name: str, folder: Path, dice: random.Random) -> None:
    while not (folder / name).exists():
        with SqliteQueues(folder / "queues.db") as queues:
            for _ in range(dice.randint(1, 30)):
                leases = settle_and_claim(queues, [], [Wanted(queue, dice.randint(0, 3), 60) for queue in NEXT])[1]
                settle_and_claim(queues, [onward(lease) for lease in leases if dice.random() < 0.9], [])
            reclaim(queues)
        if dice.random() < 0.5:
            connection = sqlite3.connect(folder / "queues.db", timeout=180)
            connection.execute(f"PRAGMA wal_checkpoint({dice.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])})")
            connection.close()


if __name__ == "__main__":
    what, name, folder, seed = sys.argv[1:]
    {"send": send, "work": work}[what](name, Path(folder), random.Random(seed))  # noqa: S311
