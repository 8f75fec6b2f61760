"""A pool: what becomes of its jobs, and of workers that end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_workers import ERROR, FakeRunner, hand, in_hand, lease

from factory_cdk.queues.port import Failed, Failure, Finished
from factory_cdk.runner.delays import restart_delay, retry_delay
from factory_cdk.runner.failures import exit_reason
from factory_cdk.runner.pool import DEAD, StartFailure, pool_status
from factory_cdk.runner.slot import State
from factory_cdk.state.runner_spec import Timings
from factory_cdk.state.status import PoolStatus
from factory_cdk.workflow.routing import child_id


@pytest.fixture
def runner(tmp_path: Path) -> FakeRunner:
    return FakeRunner(tmp_path / "logs")


# Jobs


def test_a_job_that_is_done_is_settled_with_its_result_and_goes_on_to_the_successors(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    hand(pool, "a")
    runner.process.done(result=7)
    (settled,) = runner.settled
    assert isinstance(settled, Finished)
    assert (settled.lease, settled.result) == (lease("a"), 7)
    ((queue, job),) = settled.forwards
    assert (queue, job.bot, job.payload, job.parent) == ("take", "take", 7, "a")
    assert job.id == child_id("a", pool.pool_spec.successors[0])
    assert (in_hand(pool), pool.slots[0].done, pool.free) == ([], 1, 2)


def test_a_result_that_its_bot_keeps_back_goes_to_no_successor(runner: FakeRunner) -> None:
    hand(runner.ready_pool(), "a")
    runner.process.done(result=7, onward=False)
    assert runner.settled == [Finished(lease("a"), (), 7)]


@pytest.mark.parametrize(("attempt", "delay"), [(1, 1.0), (2, 2.0), (3, None)])
def test_a_job_that_fails_is_tried_again_later_until_its_attempts_are_spent(
    runner: FakeRunner, attempt: int, delay: float | None
) -> None:
    pool = runner.ready_pool(max_attempts=3)
    hand(pool, "a", attempt=attempt)
    runner.process.fail()
    failure = Failure(ERROR["type"], ERROR["message"], ERROR["traceback"], attempt)
    assert runner.settled == [Failed(lease("a", attempt), failure, delay)]
    assert (in_hand(pool), pool.slots[0].failed, pool.free > 0) == ([], 1, True)
    told = DEAD if delay is None else f"it is tried again in {delay:g} s"
    lines = [line.split(" ", 1)[1] for line in runner.log().splitlines()]
    assert lines == [
        f"ERROR attempt {attempt} of 3 failed: ValueError: no",
        "Traceback (most recent call last):",
        "  line 1",
        f"INFO {told}",
    ]


def test_a_failure_says_what_an_ignore_file_left_out_of_the_bundle(runner: FakeRunner) -> None:
    pool = runner.ready_pool(left_out=("data/", "tables.py"))
    hand(pool, "a", "b")
    missing = "[Errno 2] No such file or directory: 'data/model.bin'"
    trace = "FileNotFoundError: no table\n\nModuleNotFoundError: No module named 'tables'"
    runner.process.say(kind="failed", id="a", error={"type": "OSError", "message": missing, "traceback": ""})
    runner.process.say(kind="failed", id="b", error={"type": "ValueError", "message": "no table", "traceback": trace})
    ignored = "is in the source of make, but an ignore file leaves it out of the bundle"
    assert [failed.failure.message for failed in runner.settled if isinstance(failed, Failed)] == [
        f"{missing} (data/ {ignored})",
        f"no table (tables.py {ignored})",
    ]
    assert f"(data/ {ignored})" in runner.log()


def test_a_failure_that_is_final_is_not_tried_again(runner: FakeRunner) -> None:
    hand(runner.ready_pool(), "a")
    runner.process.fail(final=True)
    assert [failed.delay for failed in runner.settled if isinstance(failed, Failed)] == [None]


def test_an_error_that_utf_8_cannot_hold_is_kept_all_the_same(runner: FakeRunner) -> None:
    hand(runner.ready_pool(), "a")
    runner.process.say(kind="failed", id="a", error={"type": "E\udcff", "message": "\ud800", "traceback": "\udcff"})
    (failed,) = runner.settled
    assert isinstance(failed, Failed)
    assert failed.failure == Failure("E\\udcff", "\\ud800", "\\udcff", 1)


def test_a_job_whose_attempts_were_all_begun_and_never_ended_is_handed_to_nobody(runner: FakeRunner) -> None:
    pool = runner.ready_pool(max_attempts=2)
    hand(pool, "a", attempt=3)
    spent = "all of its 2 attempts were begun and none of them ended"
    assert runner.settled == [Failed(lease("a", 3), Failure("LeaseExpired", spent, "", 3), None)]
    assert (in_hand(pool), runner.process.kinds) == ([], ["start"])
    assert runner.log().endswith(f"ERROR LeaseExpired: {spent}; {DEAD}\n")


def test_a_job_that_its_bot_returns_goes_back_and_no_attempt_is_counted(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=2)
    hand(pool, "a", "b")
    runner.process.say(kind="returned", ids=["a", "unknown"])
    assert (runner.released, runner.settled, in_hand(pool)) == (["a"], [], ["b"])
    runner.process.say(kind="done", id="b", result=1)
    assert [settled.lease.job.id for settled in runner.settled] == ["b"]


def test_jobs_go_to_the_worker_with_the_least_in_hand(runner: FakeRunner) -> None:
    pool = runner.ready_pool(processes=3, batch=2)
    hand(pool, *"abcde")
    assert [[one.job.id for one in slot.hand] for slot in pool.slots] == [["a", "d"], ["b", "e"], ["c"]]
    assert pool.free == 1
    runner.processes[2].say(kind="held")
    assert pool.free == 0
    hand(pool, "f")
    assert runner.released == [], "one that takes jobs is handed more than it asked for rather than nothing"


@pytest.mark.parametrize("why", ["closed", "stopped", "held", "dead", "loading"])
def test_a_job_that_no_worker_takes_any_more_goes_back(runner: FakeRunner, why: str) -> None:
    """Its gate may have been closed, or its worker have died, since the runner asked the queues for it."""
    pool = runner.pool() if why == "loading" else runner.ready_pool()
    if why == "loading":
        pool.open = True
        pool.start()
    elif why == "closed":
        pool.open = False
    elif why == "stopped":
        pool.stop()
    elif why == "held":
        runner.process.say(kind="held")
    else:
        runner.process.exit(1)
    assert pool.free == 0
    hand(pool, "a")
    assert (runner.released, in_hand(pool)) == (["a"], [])
    assert "jobs" not in runner.process.kinds


def test_a_pool_takes_jobs_when_it_is_open_and_its_workers_are_ready(runner: FakeRunner) -> None:
    pool = runner.pool(processes=2, batch=3)
    pool.start()
    assert (pool.free, pool.ready, pool.alive) == (0, False, True)
    runner.processes[0].ready()
    assert (pool.free, pool.ready) == (0, False)
    pool.open = True
    assert pool.free == 3
    fetches = runner.fetches
    runner.processes[1].ready()
    assert (pool.free, pool.ready, runner.fetches) == (6, True, fetches + 1)
    assert pool_status(pool) == PoolStatus("here", "make", "make", True, None)


@pytest.mark.parametrize(("visibility", "most", "expected"), [(30, 5.0, 5.0), (2, 5.0, 2.0)])
def test_a_lease_is_as_long_as_its_bot_wants_and_no_longer_than_the_runner_does(
    tmp_path: Path, visibility: int, most: float, expected: float
) -> None:
    assert FakeRunner(tmp_path, Timings(lease_most=most)).pool(visibility_timeout=visibility).lease == expected


# Workers that die


def test_the_job_that_a_dead_worker_did_is_charged_and_those_behind_it_go_back(runner: FakeRunner) -> None:
    pool = runner.ready_pool(batch=3)
    hand(pool, "a", "b", "c")
    runner.process.print("last words")
    runner.process.exit(-9)
    (failed,) = runner.settled
    assert isinstance(failed, Failed)
    assert (failed.lease, failed.delay) == (lease("a"), 0.0)
    assert failed.failure == Failure("WorkerDied", "the worker was ended by SIGKILL", "last words", 1)
    assert (runner.released, in_hand(pool), pool.slots[0].failed) == (["b", "c"], [], 1)
    assert "INFO it is tried again at once" in runner.log()


def test_a_job_that_kills_its_worker_at_the_last_attempt_is_dead(runner: FakeRunner) -> None:
    hand(runner.ready_pool(max_attempts=2), "a", attempt=2)
    runner.process.exit(-11)
    (failed,) = runner.settled
    assert isinstance(failed, Failed)
    assert (failed.failure.message, failed.delay) == ("the worker was ended by SIGSEGV", None)


def test_jobs_that_cannot_be_handed_over_go_back_and_none_is_charged(runner: FakeRunner) -> None:
    """Their worker has ended, and what it left is being read."""
    pool = runner.ready_pool(batch=2)
    runner.process.is_ending = True
    hand(pool, "a", "b")
    assert (in_hand(pool), runner.process.kinds) == (["a", "b"], ["start"])
    runner.process.exit(1)
    assert (in_hand(pool), runner.released, runner.settled) == ([], ["a", "b"], [])
    runner.clock.advance(0)
    runner.process.ready()
    hand(pool, "b")
    assert [job[0] for job in runner.process.sent[-1]["jobs"]] == ["b"]


def test_what_is_kept_of_a_dead_worker_is_what_that_attempt_printed(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    for attempt in (1, 2):
        hand(pool, "a", attempt=attempt)
        runner.process.print(f"attempt {attempt}\n")
        runner.process.exit(3)
        runner.clock.advance(1)
        runner.process.ready()
    assert [failed.failure.traceback for failed in runner.settled if isinstance(failed, Failed)] == [
        "attempt 1", "attempt 2"
    ]  # fmt: skip


def test_a_job_over_its_time_fails_and_its_worker_is_replaced_without_a_death_to_its_name(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=0.5)
    hand(pool, "a")
    runner.process.print("waiting\n")
    runner.clock.advance(0.5)
    runner.process.exit(-9)
    (failed,) = runner.settled
    assert isinstance(failed, Failed)
    assert (failed.failure.type, failed.failure.traceback, failed.delay) == ("JobTimeout", "waiting", 1.0)
    assert failed.failure.message == "not done after 0.5 s; its worker was killed"
    assert runner.logged == [("WARNING", "here/make.1: killed, its job took longer than 0.5 s")]
    assert (pool.slots[0].deaths, runner.clock.pending) == (0, [0])
    runner.clock.advance(0)
    assert pool.slots[0].state is State.STARTING


def test_a_job_that_was_done_in_time_is_done_though_its_process_was_killed_for_it(runner: FakeRunner) -> None:
    """Its answer was on its way when its time was over."""
    pool = runner.ready_pool(timeout=0.5, batch=2)
    hand(pool, "a")
    runner.clock.advance(0.5)
    runner.process.done(1)
    assert [type(settled) for settled in runner.settled] == [Finished]
    runner.process.exit(-9)
    assert len(runner.settled) == 1
    runner.clock.advance(0)
    assert pool.slots[0].state is State.STARTING


# Restarts


def test_a_worker_that_was_ready_is_restarted_at_once_and_then_later_and_later(runner: FakeRunner) -> None:
    runner.ready_pool()
    delays = []
    for _ in range(11):
        runner.process.exit(1)
        (delay,) = runner.clock.pending
        delays.append(delay)
        runner.clock.advance(delay)
        runner.process.ready()
    assert delays == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert runner.logged[0] == ("WARNING", "here/make.1: the worker exited with 1; restarting at once")
    assert runner.logged[1] == ("WARNING", "here/make.1: the worker exited with 1; restarting in 1 s")


@pytest.mark.parametrize("how", ["done", "failed", "steady"])
def test_a_worker_that_does_a_job_or_lives_long_has_no_deaths_to_its_name(runner: FakeRunner, how: str) -> None:
    pool = runner.ready_pool()
    for _ in range(3):
        runner.process.exit(1)
        runner.clock.advance(runner.clock.pending[0])
        runner.process.ready()
    if how == "steady":
        runner.clock.advance(runner.timings.steady + 1)
    else:
        hand(pool, "a")
        runner.process.done() if how == "done" else runner.process.fail()
    runner.process.exit(1)
    assert runner.clock.pending == [0]


def test_a_worker_that_cannot_be_loaded_is_told_and_restarted_later(runner: FakeRunner) -> None:
    pool = runner.pool()
    pool.start()
    runner.process.print("nearly there\n")
    runner.process.say(kind="broken", error=ERROR)
    runner.process.exit(1)
    reason = "cannot be loaded: ValueError: no\nTraceback (most recent call last):\n  line 1"
    assert runner.failures == [StartFailure("here", "make", reason, "nearly there")]
    assert runner.logged == [("WARNING", f"here/make.1: {reason}; restarting in 1 s")]
    assert (pool.slots[0].state, pool.alive, pool.ready) == (State.WAITING, False, False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({**ERROR, "traceback": "ValueError: no\n"}, "cannot be loaded: ValueError: no"),
        (None, "the worker exited with 9 before it was ready"),
    ],
)
def test_why_a_worker_was_not_ready_is_said_once(runner: FakeRunner, error: dict[str, str] | None, reason: str) -> None:
    runner.pool().start()
    if error:
        runner.process.say(kind="broken", error=error)
    runner.process.exit(9)
    assert [failure.reason for failure in runner.failures] == [reason]


def test_a_worker_whose_process_cannot_be_started_is_tried_again(runner: FakeRunner) -> None:
    runner.refuses = OSError("no more processes")
    pool = runner.pool()
    pool.start()
    assert [failure.reason for failure in runner.failures] == ["cannot be loaded: WorkerNotStarted: no more processes"]
    assert (pool.slots[0].state, pool.slots[0].pid, runner.clock.pending) == (State.WAITING, None, [1])
    runner.refuses = None
    runner.clock.advance(1)
    runner.process.ready()
    assert pool.ready


def test_so_many_deaths_before_ready_in_so_short_a_time_are_a_crash_loop(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    runner.process.exit(1)
    for delay in (0, 1, 2, 4, 8):
        assert pool.broken is None
        runner.clock.advance(delay)
        runner.process.exit(7)
    last = "here/make.1: the worker exited with 7 before it was ready"
    assert pool.broken == f"crash loop: 5 deaths before ready within 60 s; the last: {last}"
    assert runner.logged[-1] == ("ERROR", f"here/make: {pool.broken}; stopped")
    assert (pool.slots[0].state, runner.clock.pending) == (State.BROKEN, [])
    assert len(runner.failures) == 5
    assert pool_status(pool).broken == pool.broken


def test_deaths_before_ready_that_are_far_between_are_no_crash_loop(runner: FakeRunner) -> None:
    pool = runner.pool()
    pool.start()
    for _ in range(20):
        runner.clock.advance(15.1)  # loading takes so long
        runner.process.exit(7)
        runner.clock.advance(runner.clock.pending[0])
    assert pool.broken is None


def loop(runner: FakeRunner, number: int) -> None:
    """Let the worker in slot `number` of the pool that was made last die until the pool is given up."""
    for _ in range(runner.timings.loop_deaths):
        runner.processes[number].exit(7)
        if runner.clock.pending:
            runner.clock.advance(runner.clock.pending[0])
            number = -1


def test_a_pool_in_a_crash_loop_keeps_the_workers_that_are_ready(runner: FakeRunner) -> None:
    pool = runner.ready_pool(processes=3)
    runner.processes[2].exit(1)
    runner.clock.advance(0)
    hand(pool, "a")
    loop(runner, 3)
    assert [slot.state for slot in pool.slots] == [State.BUSY, State.READY, State.BROKEN]
    runner.processes[0].done()
    assert pool.free > 0


def test_a_crash_loop_ends_the_workers_that_are_loading_and_they_are_broken_once_they_have_ended(
    runner: FakeRunner,
) -> None:
    pool = runner.pool(processes=2)
    pool.start()
    loop(runner, 0)
    loading = runner.processes[1]
    assert loading.killed
    assert [slot.state for slot in pool.slots] == [State.BROKEN, State.STOPPING]
    assert pool.alive, "it has not ended yet"
    loading.exit(-9)
    assert [slot.state for slot in pool.slots] == [State.BROKEN, State.BROKEN]
    assert not pool.alive
    pool.resume()
    assert pool.broken is None
    assert [slot.state for slot in pool.slots] == [State.STARTING, State.STARTING]


def test_a_pool_that_is_resumed_before_what_it_killed_has_ended_starts_one_process_for_each_slot(
    runner: FakeRunner,
) -> None:
    pool = runner.pool(processes=2)
    pool.start()
    loop(runner, 0)
    pool.resume()
    assert [slot.state for slot in pool.slots] == [State.STARTING, State.STOPPING]
    runner.processes[1].exit(-9)
    runner.clock.advance(0)
    assert [slot.state for slot in pool.slots] == [State.STARTING, State.STARTING]
    assert len(runner.alive) == 2
    assert len(runner.watched) == 2


def test_a_pool_that_was_given_up_has_all_its_deaths_again_when_it_is_resumed(runner: FakeRunner) -> None:
    pool = runner.pool()
    pool.start()
    loop(runner, 0)
    pool.start()
    assert pool.slots[0].deaths == 0
    runner.process.exit(7)
    assert (pool.broken, runner.clock.pending) == (None, [1])


# The end


def test_a_pool_that_stops_finishes_the_job_being_done_and_gives_the_others_back(runner: FakeRunner) -> None:
    pool = runner.ready_pool(processes=2, batch=2)
    hand(pool, *"abcd")
    pool.stop()
    assert (pool.open, in_hand(pool), sorted(runner.released)) == (False, ["a", "b"], ["c", "d"])
    pool.stop()
    assert [process.kinds for process in runner.processes] == [["start", "jobs", "stop"]] * 2
    for process in runner.processes:
        process.done()
        process.exit(0)
    assert (len(runner.settled), pool.alive, runner.clock.pending) == (2, False, [])
    pool.start()
    assert not pool.alive, "it was stopped"


def test_a_worker_that_dies_while_it_finishes_its_job_has_it_charged_and_is_not_replaced(runner: FakeRunner) -> None:
    pool = runner.ready_pool()
    hand(pool, "a")
    pool.stop()
    runner.process.exit(1)
    assert [type(settled) for settled in runner.settled] == [Failed]
    assert (pool.slots[0].state, runner.clock.pending) == (State.ENDED, [])


def test_a_job_over_its_time_while_its_pool_stops_fails(runner: FakeRunner) -> None:
    pool = runner.ready_pool(timeout=5)
    hand(pool, "a")
    pool.stop()
    runner.clock.advance(5)
    runner.process.exit(-9)
    (failed,) = runner.settled
    assert isinstance(failed, Failed)
    assert failed.failure.type == "JobTimeout"
    assert pool.slots[0].state is State.ENDED


def test_the_jobs_of_a_pool_that_is_killed_go_back_and_no_attempt_is_counted(runner: FakeRunner) -> None:
    pool = runner.ready_pool(processes=2, batch=2)
    hand(pool, *"abcd")
    pool.kill()
    assert [process.killed for process in runner.processes] == [True, True]
    for process in runner.processes:
        process.exit(-9)
    assert (sorted(runner.released), runner.settled) == (["a", "b", "c", "d"], [])
    assert (pool.open, pool.alive, runner.clock.pending) == (False, False, [])


def test_a_pool_that_is_stopped_by_the_first_of_its_workers_that_fails_starts_no_other(runner: FakeRunner) -> None:
    runner.refuses = OSError("no more processes")

    def give_up(_: StartFailure) -> None:
        runner.refuses = None  # there is room for the second
        pool.kill()

    pool = runner.pool(processes=2, events=replace(runner.events, start_failed=give_up))
    pool.start()
    assert (runner.processes, pool.alive) == ([], False)
    assert [slot.state for slot in pool.slots] == [State.ENDED, State.ENDED]


# Counts


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (3, 1)])
def test_a_pool_that_replaces_another_goes_on_counting(runner: FakeRunner, before: int, after: int) -> None:
    old = runner.ready_pool(processes=before)
    for name in "abc":
        hand(old, name)
        next(process for process in runner.processes if process.doing).done()
    hand(old, "d")
    new = runner.ready_pool(processes=after)
    new.open = False
    new.replace(old)
    assert (new.open, old.open) == (True, False)
    assert sum(slot.done for slot in new.slots) == 3
    next(process for process in runner.processes if process.doing).fail()
    new.add_counts_of(old)
    new.add_counts_of(old)
    assert sum(slot.done for slot in new.slots) == 3
    assert sum(slot.failed for slot in new.slots) == 1


# Delays


@pytest.mark.parametrize(
    ("deaths", "was_ready", "expected"),
    [(1, True, 0), (2, True, 1), (3, True, 2), (1, False, 1), (2, False, 2), (9, False, 256), (10, False, 300)],
)
def test_the_delay_of_a_restart_doubles(deaths: int, was_ready: bool, expected: float) -> None:
    assert restart_delay(Timings(), deaths, was_ready=was_ready) == expected


@pytest.mark.parametrize(
    ("attempt", "crashed", "expected"),
    [(1, False, 1), (2, False, 2), (9, False, 256), (10, False, 300), (1, True, 0), (19, True, 0), (20, True, None)],
)
def test_the_delay_of_a_retry_doubles(attempt: int, crashed: bool, expected: float | None) -> None:
    assert retry_delay(Timings(), attempt, 20, crashed=crashed) == expected


def test_delays_stay_the_same_however_often_a_thing_has_failed() -> None:
    """A float cannot hold 2 to the power of 1024."""
    assert restart_delay(Timings(), 5000, was_ready=True) == 300
    assert retry_delay(Timings(), 5000, 10_000, crashed=False) == 300


@pytest.mark.parametrize(
    ("code", "told"),
    [(0, "exited with 0"), (7, "exited with 7"), (-9, "was ended by SIGKILL"), (-99, "was ended by signal 99")],
)
def test_how_a_process_ended_is_told_in_words(code: int, told: str) -> None:
    assert exit_reason(code) == told
