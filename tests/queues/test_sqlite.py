"""The embedded engine keeps the contract of all engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Engine, QueueContract

from factory_cdk.queues.port import Queues
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
