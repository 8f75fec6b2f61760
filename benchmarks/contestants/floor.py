"""The floors: the least that could be called a durable queue, as a plain loop and with worker processes.

The plain loop adds one itself, between two transactions: no process boundary, no history, no duplicates recognised,
no other writers, no logs. With worker processes the same loop hands jobs over sockets as JSON lines and settles what
came back since its last turn: what a runner has to do at the very least before it keeps any promise.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

NEXT = {"a": "b", "b": "c"}
LEASE = 60.0

Row = tuple[int, str, str, int]
"""A job in hand: its number, its token, its queue, its payload (or, when it is done, its result)."""


class Floor:
    """One table, leases, one transaction per step."""

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

    def step(self, settled: Sequence[Row], wanted: Mapping[str, int]) -> list[Row]:
        """Delete what is done, send it on, and claim so many jobs of each queue that is wanted."""
        self.run("BEGIN IMMEDIATE")
        for number, token, queue, result in settled:
            gone = self.run("DELETE FROM jobs WHERE id = ? AND token = ?", (number, token)).rowcount
            if gone and queue in NEXT:
                self.run("INSERT INTO jobs (queue, due, payload) VALUES (?, 0, ?)", (NEXT[queue], json.dumps(result)))
        claimed = []
        now = time.time()
        for queue, n in wanted.items():
            ready = "SELECT id, payload FROM jobs WHERE queue = ? AND due <= ? ORDER BY due, id LIMIT ?"
            for number, payload in self.run(ready, (queue, now, n)).fetchall():
                token = secrets.token_hex(8)
                self.run("UPDATE jobs SET due = ?, token = ? WHERE id = ?", (now + LEASE, token, number))
                claimed.append((number, token, queue, json.loads(payload)))
        self.run("COMMIT")
        return claimed


def plain(folder: Path, chains: int, batch: int) -> float:
    """Seconds of the plain loop, which claims `batch` jobs of every queue in each transaction, the last bot's first."""
    queue = Floor(folder / "floor.db")
    queue.submit(chains)
    begun = time.perf_counter()
    settled: list[Row] = []
    done = 0
    while claimed := queue.step(settled, dict.fromkeys("cba", batch)):
        settled = [(number, token, name, payload + 1) for number, token, name, payload in claimed]
        done += sum(name == "c" for _, _, name, _ in claimed)
    assert done == chains
    return time.perf_counter() - begun


WORKER = """
import json, sys
for line in sys.stdin:
    print(json.dumps([payload + 1 for payload in json.loads(line)]), flush=True)
"""


class Worker:
    """A process that adds one to the payloads of a line, and the jobs that it has in hand."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.socket, theirs = socket.socketpair()
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=theirs, stdout=theirs)
        theirs.close()
        self.answers = self.socket.makefile("rb")
        self.hand: list[Row] = []
        self.do([])
        self.done()

    def do(self, jobs: list[Row]) -> None:
        """Hand jobs over."""
        self.hand = jobs
        self.socket.sendall(json.dumps([payload for *_, payload in jobs]).encode() + b"\n")

    def done(self) -> list[Row]:
        """The jobs that it had in hand, with their results."""
        results = json.loads(self.answers.readline())
        done = [
            (number, token, name, result) for (number, token, name, _), result in zip(self.hand, results, strict=True)
        ]
        self.hand = []
        return done

    def end(self) -> None:
        """Let it go."""
        self.answers.close()
        self.socket.close()
        self.process.wait()


def with_processes(folder: Path, chains: int, workers: int, batch: int) -> float:
    """Seconds of the loop with `workers` processes for each bot, each handed up to `batch` jobs at once."""
    queue = Floor(folder / "floor.db")
    queue.submit(chains)
    pool = [Worker(name) for name in "cba" for _ in range(workers)]
    by_descriptor = {worker.socket.fileno(): worker for worker in pool}
    poll = select.poll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    begun = time.perf_counter()
    settled: list[Row] = []
    done = 0
    while done < chains:
        idle = [worker for worker in pool if not worker.hand]
        wanted: dict[str, int] = {}
        for worker in idle:
            wanted[worker.queue] = wanted.get(worker.queue, 0) + batch
        claimed = queue.step(settled, wanted)
        for worker in idle:
            mine = [row for row in claimed if row[2] == worker.queue][:batch]
            if mine:
                claimed = [row for row in claimed if row not in mine]
                worker.do(mine)
        settled = [row for descriptor, _ in poll.poll() for row in by_descriptor[descriptor].done()]
        done += sum(name == "c" for _, _, name, _ in settled)
    queue.step(settled, {})
    seconds = time.perf_counter() - begun
    for worker in pool:
        worker.end()
    return seconds
