"""Jobs found by what they are, and counted bot by bot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_calls import claim, fail, finish

from factory_cdk.queues.client import Search, Spread, spread
from factory_cdk.queues.port import Failure, Job
from factory_cdk.queues.sqlite.engine import SqliteQueues


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
    """Six jobs, one for every state, sent ten seconds apart from 1000 on; the clock stands at 2000."""
    with SqliteQueues(tmp_path / "queues.db", clock=clock) as queues:
        for number, state in enumerate(("success", "dead", "cancelled", "leased", "ready")):
            clock.now = 1000.0 + 10 * number
            tags = {"state": state, "odd": "yes" if number % 2 else "no", 'we"ird': "%_'"}
            queues.send(state, [Job(f"{state}-1", "weld" if number < 3 else "paint", number, "run-a", tags=tags)])
        clock.now = 1050.0
        queues.send("delayed", [Job("delayed-1", "paint", None, "run-b", parent="success-1")], delay=5000)
        clock.now = 1100.0
        for queue in ("success", "dead", "leased"):
            (lease,) = claim(queues, queue, 1, lease=5000)
            clock.now += 7
            if queue == "success":
                finish(queues, lease, [], "made")
            elif queue == "dead":
                fail(queues, lease, Failure("ValueError", "no", "trace", 1), delay=None)
        queues.history.cancel(["cancelled-1"])
        clock.now = 2000.0
        yield queues


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), ["delayed", "ready", "leased", "cancelled", "dead", "success"]),
        (Search(bot="weld"), ["cancelled", "dead", "success"]),
        (Search(states=("ready",)), ["ready"]),
        (Search(states=("delayed",)), ["delayed"]),
        (Search(states=("leased",)), ["leased"]),
        (Search(states=("dead", "success")), ["dead", "success"]),
        (Search(tags={"odd": "yes"}), ["leased", "dead"]),
        (Search(tags={"odd": "yes", "state": "dead"}), ["dead"]),
        (Search(tags={'we"ird': "%_'", "state": "ready"}), ["ready"]),
        (Search(tags={"odd": "%"}), []),
        (Search(run="run-b"), ["delayed"]),
        (Search(parent="success-1"), ["delayed"]),
        (Search(id="d"), ["delayed", "dead"]),
        (Search(id="%"), []),
        (Search(since=1040.0), ["delayed", "ready"]),
        (Search(until=1010.0), ["success"]),
        (Search(bot="weld", since=1010.0, until=1020.0, states=("dead",), run="run-a"), ["dead"]),
        (Search(bot="' OR 1 --"), []),
    ],
)
def test_jobs_are_found_by_everything_that_is_asked(queues: SqliteQueues, search: Search, found: list[str]) -> None:
    assert [record.queue for record in queues.history.find(search)] == found
    assert queues.history.ids(search) == [f"{queue}-1" for queue in reversed(found)]
    assert [record.queue for record in queues.history.find(search, 1)] == found[:1]


def test_jobs_are_counted_and_timed_bot_by_bot(queues: SqliteQueues) -> None:
    weld, paint = queues.history.statistics(Search())
    assert (weld.bot, weld.count, weld.success, weld.dead, weld.cancelled, weld.live) == ("weld", 3, 1, 1, 1, 0)
    assert (weld.attempts, weld.failures) == (2, 1)
    assert weld.waiting == Spread(97.0, 100.0, 100.0)
    assert weld.processing == Spread(7.0, 7.0, 7.0)
    assert (paint.count, paint.live, paint.attempts, paint.processing) == (3, 3, 1, None)
    assert [one.count for one in queues.history.statistics(Search(states=("dead",)))] == [1]
    assert queues.history.statistics(Search(bot="nobody")) == []


def test_a_clock_that_was_put_back_gives_no_negative_times(queues: SqliteQueues, clock: Clock) -> None:
    clock.now = 3000.0
    queues.send("back", [Job("back-1", "back", None, "run-c")])
    clock.now = 2500.0
    finish(queues, claim(queues, "back", 1, lease=60)[0], [])
    (back,) = queues.history.statistics(Search(bot="back"))
    assert back.waiting == Spread(0.0, 0.0, 0.0)


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_a_spread_is_made_of_values_that_at_least_so_many_do_not_exceed(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert {found.p50, found.p95, found.max} <= set(values)
    assert sum(value <= found.p50 for value in values) >= 0.5 * len(values)
    assert sum(value <= found.p95 for value in values) >= 0.95 * len(values)
    assert found.p50 <= found.p95 <= found.max == max(values)
