"""The history that every engine keeps: outcomes to follow, jobs to find, count, cancel, retry and purge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_calls import claim, extend, fail, finish, run_jobs
from sqs_stage import made, unique

from factory_cdk.queues.client import Search, Spread, spread
from factory_cdk.queues.memory import MemoryQueues, Store
from factory_cdk.queues.opening import Queues
from factory_cdk.queues.port import Failure, Forward, Job, Outcome
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.queues.sqs.engine import SqsQueues


class Clock:
    """A clock to set. `put_forward` is told how many seconds it was put forward."""

    def __init__(self) -> None:
        self._now = 1000.0
        self.put_forward: Callable[[float], object] = lambda _: None

    @property
    def now(self) -> float:
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self.put_forward(max(0.0, now - self._now))
        self._now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


QUEUES = [
    "q",
    "q2",
    "a",
    "b",
    "done",
    "end",
    "none",
    "back",
    "success",
    "dead",
    "cancelled",
    "leased",
    "ready",
    "delayed",
]


@pytest.fixture(params=["sqlite", "memory", "sqs"])
def queues(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Queues]:
    match request.param:
        case "sqlite":
            opened: Queues = SqliteQueues(tmp_path / "queues.db", clock=clock)
        case "memory":
            opened = MemoryQueues(Store(clock))
        case "sqs":
            aws = request.getfixturevalue("aws")
            for name, value in aws.environment.items():
                monkeypatch.setenv(name, value)
            clock.put_forward = aws.put_forward
            opened = SqsQueues(made(aws, unique("works"), QUEUES).location, clock=clock)
    with opened as queues:
        yield queues


@pytest.fixture
def purging(queues: Queues) -> Queues:
    """Queues of engines that do not forget by themselves."""
    if queues.capabilities.expires:
        pytest.skip("these queues forget by themselves")
    return queues


def job(name: str, payload: object = None, run: str = "run") -> Job:
    return Job(name, "bot", payload, run)


def finish_all(queues: Queues, queue: str, result: object = None) -> None:
    for lease in claim(queues, queue, 100, lease=60):
        assert finish(queues, lease, [], result)


def test_a_record_says_everything_about_a_job(queues: Queues, clock: Clock) -> None:
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


def test_the_state_of_a_live_job_is_told(queues: Queues, clock: Clock) -> None:
    queues.send("q", [job("leased"), job("ready")])
    queues.send("q", [job("delayed")], delay=5)
    claim(queues, "q", 1, lease=10)
    states = {record.job.id: (record.state, record.attempts) for record in run_jobs(queues, "run")}
    assert states == {"leased": ("leased", 1), "ready": ("ready", 0), "delayed": ("delayed", 0)}
    clock.now += 20
    assert {record.state for record in run_jobs(queues, "run")} == {"ready"}


def test_a_watcher_sees_every_outcome_once_and_only_those_of_its_run(queues: Queues) -> None:
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


def test_a_retried_job_is_seen_again_by_its_watcher_with_all_its_attempts(queues: Queues) -> None:
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


def test_a_cancelled_job_is_final_and_whoever_has_it_in_hand_loses_it(queues: Queues) -> None:
    queues.send("q", [job("held"), job("waiting"), job("untouched")])
    (lease,) = claim(queues, "q", 1, lease=60)
    assert queues.history.cancel(["held", "waiting", "unknown"]) == [True, True, False]
    assert queues.history.cancel(["held"]) == [False]
    assert extend(queues, [lease], 60) == []
    assert not finish(queues, lease, [])
    assert [record.outcome for record in queues.history.outcomes("run")] == [Outcome.CANCELLED] * 2
    assert queues.history.cancel_queue("q") == 1
    assert queues.history.remaining("run") == 0


def test_jobs_in_hand_and_the_last_failures_are_told(queues: Queues, clock: Clock) -> None:
    queues.send("q", [job("dead"), job("again"), job("later")])
    first, second, _ = claim(queues, "q", 3, lease=60)
    fail(queues, first, Failure("ValueError", "first", "", 1), delay=None)
    fail(queues, second, Failure("KeyError", "second", "", 1), delay=0)
    clock.now += 1
    claim(queues, "q", 1, lease=60)
    assert [record.job.id for record in queues.history.in_hand()] == ["later", "again"]
    newest, oldest = queues.history.last_failures(5)
    assert (newest.job, newest.bot, newest.dead, newest.failure.message) == ("again", "bot", False, "second")
    assert (oldest.job, oldest.dead) == ("dead", True)
    assert queues.history.last_failures(1) == [newest]


def test_depths_of_all_queues_come_at_once(queues: Queues) -> None:
    queues.send("a", [job("1"), job("2")])
    queues.send("b", [job("3")])
    queues.send("done", [job("4")])
    finish_all(queues, "done")
    assert {name: depth.ready for name, depth in queues.history.depths().items()} == {"a": 2, "b": 1}
    assert queues.history.depths(["none"])["none"].ready == 0


def test_a_purge_forgets_old_final_jobs_but_no_dead_letter_and_no_live_one(purging: Queues, clock: Clock) -> None:
    purging.send("q", [job("old"), job("dead"), job("live")])
    old, dead = claim(purging, "q", 2, lease=60)
    finish(purging, old, [])
    fail(purging, dead, Failure("Error", "", "", 1), delay=None)
    clock.now = 2000
    purging.send("q2", [job("new")])
    finish_all(purging, "q2")
    assert purging.history.purge(0) == 1
    assert [record.job.id for record in run_jobs(purging, "run")] == ["dead", "live", "new"]
    assert purging.history.purge(0) == 0


def test_a_job_that_is_old_by_a_clock_that_was_behind_is_kept(purging: Queues, clock: Clock) -> None:
    for name, now in (("young", 2000), ("stepped back", 500), ("younger", 2001)):
        clock.now = now
        purging.send("q", [job(name)])
        finish_all(purging, "q")
    assert purging.history.purge(1001) == 0
    assert purging.history.purge(0) == 2


def test_a_purge_takes_no_more_than_it_was_asked_to(purging: Queues, clock: Clock) -> None:
    purging.send("q", [job(str(number)) for number in range(10)])
    finish_all(purging, "q")
    clock.now = 2000
    assert [purging.history.purge(0, n=4) for _ in range(4)] == [4, 4, 2, 0]


@pytest.fixture
def filled(queues: Queues, clock: Clock) -> Queues:
    """Six jobs, one for every state, sent ten seconds apart from 1000 on; the clock stands at 2000."""
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
    return queues


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
def test_jobs_are_found_by_everything_that_is_asked(filled: Queues, search: Search, found: list[str]) -> None:
    assert [record.queue for record in filled.history.find(search)] == found
    assert filled.history.ids(search) == [f"{queue}-1" for queue in reversed(found)]
    assert [record.queue for record in filled.history.find(search, 1)] == found[:1]


def test_jobs_are_counted_and_timed_bot_by_bot(filled: Queues) -> None:
    weld, paint = filled.history.statistics(Search())
    assert (weld.bot, weld.count, weld.success, weld.dead, weld.cancelled, weld.live) == ("weld", 3, 1, 1, 1, 0)
    assert (weld.attempts, weld.failures) == (2, 1)
    assert weld.waiting == Spread(97.0, 100.0, 100.0)
    assert weld.processing == Spread(7.0, 7.0, 7.0)
    assert (paint.count, paint.live, paint.attempts, paint.processing) == (3, 3, 1, None)
    assert [one.count for one in filled.history.statistics(Search(states=("dead",)))] == [1]
    assert filled.history.statistics(Search(bot="nobody")) == []


def test_a_clock_that_was_put_back_gives_no_negative_times(filled: Queues, clock: Clock) -> None:
    clock.now = 3000.0
    filled.send("back", [Job("back-1", "back", None, "run-c")])
    clock.now = 2500.0
    finish(filled, claim(filled, "back", 1, lease=60)[0], [])
    (back,) = filled.history.statistics(Search(bot="back"))
    assert back.waiting == Spread(0.0, 0.0, 0.0)


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_a_spread_is_made_of_values_that_at_least_so_many_do_not_exceed(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert {found.p50, found.p95, found.max} <= set(values)
    assert sum(value <= found.p50 for value in values) >= 0.5 * len(values)
    assert sum(value <= found.p95 for value in values) >= 0.95 * len(values)
    assert found.p50 <= found.p95 <= found.max == max(values)
