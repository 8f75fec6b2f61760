"""The history of the embedded engine: outcomes to follow, jobs to look at, cancel, retry and purge."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from queue_calls import claim, finish, release

from factory_cdk.queues.port import Forward, Job
from factory_cdk.queues.sqlite.bodies import FILE_BYTES
from factory_cdk.queues.sqlite.engine import SqliteQueues

LARGE = "x" * (FILE_BYTES + 1)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queues(tmp_path: Path, clock: Clock) -> Iterator[SqliteQueues]:
    with SqliteQueues(tmp_path / "queues.db", clock=clock) as queues:
        yield queues


def job(name: str, payload: object = None, run: str = "run") -> Job:
    return Job(name, "bot", payload, run)


def large_files(tmp_path: Path) -> int:
    return len([path for path in (tmp_path / "queues.db.bodies").rglob("*") if path.is_file()])


def finish_all(queues: SqliteQueues, queue: str, result: object = None) -> None:
    for lease in claim(queues, queue, 100, lease=60):
        assert finish(queues, lease, [], result)


def test_numbers_of_purged_jobs_are_never_used_again(queues: SqliteQueues, clock: Clock) -> None:
    queues.send("q", [job("one")])
    (stale,) = claim(queues, "q", 1, lease=60)
    finish(queues, stale, [])
    clock.now = 2000
    assert queues.history.purge(0) == 1
    queues.send("q", [job("one")])
    (lease,) = claim(queues, "q", 1, lease=60)
    assert lease.token.partition(".")[0] != stale.token.partition(".")[0]


def test_a_large_payload_is_kept_once_and_removed_with_the_last_job_that_uses_it(
    queues: SqliteQueues, tmp_path: Path, clock: Clock
) -> None:
    queues.send("q", [job("one", LARGE), job("two", LARGE)])
    queues.send("q", [job("one", LARGE)])  # known: nothing is kept for it
    assert large_files(tmp_path) == 1
    first, second = claim(queues, "q", 2, lease=60)
    result = LARGE + "y"
    finish(queues, first, [Forward("left", job("l", result)), Forward("right", job("r", result))], result)
    assert large_files(tmp_path) == 2
    finish_all(queues, "left")
    clock.now = 1500
    assert queues.history.purge(0) == 2  # one, l
    assert large_files(tmp_path) == 2  # two and r need them still
    finish_all(queues, "right")
    finish(queues, second, [])
    clock.now = 9000
    assert queues.history.purge(0) == 2
    assert large_files(tmp_path) == 0


def test_what_was_refused_leaves_no_file_behind(queues: SqliteQueues, tmp_path: Path) -> None:
    queues.send("q", [job("one")])
    (lease,) = claim(queues, "q", 1, lease=60)
    release(queues, lease)
    assert not finish(queues, lease, [Forward("next", job("child", LARGE))], LARGE)
    assert large_files(tmp_path) == 0


def test_a_sweep_removes_what_killed_processes_left_behind_and_nothing_else(
    queues: SqliteQueues, tmp_path: Path, clock: Clock
) -> None:
    clock.now = time.time()
    queues.send("q", [job("one", LARGE)])
    folder = tmp_path / "queues.db.bodies"
    for name in (".staging-old", "ab/abcdef"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("left behind")
    (folder / ".staging-new").write_text("being written")
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".staging-new":
            os.utime(path, (1, 1))
    assert queues.history.sweep() == 2
    assert large_files(tmp_path) == 2
    clock.now -= 7200  # the other one was set ahead: files that are being written are not old
    (folder / ".staging-old").write_text("being written")
    os.utime(folder / ".staging-old", (clock.now, clock.now))
    assert queues.history.sweep() == 0
    assert claim(queues, "q", 1, lease=60)[0].job.payload == LARGE
