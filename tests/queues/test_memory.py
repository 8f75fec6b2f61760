"""The engine in memory keeps the contract of all engines."""

from __future__ import annotations

import pytest
from contract import Engine, QueueContract

from factory_cdk.queues.memory import MemoryQueues, Store
from factory_cdk.queues.opening import MemoryLocation, open_queues
from factory_cdk.queues.port import Job


@pytest.fixture
def engine() -> Engine:
    now = 1000.0

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds

    store = Store(lambda: now)
    return Engine(lambda: MemoryQueues(store), advance)


class TestMemory(QueueContract):
    pass


def test_a_location_has_queues_of_its_own() -> None:
    ours, theirs = MemoryLocation(), MemoryLocation()
    with open_queues(ours) as queues:
        queues.send("q", [Job("one", "bot", 1, "run")])
    with open_queues(ours) as queues, open_queues(theirs) as others:
        assert queues.history.depths()["q"].ready == 1
        assert others.history.depths() == {}
