"""Runs of a stage: a step that is over moves its run, and sends what follows, in one transaction with its job."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from queue_calls import claim, fail, finish, reclaim, settle_and_claim

from factory_cdk.queues.client import Search
from factory_cdk.queues.port import Failure, Finished, Job, Lease, Outcome, Wanted
from factory_cdk.queues.runs import RecoveryRequest, is_step, step_job_id, step_of
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.queues.sqlite.run_client import SqliteRuns, open_sqlite_runs
from factory_cdk.runs.conditions import parse
from factory_cdk.runs.definition import Definition
from factory_cdk.runs.graph import Graph, Step
from factory_cdk.runs.state import Key, RunState
from factory_cdk.workflow.routing import forwards

NO = Failure("ValueError", "no", "", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "queues.sqlite3"
    SqliteQueues(path).close()
    return path


@pytest.fixture
def runs(path: Path) -> Iterator[SqliteRuns]:
    found = open_sqlite_runs(path)
    yield found
    found.close()


@pytest.fixture
def queues(path: Path) -> Iterator[SqliteQueues]:
    with SqliteQueues(path) as found:
        yield found


def definition(*steps: Step, given: object = None, items: dict[str, object] | None = None) -> Definition:
    """Every step's job goes to the queue of its own name."""
    graph = Graph(steps)
    leaves = [path for path, placed in graph.placed.items() if not placed.step.steps]
    work = {path: {"bot": path.rpartition("/")[2], "queue": path.rpartition("/")[2], "given": given} for path in leaves}
    return Definition(graph, work, items or {})


CHAIN = definition(Step("a"), Step("b", parse("a")))


def take(queues: SqliteQueues, queue: str) -> Lease:
    (lease,) = claim(queues, queue, 1, lease=60)
    return lease


def statuses(runs: SqliteRuns, run: str = "one") -> dict[str, str]:
    return {f"{step.path} {step.iteration}": str(step.status) for step in runs.steps(run)}


def state(runs: SqliteRuns, run: str = "one") -> RunState:
    record = runs.record(run)
    assert record is not None
    return record.state


def test_the_id_of_a_steps_job_says_which_step_it_is() -> None:
    job_id = step_job_id("2026-11-29", Key("publish/send", "1.2.2"), 3)
    assert job_id == "2026-11-29:publish/send:1.2.2:3"
    assert step_of(job_id) == ("2026-11-29", Key("publish/send", "1.2.2"), 3)
    assert is_step(job_id)
    assert not is_step("0011223344556677-1.abcdef")


def test_the_next_step_is_in_hand_in_the_step_that_settles_the_one_before(
    runs: SqliteRuns, queues: SqliteQueues
) -> None:
    assert runs.begin("one", "flow", CHAIN, {"day": 1}, {})
    a = take(queues, "a")
    assert a.job.payload == {
        "with": None,
        "results": {},
        "name": "a",
        "sequence": "1",
        "recovery": 0,
        "logger_name": "flow.a",
    }
    held, (b,) = settle_and_claim(queues, (Finished(a, (), {"rows": 3}),), (Wanted("b", 1, 60),))
    assert held == [True]
    assert (b.job.id, b.job.run, b.job.payload["results"]) == ("one:b:1:1", "one", {"a": {"rows": 3}})
    assert finish(queues, b)
    assert state(runs) is RunState.SUCCEEDED
    assert statuses(runs) == {"a 1": "succeeded", "b 1": "succeeded"}


def test_a_run_of_an_id_that_there_is_is_not_begun_again(runs: SqliteRuns, queues: SqliteQueues) -> None:
    assert runs.begin("one", "flow", CHAIN, None, {})
    assert not runs.begin("one", "flow", CHAIN, None, {})
    assert len(claim(queues, "a", 5, lease=60)) == 1


def test_routes_send_nothing_on_from_a_step() -> None:
    assert forwards((), Job("one:a:1:1", "a", None, "one"), Outcome.SUCCESS) == ()


