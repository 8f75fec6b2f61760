"""A worker's slot: every state and what leads from it to the next, its jobs' times, and what it prefetches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_workers import ERROR, FakeRunner, hand, in_hand, lease

from factory_cdk.runner.pool import WorkerPool, worker_statuses
from factory_cdk.runner.slot import PREFETCH, QUICK, SLOW, KilledFor, State, job_message

TIMEOUT = 10.0


@pytest.fixture
def runner(tmp_path: Path) -> FakeRunner:
    return FakeRunner(tmp_path / "logs")


def reach(runner: FakeRunner, state: str) -> WorkerPool:
    """A pool whose one slot is in `state`; `stopping` and `busy` with the job `a` in hand, which is being done."""
    pool = runner.pool(timeout=TIMEOUT)
    pool.open = True
    if state == "ended":
        return pool
    pool.start()
    if state == "broken":
        for _ in range(runner.timings.loop_deaths):
            runner.process.exit(1)
            runner.clock.advance(pool_delay(runner))
    if state in ("starting", "broken"):
        return pool
    runner.process.ready()
    if state in ("busy", "stopping"):
        hand(pool, "a")
    if state == "stopping":
        runner.process.say(kind="leaving")
    if state == "waiting":
        runner.process.exit(1)
    return pool


def pool_delay(runner: FakeRunner) -> float:
    return runner.clock.pending[0] if runner.clock.pending else 0.0


EVENTS: dict[str, Callable[[FakeRunner, WorkerPool], object]] = {
    "ready": lambda runner, pool: runner.process.ready(),
    "broken": lambda runner, pool: runner.process.say(kind="broken", error=ERROR),
    "done": lambda runner, pool: runner.process.say(kind="done", id="a", result=1),
    "failed": lambda runner, pool: runner.process.say(kind="failed", id="a", error=ERROR),
    "returned": lambda runner, pool: runner.process.say(kind="returned", ids=["a"]),
    "passed": lambda runner, pool: runner.process.say(kind="passed", count=1),
    "status": lambda runner, pool: runner.process.say(kind="status", status="well"),
    "held": lambda runner, pool: runner.process.say(kind="held"),
    "resumed": lambda runner, pool: runner.process.say(kind="resumed"),
    "leaving": lambda runner, pool: runner.process.say(kind="leaving"),
    "nonsense": lambda runner, pool: runner.process.say(kind=["done"]),
    "exit": lambda runner, pool: runner.process.exit(-9),
    "job": lambda runner, pool: hand(pool, "b"),
    "time": lambda runner, pool: runner.clock.advance(TIMEOUT),
    "start": lambda runner, pool: pool.start(),
    "resume": lambda runner, pool: pool.resume(),
    "stop": lambda runner, pool: pool.stop(),
    "kill": lambda runner, pool: pool.kill(),
}
"""What may happen to a slot."""

# For each state: what leads to another one. All else leaves it as it is.
TRANSITIONS = {
    "ended": {"start": "starting", "resume": "starting"},
    "starting": {"ready": "ready", "leaving": "stopping", "exit": "waiting", "stop": "stopping", "kill": "stopping"},
    "ready": {"job": "busy", "leaving": "stopping", "exit": "waiting", "stop": "stopping", "kill": "stopping"},
    "busy": {
        "done": "ready",
        "failed": "ready",
        "returned": "ready",
        "leaving": "stopping",
        "exit": "waiting",
        "stop": "stopping",
        "kill": "stopping",
    },
    "waiting": {"time": "starting", "stop": "ended", "kill": "ended"},
    "stopping": {"exit": "ended"},
    "broken": {"start": "starting", "resume": "starting", "stop": "ended", "kill": "ended"},
}
WITHOUT_PROCESS = ("ended", "waiting", "broken")
SAID = list(EVENTS)[: list(EVENTS).index("job")]
"""The events that need a process."""

CASES = [
    (state, event) for state in TRANSITIONS for event in EVENTS if state not in WITHOUT_PROCESS or event not in SAID
]


@pytest.mark.parametrize(("state", "event"), CASES)
def test_what_happens_leads_from_one_state_to_the_next(runner: FakeRunner, state: str, event: str) -> None:
    pool = reach(runner, state)
    (slot,) = pool.slots
    assert slot.state.value == state
    EVENTS[event](runner, pool)
    assert slot.state.value == TRANSITIONS[state].get(event, state)
    has_process = slot.state in (State.STARTING, State.READY, State.BUSY, State.STOPPING)
    assert (slot.pid is not None, pool.alive) == (has_process, has_process)
    assert len(runner.alive) == len(runner.watched) == has_process
    assert runner.changes > 0 or state == "ended" or event in ("job", "stop", "kill")


REFUSED = [(state, event) for state in ("starting", "ready") for event in ("done", "failed")]


@pytest.mark.parametrize(("state", "event"), REFUSED)
def test_an_answer_for_a_job_that_it_does_not_have_ends_a_process(runner: FakeRunner, state: str, event: str) -> None:
    reach(runner, state)
    EVENTS[event](runner, WorkerPool)  # type: ignore[arg-type]
    assert runner.process.killed
    assert runner.process.refused == f"`{event}` for a job that is not the one that it has to do"
    assert runner.settled == []


def test_an_answer_for_a_job_that_is_not_the_first_in_hand_ends_a_process(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=2)
    hand(pool, "a", "b")
    runner.process.say(kind="done", id="b", result=1)
    assert runner.process.refused
    assert in_hand(pool) == ["a", "b"]
    assert runner.settled == []


def test_a_process_is_told_what_to_be_and_its_secrets_and_is_watched(runner: FakeRunner) -> None:
    pool = runner.pool(processes=2)
    pool.start()
    assert runner.watched == {1000: "mark-1000", 1001: "mark-1001"}
    (start,) = runner.processes[1].sent
    assert start == {
        "kind": "start",
        "bot": "make",
        "mode": "target",
        "words": ("maker:work",),
        "roots": ("/bundle",),
        "bytecode": None,
        "variables": {"TOKEN": "hidden", "FACTORY_WORKER": "2"},
    }
    assert [slot.label for slot in pool.slots] == ["here/make.1", "here/make.2"]


def test_a_job_is_handed_over_whole_and_jobs_taken_together_in_one_frame(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=2)
    hand(pool, "a", "b")
    pool.flush()  # nothing more to send
    assert runner.process.kinds == ["start", "jobs"]
    assert runner.process.sent[1]["jobs"] == [job_message(lease(name).job) for name in ("a", "b")]
    assert runner.process.sent[1]["jobs"][0] == ["a", "make", {"name": "a"}, "run", None, 1, {}]


# Times of jobs


def test_a_job_has_its_time_and_then_its_process_is_killed(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=TIMEOUT)
    hand(pool, "a")
    runner.clock.advance(TIMEOUT - 0.001)
    assert not runner.process.killed
    runner.clock.advance(0.001)
    assert runner.process.killed
    assert pool.slots[0].killed_for is KilledFor.TIMEOUT


def test_the_time_of_a_job_begins_when_the_one_before_it_is_over(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=TIMEOUT, batch=12)
    hand(pool, *"abcdefghijkl")
    for _ in range(12):
        runner.clock.advance(TIMEOUT - 1)  # all together take longer, each takes less
        assert not runner.process.killed
        runner.process.done()
    runner.clock.advance(10 * TIMEOUT)
    assert not runner.process.killed, "it has no job"


def test_jobs_that_are_returned_from_behind_give_the_first_no_more_time(runner: FakeRunner) -> None:
    """A bot may say so, too: it would never be too late."""
    pool = runner.ready_pool(timeout=TIMEOUT, batch=2)
    hand(pool, "a", "b")
    runner.clock.advance(TIMEOUT - 1)
    runner.process.say(kind="returned", ids=["b"])
    runner.process.say(kind="returned", ids=[])
    runner.clock.advance(1)
    assert runner.process.killed


def test_the_time_of_the_next_job_begins_when_the_one_being_done_is_returned(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=TIMEOUT, batch=2)
    hand(pool, "a", "b")
    runner.clock.advance(TIMEOUT - 1)
    runner.process.say(kind="status", status="busy with a")
    runner.process.say(kind="returned", ids=["a"])
    assert pool.slots[0].bot_status is None
    runner.clock.advance(TIMEOUT - 1)
    assert not runner.process.killed
    runner.clock.advance(1)
    assert runner.process.killed


def test_a_job_without_a_timeout_has_all_the_time(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    hand(pool, "a")
    runner.clock.advance(10**6)
    assert not runner.process.killed


def test_a_process_that_ends_takes_the_time_of_its_job_with_it(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=TIMEOUT)
    hand(pool, "a")
    runner.process.exit(1)
    runner.clock.advance(0)
    runner.process.ready()
    runner.clock.advance(2 * TIMEOUT)
    assert [process.killed for process in runner.processes] == [False, False]
    assert pool.slots[0].killed_for is None


def test_a_process_is_killed_for_one_reason(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=TIMEOUT)
    hand(pool, "a")
    runner.clock.advance(TIMEOUT)
    pool.kill()
    assert pool.slots[0].killed_for is KilledFor.TIMEOUT


# Prefetch


def free_after(runner: FakeRunner, pool: WorkerPool, seconds: float, jobs: int) -> list[int]:
    """How much room the pool has after each of `jobs` that take `seconds` each."""
    free = []
    for number in range(jobs):
        hand(pool, f"job{number}")
        runner.clock.advance(seconds)
        runner.process.done()
        free.append(pool.free)
    return free


def test_a_worker_of_quick_jobs_is_handed_more_and_more_ahead_up_to_a_limit(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=2)
    assert pool.free == 2
    assert free_after(runner, pool, QUICK / 2, 7) == [
        2 + ahead for ahead in (1, 3, 7, 15, PREFETCH, PREFETCH, PREFETCH)
    ]


def test_a_job_that_is_not_quick_ends_what_is_handed_ahead(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    free_after(runner, pool, 0, 5)
    assert pool.free == 1 + PREFETCH
    assert free_after(runner, pool, 2 * QUICK, 1) == [1]


def test_a_new_process_begins_with_its_batch(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    free_after(runner, pool, 0, 5)
    runner.process.exit(1)
    assert pool.free == 0
    runner.clock.advance(0)
    runner.process.ready()
    assert pool.free == 1


def prefetched(runner: FakeRunner) -> WorkerPool:
    """A pool whose worker does the job `slow` and has `a`, `b` and `c` in hand behind it."""
    pool = runner.ready_pool()
    free_after(runner, pool, 0, 3)
    hand(pool, "slow", "a", "b", "c")
    return pool


def test_what_was_prefetched_is_taken_back_from_a_worker_whose_job_is_slow(runner: FakeRunner) -> None:
    pool = prefetched(runner)
    runner.clock.advance(SLOW - 0.001)
    assert len(in_hand(pool)) == 4
    runner.clock.advance(0.001)
    assert in_hand(pool) == ["slow"]
    assert runner.released == ["a", "b", "c"]
    assert pool.free == 0
    runner.process.say(kind="passed", count=3)
    assert runner.process.refused is None, "they were taken back from it"


def test_a_job_is_slow_from_its_own_beginning(runner: FakeRunner) -> None:
    pool = prefetched(runner)
    runner.clock.advance(SLOW / 2)
    runner.process.done()
    runner.clock.advance(SLOW / 2)
    assert len(in_hand(pool)) == 3, "the one being done has been at it for half of the time"
    runner.clock.advance(SLOW / 2)
    assert in_hand(pool) == ["a"]


def test_nothing_is_taken_back_from_a_worker_that_has_no_more_than_its_batch(runner: FakeRunner) -> None:
    pool = prefetched(runner)
    for _ in range(3):
        runner.process.done()
    runner.clock.advance(10 * SLOW)
    assert in_hand(pool) == ["c"]
    assert runner.released == []
    hand(pool, "d", "e")
    runner.clock.advance(10 * SLOW)
    assert in_hand(pool) == ["c"], "it is watched anew"


def test_a_worker_that_has_ended_has_nothing_to_take_back(runner: FakeRunner) -> None:
    pool = prefetched(runner)
    runner.process.exit(1)
    assert runner.released == ["a", "b", "c"]
    runner.clock.advance(10 * SLOW)
    assert runner.released == ["a", "b", "c"]
    assert in_hand(pool) == []


def test_a_job_after_all_were_taken_back_from_a_worker_that_slept_has_its_whole_time(runner: FakeRunner) -> None:
    """Its process was not run for so long that it had not begun the first of them either."""
    pool = runner.ready_pool(timeout=TIMEOUT)
    free_after(runner, pool, 0, 3)
    runner.process.sleeps = True
    hand(pool, "a", "b")
    runner.clock.advance(SLOW)
    assert (in_hand(pool), runner.released) == ([], ["a", "b"])
    assert pool.slots[0].state is State.READY
    runner.clock.advance(TIMEOUT - 1)
    hand(pool, "c")
    runner.process.wake()
    runner.clock.advance(TIMEOUT - 1)
    assert not runner.process.killed
    runner.process.done()
    assert [settled.lease.job.id for settled in runner.settled][-1] == "c"


def test_who_passes_over_what_was_not_taken_back_is_ended_and_its_jobs_go_back(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=3)
    hand(pool, "a", "b", "c")
    runner.process.done()
    runner.process.say(kind="passed", count=2)
    assert runner.process.killed
    runner.process.exit(-9)
    assert runner.released == ["b", "c"]
    assert len(runner.settled) == 1, "no attempt is charged"
    taken = "the worker was ended, something in it had taken the permits for its jobs; they go back"
    assert runner.logged == [("WARNING", f"here/make.1: {taken}; restarting at once")]


def test_who_is_killed_already_is_not_killed_for_its_permits(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=TIMEOUT)
    hand(pool, "a")
    runner.clock.advance(TIMEOUT)
    runner.process.say(kind="passed", count=1)
    assert pool.slots[0].killed_for is KilledFor.TIMEOUT


# What a bot asks for


def test_a_worker_that_is_held_takes_no_jobs_until_it_is_resumed(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    fetches = runner.fetches
    runner.process.say(kind="held")
    assert (pool.free, [one.state for one in worker_statuses(pool)]) == (0, ["stopped"])
    runner.process.say(kind="resumed")
    assert pool.free == 1
    assert runner.fetches == fetches + 2
    pool.resume()
    assert runner.process.kinds == ["start"], "it was not held any more"
    runner.process.say(kind="held")
    pool.resume()
    assert runner.process.kinds == ["start", "resume"]
    assert pool.free == 1


def test_what_a_bot_publishes_is_shown_until_its_job_is_over(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    hand(pool, "a")
    runner.process.say(kind="status", status="at work\udcff")
    assert [one.status for one in worker_statuses(pool)] == ["at work\\udcff"]
    runner.process.done()
    assert [one.status for one in worker_statuses(pool)] == [None]


def test_a_worker_that_leaves_finishes_its_job_gives_the_others_back_and_is_not_replaced(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=3)
    hand(pool, "a", "b", "c")
    runner.process.say(kind="leaving")
    assert runner.process.kinds == ["start", "jobs", "stop"]
    assert (in_hand(pool), runner.released, pool.free) == (["a"], ["b", "c"], 0)
    runner.process.done()
    assert pool.slots[0].state is State.STOPPING
    runner.process.exit(0)
    assert (pool.slots[0].state, pool.ready, pool.alive) == (State.ENDED, True, False)
    assert runner.clock.pending == []
    assert ("INFO", "here/make.1: ends because its bot asked for it") in runner.logged


def test_a_worker_that_leaves_before_it_is_ready_does_not_hold_up_those_who_wait_for_its_pool(
    runner: FakeRunner,
) -> None:
    pool = runner.pool()
    pool.start()
    runner.process.say(kind="leaving")
    assert not pool.ready
    runner.process.ready()
    assert (pool.ready, pool.slots[0].state) == (True, State.STOPPING)
    runner.process.exit(0)
    assert pool.ready


def test_a_worker_that_leaves_and_is_resumed_meanwhile_is_replaced_once_it_has_ended(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    runner.process.say(kind="leaving")
    pool.resume()
    assert pool.slots[0].state is State.STOPPING
    runner.process.exit(0)
    runner.clock.advance(0)
    assert (pool.slots[0].state, len(runner.alive)) == (State.STARTING, 1)
    runner.process.say(kind="leaving")
    runner.process.exit(0)
    assert pool.slots[0].state is State.ENDED, "it was resumed once"


def test_a_worker_that_is_to_be_replaced_is_not_when_its_pool_is_stopped_meanwhile(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    runner.process.say(kind="leaving")
    pool.resume()
    pool.stop()
    runner.process.exit(0)
    assert (pool.slots[0].state, runner.clock.pending) == (State.ENDED, [])


def test_what_a_process_says_that_nobody_understands_is_in_its_log(runner: FakeRunner) -> None:
    runner.ready_pool()
    runner.process.say(kind="weather", sky="x" * 1000)
    line = runner.log()
    assert line.startswith("factory_cdk: the worker said something unexpected: {'kind': 'weather', 'sky': 'xxx")
    assert len(line) < 600


def test_what_a_process_prints_is_in_its_log_under_its_job(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    runner.process.print("before\n")
    hand(pool, "a")
    runner.process.print("in the middle\nlast")
    assert runner.log() == "before\nin the middle\nlast"
    assert pool.slots[0].log.last_lines("a") == "in the middle"
    runner.process.exit(1)
    stream = (runner.folder / "stream.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in stream[:3]] == ["- | before", "a | in the middle", "a | last"]


def test_what_ps_shows(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    hand(pool, "a")
    runner.process.done()
    hand(pool, "b")
    runner.process.fail()
    hand(pool, "c")
    runner.process.exit(1)
    runner.clock.advance(0)
    (status,) = worker_statuses(pool)
    assert (status.sector, status.bot, status.worker, status.pid, status.state) == ("here", "make", 1, 1001, "starting")
    assert (status.restarts, status.done, status.failed, status.in_hand) == (1, 1, 2, 0)
    assert status.started_at == runner.clock.time()
    assert next(worker_statuses(runner.pool())).restarts == 0
