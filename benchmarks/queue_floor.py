"""Chains per second over the queue engine alone, beside a bare SQLite loop, and how fast its doorbell wakes.

    python benchmarks/queue_floor.py [--chains 2000] [--rounds 5] [--rings 300] [--json FILE]

A chain is three jobs, a → b → c, where each bot answers its payload plus one; every chain is submitted before
the clock starts. All contestants take turns in one process, round by round, and the medians are reported, so
that a noisy machine disturbs them alike. The floor keeps no history, knows no duplicates and has no other
writers: what the engine costs beyond it is what it promises beyond it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from factory_cdk.queues.port import Finished, Forward, Job, Lease, Wanted
from factory_cdk.queues.sqlite import SqliteQueues

NEXT = {"a": "b", "b": "c"}
LEASE = 60.0


class Floor:
    """The least that could be called a durable queue: one table, leases, one transaction per step."""

    def __init__(self, path: Path) -> None:
        self.run = sqlite3.connect(path, isolation_level=None).execute
        self.run("PRAGMA journal_mode = WAL")
        self.run("PRAGMA synchronous = NORMAL")
        self.run(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT, due REAL, token TEXT, payload TEXT)"
        )
        self.run("CREATE INDEX live ON jobs (queue, due)")

    def submit(self, chains: int) -> None:
        """Send the first job of every chain."""
        self.run("BEGIN IMMEDIATE")
        for number in range(chains):
            self.run("INSERT INTO jobs (queue, due, payload) VALUES ('a', 0, ?)", (json.dumps(number),))
        self.run("COMMIT")

    def step(self, settled: list[tuple[int, str, str, int]], batch: int) -> list[tuple[int, str, str, int]]:
        """Delete what is done, send it on, and claim the next jobs, the end of the chain first."""
        self.run("BEGIN IMMEDIATE")
        for number, token, queue, result in settled:
            gone = self.run("DELETE FROM jobs WHERE id = ? AND token = ?", (number, token)).rowcount
            if gone and queue in NEXT:
                self.run("INSERT INTO jobs (queue, due, payload) VALUES (?, 0, ?)", (NEXT[queue], json.dumps(result)))
        claimed = []
        now = time.time()
        for queue in "cba":
            ready = "SELECT id, payload FROM jobs WHERE queue = ? AND due <= ? ORDER BY due, id LIMIT ?"
            for number, payload in self.run(ready, (queue, now, batch)).fetchall():
                token = secrets.token_hex(8)
                self.run("UPDATE jobs SET due = ?, token = ? WHERE id = ?", (now + LEASE, token, number))
                claimed.append((number, token, queue, json.loads(payload)))
        self.run("COMMIT")
        return claimed


def floor(folder: Path, chains: int, batch: int) -> float:
    """Seconds that the bare loop takes for `chains` chains."""
    queue = Floor(folder / "floor.db")
    queue.submit(chains)
    begun = time.perf_counter()
    settled: list[tuple[int, str, str, int]] = []
    done = 0
    while claimed := queue.step(settled, batch):
        settled = [(number, token, name, payload + 1) for number, token, name, payload in claimed]
        done += sum(name == "c" for _, _, name, _ in claimed)
    assert done == chains
    return time.perf_counter() - begun


def _finished(lease: Lease, forward: bool) -> Finished:
    job = lease.job
    result = job.payload + 1
    if not forward:
        return Finished(lease, (), result)
    queue = NEXT[lease.queue]
    return Finished(lease, (Forward(queue, Job(f"{job.id}.{queue}", queue, result, job.run, job.id)),), result)


def _submitted(folder: Path, chains: int) -> SqliteQueues:
    queues = SqliteQueues(folder / "queues.db")
    run = secrets.token_hex(8)
    queues.send("a", [Job(f"{run}.{number}", "a", number, run) for number in range(chains)])
    return queues


def fused(folder: Path, chains: int, batch: int) -> float:
    """Seconds with `exchange`: settle, forward and claim the next jobs of all queues in one transaction."""
    with _submitted(folder, chains) as queues:
        wanted = [Wanted(queue, batch, LEASE) for queue in "cba"]
        begun = time.perf_counter()
        leases = queues.exchange((), wanted)[1]
        done = 0
        while leases:
            done += sum(lease.queue == "c" for lease in leases)
            leases = queues.exchange([_finished(lease, lease.queue in NEXT) for lease in leases], wanted)[1]
        assert done == chains
        return time.perf_counter() - begun


def plain(folder: Path, chains: int, batch: int) -> float:
    """Seconds with the port's `receive` and `finish` alone, one transaction each."""
    with _submitted(folder, chains) as queues:
        begun = time.perf_counter()
        done = 0
        while done < chains:
            for queue in "cba":
                for lease in queues.receive(queue, batch, lease=LEASE):
                    finished = _finished(lease, queue in NEXT)
                    queues.finish(lease, finished.forwards, finished.result)
                    done += queue == "c"
        return time.perf_counter() - begun


