"""The embedded engine keeps the contract of all engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Engine, QueueContract

from factory_cdk.queues.port import Finished, Forward, Job, JobRecord, Queues, Wanted
from factory_cdk.queues.sqlite.engine import SqliteQueues


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "a folder — ünïcode" / "queues.db"
    begun = time.time()
    passed = 0.0

    def advance(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    def open_queues() -> Queues:
        return SqliteQueues(path, clock=lambda: begun + passed)

    yield Engine(open_queues, advance, "factory_cdk.queues.sqlite.engine:SqliteQueues", [str(path)])


class TestSqlite(QueueContract):
    pass


def test_what_a_dead_holder_had_in_hand_is_reclaimed_at_once_its_attempt_failed(tmp_path: Path) -> None:
    with SqliteQueues(tmp_path / "queues.db") as queues:
        queues.send("q", [Job("held", "bot", 1, "run"), Job("next", "bot", 2, "run")])
        queues.send("other", [Job("elsewhere", "bot", 3, "run")])
        queues.send("q", [Job("later", "bot", 4, "run")], delay=3600)
        (lease,) = queues.receive("q", 1, lease=3600)
        queues.receive("other", 1, lease=3600)
        assert queues.reclaim() == 2
        assert queues.reclaim() == 0
        assert not queues.finish(lease, []), "whoever had it in hand has lost it"
        again = [*queues.receive("q", 9, lease=60), *queues.receive("other", 9, lease=60)]
        assert [(one.job.id, one.job.attempt) for one in again] == [("held", 2), ("next", 1), ("elsewhere", 2)]
        record = queues.history.job("held")
        assert record is not None
        assert [(failure.type, failure.attempt) for failure in record.failures] == [("RunnerDied", 1)]
        assert queues.depth("q").delayed == 1


def test_a_job_that_is_leased_as_it_is_sent_on_is_as_one_that_was_claimed_after_it(tmp_path: Path) -> None:
    def left(name: str, *, at_once: bool) -> tuple[list[JobRecord], list[JobRecord]]:
        """What a database says of a child that is leased, and again when its lease has ended."""
        now = 1000.0
        with SqliteQueues(tmp_path / name, clock=lambda: now) as queues:
            queues.send("a", [Job("parent", "bot", 0, "run", tags={"colour": "red"})])
            (parent,) = queues.receive("a", 1, lease=60)
            children = [Job(f"child-{size}", "bot", "x" * size, "run", "parent", 1, {"a": "b"}) for size in (1, 5000)]
            done = Finished(parent, [Forward("b", child) for child in children], "result")
            wanted = [Wanted("b", 2, 60)]
            if at_once:
                leases = queues.exchange([done], wanted)[1]
            else:
                queues.exchange([done], [])
                leases = queues.exchange([], wanted)[1]
            assert [(lease.job, lease.queue, lease.deadline) for lease in leases] == [
                (child, "b", 1060.0) for child in children
            ]
            assert queues.next_due(["b"]) == 1060.0
            in_hand = queues.history.run_jobs("run")
            now += 61
            again = queues.receive("b", 2, lease=60)
            assert [lease.job.attempt for lease in again] == [2, 2]
            assert not queues.finish(leases[0], []), "whoever had it in hand has lost it"
            assert queues.finish(again[0], [])
            return in_hand, queues.history.run_jobs("run")

    assert left("one", at_once=True) == left("two", at_once=False)