def test_an_attempt_that_is_tried_again_moves_nothing_and_a_dead_letter_fails_the_step(
    runs: SqliteRuns, queues: SqliteQueues
) -> None:
    runs.begin("one", "flow", CHAIN, None, {})
    assert fail(queues, take(queues, "a"), NO, delay=0.0)
    assert state(runs) is RunState.RUNNING
    assert fail(queues, take(queues, "a"), NO, delay=None)
    assert state(runs) is RunState.FAILED
    assert [step.reason for step in runs.steps("one")] == ["ValueError: no", "it needs `a`, and `a` failed"]


def test_an_end_that_is_told_by_a_lost_lease_is_no_news(runs: SqliteRuns, queues: SqliteQueues) -> None:
    runs.begin("one", "flow", CHAIN, None, {})
    stale = take(queues, "a")
    assert fail(queues, stale, NO, delay=0.0)
    again = take(queues, "a")
    assert not finish(queues, stale)
    assert statuses(runs) == {"a 1": "active", "b 1": "waiting"}
    assert finish(queues, again)
    assert not finish(queues, again)
    assert len(claim(queues, "b", 5, lease=60)) == 1


def test_a_cancelled_run_takes_its_jobs_off_their_queues(runs: SqliteRuns, queues: SqliteQueues) -> None:
    runs.begin("one", "flow", definition(Step("a"), Step("b"), Step("c", parse("a"))), None, {})
    a = take(queues, "a")
    assert runs.cancel("one")
    assert not runs.cancel("one")
    assert not finish(queues, a)
    assert claim(queues, "b", 1, lease=60) == []
    assert state(runs) is RunState.CANCELLED


def test_a_recovery_sends_what_has_to_be_done_again_and_what_follows(runs: SqliteRuns, queues: SqliteQueues) -> None:
    graph = definition(Step("a", items=2), Step("b", parse("a")), given={"t": "$item"}, items={"a": ["x", "y"]})
    runs.begin("one", "flow", graph, None, {})
    first, second = claim(queues, "a", 2, lease=60)
    assert [lease.job.payload["with"] for lease in (first, second)] == [{"t": "x"}, {"t": "y"}]
    settle_and_claim(queues, (Finished(first, (), 1),), ())
    fail(queues, second, NO, delay=None)
    changed = Definition(
        graph.graph, {**graph.work, "a": {**graph.work["a"], "given": "new"}, "b": {**graph.work["b"], "given": 1}}
    )
    assert [key.path for key in runs.would_recover("one", RecoveryRequest(changed, {}))] == ["a", "b"]
    assert runs.recover("one", RecoveryRequest(changed, {})) == ["one:a:1.2:2"]
    lease = take(queues, "a")
    assert (lease.job.payload["with"], lease.job.payload["recovery"]) == ("new", 1)
    finish(queues, lease, result=2)
    b = take(queues, "b")
    assert b.job.payload["results"] == {"a": [1, 2]}
    finish(queues, b)
    assert state(runs) is RunState.SUCCEEDED


def test_pools_are_shared_by_runs_and_pass_to_the_one_that_waited_for_longest(
    runs: SqliteRuns, queues: SqliteQueues
) -> None:
    one = definition(Step("a", acquire=(("licence", 1),)))
    for run in ("first", "second", "third"):
        runs.begin(run, "flow", one, None, {"licence": 1})
    order = []
    for _ in range(3):
        (lease,) = claim(queues, "a", 5, lease=60)
        order.append(lease.job.run)
        finish(queues, lease)
    assert order == ["first", "second", "third"]


def test_a_job_that_a_client_cancels_fails_its_step(path: Path, runs: SqliteRuns) -> None:
    now = [1000.0]
    with SqliteQueues(path, clock=lambda: now[0]) as queues:
        runs.begin("one", "flow", CHAIN, None, {})
        claim(queues, "c", 1, lease=60)
        assert queues.history.cancel(["one:a:1:1"]) == [True]
        now[0] += 2
        claim(queues, "c", 1, lease=60)
    assert runs.steps("one")[0].reason == "its job was cancelled"
    assert state(runs) is RunState.FAILED


