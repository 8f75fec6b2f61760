"""The embedded engine keeps the contract of all engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Engine, QueueContract

from factory_cdk.queues.port import Job, Queues
from factory_cdk.queues.sqlite import SqliteQueues


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

    yield Engine(open_queues, advance, "factory_cdk.queues.sqlite:SqliteQueues", [str(path)])


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
