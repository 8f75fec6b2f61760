"""celery on redis: a chain of three tasks, run by a prefork worker that acknowledges late, as ours do.

The worker imports this module: BENCHMARK_SOCKET says where redis listens, BENCHMARK_PREFETCH how many
tasks each process is given at once. redis syncs every write while the chains
are submitted (appendfsync always) and once a second while they are worked on (everysec): as our engine, which syncs
what it is given and not each step of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import celery
import redis

SOCKET = os.environ["BENCHMARK_SOCKET"]

app = celery.Celery("benchmark", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=int(os.environ["BENCHMARK_PREFETCH"]),
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task
def a(number: int) -> int:
    """Add one."""
    return number + 1


@app.task
def b(number: int) -> int:
    """Add one."""
    return number + 1


@app.task
def c(number: int) -> int:
    """Add one."""
    return number + 1


@contextmanager
def _redis(folder: Path) -> Iterator[redis.Redis]:
    """A redis of our own, which listens on a socket in `folder` alone."""
    options = ["--port", "0", "--unixsocket", SOCKET, "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    server = subprocess.Popen(["redis-server", *options, "--appendfsync", "always"], stdout=subprocess.DEVNULL)
    try:
        while not Path(SOCKET).exists():
            assert server.poll() is None, "redis-server did not start"
            time.sleep(0.01)
        yield redis.Redis(unix_socket_path=SOCKET)
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _worker(folder: Path, workers: int) -> Iterator[None]:
    """A worker that is ready and takes no tasks yet."""
    options = ["-c", str(workers), "-l", "WARNING", "--without-gossip", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "-A", "contestants.celery_chain", "worker", *options]
    said = folder / "celery.log"
    with said.open("wb") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not app.control.ping(timeout=0.2):
            assert worker.poll() is None, said.read_text()
        app.control.cancel_consumer("celery", reply=True)
        yield
    finally:
        worker.terminate()
        worker.wait()


def main() -> None:
    """Submit, let the worker run, print the seconds."""
    chains, workers, folder = int(sys.argv[1]), int(sys.argv[2]), Path(SOCKET).parent
    with _redis(folder) as server, _worker(folder, workers):
        chain = celery.chain(a.s(0), b.s(), c.s())
        results = [f"celery-task-meta-{chain.apply_async().id}" for _ in range(chains)]
        server.config_set("appendfsync", "everysec")
        begun = time.perf_counter()
        app.control.add_consumer("celery", reply=True)
        while server.exists(*results) < chains:
            time.sleep(0.01)
        print(time.perf_counter() - begun)