def submit_durably(folder: Path, jobs: int) -> float:
    """Seconds for `jobs` submissions of one job each, every one synced to the disk."""
    with SqliteQueues(folder / "queues.db") as queues:
        begun = time.perf_counter()
        for number in range(jobs):
            queues.send("a", [Job(f"{number}", "a", number, "run")])
        return time.perf_counter() - begun


_LISTENER = """
import json, sys, time
from pathlib import Path
from factory_cdk.queues.sqlite import SqliteQueues
with SqliteQueues(Path(sys.argv[1])) as queues:
    print("ready", flush=True)
    for _ in range(int(sys.argv[2])):
        leases = []
        while not leases:
            leases = queues.receive("bell", 1, lease=60, wait=10)
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        queues.finish(leases[0], (), None)
        print(json.dumps(now - leases[0].job.payload), flush=True)
"""


def wake_latencies(folder: Path, rings: int) -> list[float]:
    """Seconds from just before a durable send here to the job being in the hands of an idle other process."""
    path = folder / "queues.db"
    with SqliteQueues(path) as queues:
        command = [sys.executable, "-c", _LISTENER, str(path), str(rings)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            listener.stdout.readline()
            latencies = []
            for number in range(rings):
                time.sleep(0.005)  # let the other side go idle
                job = Job(f"{number}", "bell", time.clock_gettime(time.CLOCK_MONOTONIC), "run")
                queues.send("bell", [job])
                latencies.append(float(listener.stdout.readline()))
    return sorted(latencies)


def in_a_folder(measure: Callable[[Path, int, int], float], chains: int, batch: int, where: str | None) -> float:
    """Chains per second of one round in a fresh folder."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        return chains / measure(Path(folder), chains, batch)


def main() -> None:
    """Run everything once and print a table, or write JSON beside it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chains", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rings", type=int, default=300)
    parser.add_argument("--folder", help="where the databases go (a real disk; default: the system's)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    contestants = {"floor": floor, "engine, fused": fused, "engine, receive + finish": plain}
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for batch in (1, 10):
            for name, measure in contestants.items():
                rate = in_a_folder(measure, options.chains, batch, options.folder)
                rates.setdefault((name, batch), []).append(rate)
    medians = {key: statistics.median(found) for key, found in rates.items()}
    rows = [
        {
            "contestant": name,
            "batch": batch,
            "chains_per_second": round(rate, 1),
            "of_floor": round(rate / medians["floor", batch], 2),
        }
        for (name, batch), rate in medians.items()
    ]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        submits = round(500 / submit_durably(Path(folder), 500), 1)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        latencies = wake_latencies(Path(folder), options.rings)
    last = len(latencies) - 1
    wake = {
        name: round(1000 * latencies[int(at * last)], 3) for name, at in {"p50": 0.5, "p99": 0.99, "max": 1}.items()
    }
    print(f"{'contestant':28}{'batch':>6}{'chains/s':>10}{'of floor':>10}")
    for row in rows:
        print(f"{row['contestant']:28}{row['batch']:6}{row['chains_per_second']:10.1f}{row['of_floor']:10.2f}")
    print(f"durable submits of one job: {submits}/s")
    print(f"idle wake across processes: p50 {wake['p50']} ms, p99 {wake['p99']} ms, max {wake['max']} ms")
    report = {"chains": rows, "durable_submits_per_second": submits, "wake_ms": wake}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
