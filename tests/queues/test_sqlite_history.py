"""The history of the embedded engine: outcomes to follow, jobs to look at, cancel, retry and purge."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from queue_calls import claim, extend, fail, finish, release, run_jobs

from factory_cdk.queues.port import Failure, Forward, Job, Outcome
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


def test_a_record_says_everything_about_a_job(queues: SqliteQueues, clock: Clock) -> None:
    queues.send("q", [job("one", {"x": 1})])
    clock.now = 1010
    (lease,) = claim(queues, "q", 1, lease=60)
    failure = Failure("ValueError", "no", "Traceback", 1)
    fail(queues, lease, failure, delay=5)
    clock.now = 1020
    (lease,) = claim(queues, "q", 1, lease=60)
    clock.now = 1023
    finish(queues, lease, [], [1, 2])
    record = queues.history.job("one")
    assert record is not None
    assert (record.job.payload, record.result, record.queue) == ({"x": 1}, [1, 2], "q")
    assert (record.state, record.outcome, record.attempts) == ("success", Outcome.SUCCESS, 2)
    assert record.failures == (failure,)
    assert (record.enqueued, record.first_started, record.started, record.finished) == (1000, 1010, 1020, 1023)
    assert queues.history.job("two") is None


def test_the_state_of_a_live_job_is_told(queues: SqliteQueues, clock: Clock) -> None:
    queues.send("q", [job("leased"), job("ready")])
    queues.send("q", [job("delayed")], delay=5)
    claim(queues, "q", 1, lease=10)
    states = {record.job.id: (record.state, record.attempts) for record in run_jobs(queues, "run")}
    assert states == {"leased": ("leased", 1), "ready": ("ready", 0), "delayed": ("delayed", 0)}
    clock.now += 20
    assert {record.state for record in run_jobs(queues, "run")} == {"ready"}


def test_a_watcher_sees_every_outcome_once_and_only_those_of_its_run(queues: SqliteQueues) -> None:
    queues.send("q", [job("a"), job("b"), job("other", run="other"), job("c")])
    cursor, seen = 0, []
    while queues.history.remaining("run"):
        (lease,) = claim(queues, "q", 1, lease=60)
        finish(queues, lease, [Forward("end", job(f"{lease.job.id}.end"))] if lease.job.id == "a" else [])
        finish_all(queues, "end")
        news = queues.history.outcomes("run", after=cursor)
        seen += [record.job.id for record in news]
        cursor = news[-1].cursor if news and news[-1].cursor else cursor
    assert seen == ["a", "a.end", "b", "c"]
    assert queues.history.outcomes("run", after=cursor) == []
    assert [record.job.id for record in queues.history.outcomes("run", n=2)] == ["a", "a.end"]


def test_a_retried_job_is_seen_again_by_its_watcher_with_all_its_attempts(queues: SqliteQueues) -> None:
    queues.send("q", [job("one")])
    for attempt in (1, 2):
        (lease,) = claim(queues, "q", 1, lease=60)
        fail(queues, lease, Failure("Error", str(attempt), "", attempt), delay=0 if attempt == 1 else None)
    (dead,) = queues.history.outcomes("run")
    assert (dead.outcome, dead.attempts) == (Outcome.DEAD, 2)
    assert queues.history.retry(["one"]) == [True]
    assert queues.history.retry(["one"]) == [False]
    assert queues.history.dead_letters("q", 10) == []
    (lease,) = claim(queues, "q", 1, lease=60)
    assert lease.job.attempt == 1
    finish(queues, lease, [])
    (done,) = queues.history.outcomes("run", after=dead.cursor or 0)
    assert (done.outcome, done.attempts, [failure.message for failure in done.failures]) == ("success", 3, ["1", "2"])


def test_a_cancelled_job_is_final_and_whoever_has_it_in_hand_loses_it(queues: SqliteQueues) -> None:
    queues.send("q", [job("held"), job("waiting"), job("untouched")])
    (lease,) = claim(queues, "q", 1, lease=60)
    assert queues.history.cancel(["held", "waiting", "unknown"]) == [True, True, False]
    assert queues.history.cancel(["held"]) == [False]
    assert extend(queues, [lease], 60) == []
    assert not finish(queues, lease, [])
    assert [record.outcome for record in queues.history.outcomes("run")] == [Outcome.CANCELLED] * 2
    assert queues.history.cancel_queue("q") == 1
    assert queues.history.remaining("run") == 0


def test_depths_of_all_queues_come_at_once(queues: SqliteQueues) -> None:
    queues.send("a", [job("1"), job("2")])
    queues.send("b", [job("3")])
    queues.send("done", [job("4")])
    finish_all(queues, "done")
    assert {name: depth.ready for name, depth in queues.history.depths().items()} == {"a": 2, "b": 1}
    assert queues.history.depths(["none"])["none"].ready == 0


def test_a_purge_forgets_old_final_jobs_but_no_dead_letter_and_no_live_one(queues: SqliteQueues, clock: Clock) -> None:
    queues.send("q", [job("old"), job("dead"), job("live")])
    old, dead = claim(queues, "q", 2, lease=60)
    finish(queues, old, [])
    fail(queues, dead, Failure("Error", "", "", 1), delay=None)
    clock.now = 2000
    queues.send("q2", [job("new")])
    finish_all(queues, "q2")
    assert queues.history.purge(0) == 1
    assert [record.job.id for record in run_jobs(queues, "run")] == ["dead", "live", "new"]
    assert queues.history.purge(0) == 0


def test_a_job_that_is_old_by_a_clock_that_was_behind_is_kept(queues: SqliteQueues, clock: Clock) -> None:
    for name, now in (("young", 2000), ("stepped back", 500), ("younger", 2001)):
        clock.now = now
        queues.send("q", [job(name)])
        finish_all(queues, "q")
    assert queues.history.purge(1001) == 0
    assert queues.history.purge(0) == 2


def test_a_purge_takes_no_more_than_it_was_asked_to(queues: SqliteQueues, clock: Clock) -> None:
    queues.send("q", [job(str(number)) for number in range(10)])
    finish_all(queues, "q")
    clock.now = 2000
    assert [queues.history.purge(0, n=4) for _ in range(4)] == [4, 4, 2, 0]


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