def test_a_delay_is_over_when_it_is_over(path: Path) -> None:
    now = [1000.0]
    runs = SqliteRuns(path, clock=lambda: now[0])
    with SqliteQueues(path, clock=lambda: now[0]) as queues:
        runs.begin("one", "flow", definition(Step("a"), Step("b", parse("a"), delay=60.0)), None, {})
        finish(queues, take(queues, "a"))
        for seconds, jobs in ((59.0, 0), (1.0, 1)):
            now[0] += seconds
            assert len(claim(queues, "b", 1, lease=60)) == jobs
    runs.close()


def test_what_has_finished_is_not_kept_in_memory(runs: SqliteRuns, queues: SqliteQueues) -> None:
    runs.begin("one", "flow", definition(Step("a", items=3), items={"a": [1, 2, 3]}), None, {})
    for _ in range(3):
        finish(queues, take(queues, "a"), result="x" * 10_000)
    assert "xxx" not in repr(runs.state("one"))


def test_runs_that_ended_long_ago_are_forgotten_with_their_jobs(path: Path) -> None:
    now = [1000.0]
    runs = SqliteRuns(path, clock=lambda: now[0])
    with SqliteQueues(path, clock=lambda: now[0]) as queues:
        for run in ("old", "new"):
            runs.begin(run, "flow", CHAIN, None, {})
            for queue in ("a", "b"):
                finish(queues, take(queues, queue))
            now[0] += 100
        runs.begin("live", "flow", CHAIN, None, {})
        queues.history.purge(150)
    assert [record.id for record in runs.records()] == ["live", "new"]
    runs.close()


STEPS = definition(
    Step("a"), Step("b", parse("a"), items=2), Step("c", parse("b"), acquire=(("p", 1),)), items={"b": [1, 2]}
)


def go_on(queues: SqliteQueues, runs: SqliteRuns) -> None:
    while state(runs) is RunState.RUNNING:
        for queue in ("a", "b", "c"):
            for lease in claim(queues, queue, 5, lease=60):
                finish(queues, lease, result=lease.job.id)


def in_child(work: Callable[[], None]) -> int:
    """Do `work` in a process of its own; its exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_a_runner_that_dies_at_any_statement_has_moved_a_run_and_its_job_or_neither(
    tmp_path: Path, finished: int
) -> None:
    statement = 0
    while True:
        statement += 1
        path = tmp_path / f"{statement}" / "queues.sqlite3"

        def die(path: Path = path, statement: int = statement) -> None:
            queues = SqliteQueues(path)
            for queue in ("a", "b", "b")[:finished]:
                finish(queues, take(queues, queue), result=1)
            lease = take(queues, ("a", "b", "b")[finished])
            left = [statement]

            def count(_sql: str) -> None:
                left[0] -= 1
                if not left[0]:
                    os._exit(9)

            queues._file.connection.set_trace_callback(count)
            finish(queues, lease, result=1)

        with SqliteQueues(path):
            runs = open_sqlite_runs(path)
            runs.begin("one", "flow", STEPS, None, {"p": 1})
            runs.close()
        code = in_child(die)
        with SqliteQueues(path) as queues:
            runs = open_sqlite_runs(path)
            steps = {(step.path, step.iteration): step for step in runs.steps("one")}
            for record in queues.history.find(Search()):
                _, key, _ = step_of(record.job.id)
                ended = record.outcome is Outcome.SUCCESS
                assert (steps[key].status == "succeeded") is ended, (statement, record)
            reclaim(queues)
            go_on(queues, runs)
            assert state(runs) is RunState.SUCCEEDED
            jobs = [record.job.id for record in queues.history.find(Search())]
            assert sorted(jobs) == ["one:a:1:1", "one:b:1.1:1", "one:b:1.2:1", "one:c:1:1"]
            runs.close()
        if code == 0:
            break
    assert statement > 10  # it has died that many times
