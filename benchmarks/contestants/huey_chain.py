"""huey on SQLite, as its documentation sets it up: a pipeline of three tasks, run by the processes of its consumer.

The consumer imports this module: BENCHMARK_FOLDER says where its files are, BENCHMARK_FSYNC whether every commit is
synced. huey takes a task off its queue before it is run: one whose worker is killed is lost.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import huey

FOLDER = Path(os.environ["BENCHMARK_FOLDER"])
GO = "go"

queue = huey.SqliteHuey(
    filename=str(FOLDER / "huey.db"), fsync=os.environ["BENCHMARK_FSYNC"] == "1", strict_fifo=True, timeout=30
)


@queue.task()
def a(number: int) -> int:
    """Add one."""
    return number + 1


@queue.task()
def b(number: int) -> int:
    """Add one."""
    return number + 1


@queue.task()
def c(number: int) -> int:
    """Add one."""
    return number + 1


@queue.on_startup()
def wait_for_the_start() -> None:
    """Say that this worker is there, and wait until all chains are submitted."""
    (FOLDER / f"ready-{os.getpid()}").touch()
    while not (FOLDER / GO).exists():
        time.sleep(0.001)


def main() -> None:
    """Submit, let the consumer run, print the seconds."""
    chains, workers = int(sys.argv[1]), int(sys.argv[2])
    for number in range(chains):
        queue.enqueue(a.s(number).then(b).then(c))
    options = ["-k", "process", "-w", str(workers), "-n", "-d", "0.01", "-m", "0.1", "-l", str(FOLDER / "huey.log")]
    consumer = subprocess.Popen(
        [sys.executable, "-m", "huey.bin.huey_consumer", "contestants.huey_chain.queue", *options]
    )
    try:
        while len(list(FOLDER.glob("ready-*"))) < workers:
            time.sleep(0.01)
        begun = time.perf_counter()
        (FOLDER / GO).touch()
        while queue.storage.result_store_size() < 3 * chains:
            assert consumer.poll() is None, (FOLDER / "huey.log").read_text()
            time.sleep(0.01)
        print(time.perf_counter() - begun)
    finally:
        consumer.terminate()
        consumer.wait()
