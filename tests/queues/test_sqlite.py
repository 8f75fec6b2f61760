"""The embedded engine keeps the contract of all engines."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Engine, SharedContract
from patience import PATIENCE
from queue_calls import claim, finish, run_jobs, settle_and_claim

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import Finished, Forward, Job, JobRecord, Wanted
from factory_cdk.queues.sqlite.bodies import FILE_BYTES
from factory_cdk.queues.sqlite.engine import SqliteQueues


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "a folder — ünïcode" / "queues.db"
    begun = time.time()
    passed = 0.0

    def advance(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    def open_queues() -> SqliteQueues:
        return SqliteQueues(path, clock=lambda: begun + passed)

    yield Engine(open_queues, advance, factory="factory_cdk.queues.sqlite.engine:SqliteQueues", arguments=[str(path)])


class TestSqlite(SharedContract):
    pass


def test_a_job_that_is_leased_as_it_is_sent_on_is_as_one_that_was_claimed_after_it(tmp_path: Path) -> None:
    def left(name: str, *, at_once: bool) -> tuple[list[JobRecord], list[JobRecord]]:
        """What a database says of a child that is leased, and again when its lease has ended."""
        now = 1000.0
        with SqliteQueues(tmp_path / name, clock=lambda: now) as queues:
            queues.send("a", [Job("parent", "bot", 0, "run", tags={"colour": "red"})])
            (parent,) = claim(queues, "a", 1, lease=60)
            children = [Job(f"child-{size}", "bot", "x" * size, "run", "parent", 1, {"a": "b"}) for size in (1, 5000)]
            done = Finished(parent, [Forward("b", child) for child in children], "result")
            wanted = [Wanted("b", 2, 60)]
            if at_once:
                leases = settle_and_claim(queues, [done], wanted)[1]
            else:
                settle_and_claim(queues, [done], [])
                leases = settle_and_claim(queues, [], wanted)[1]
            assert [(lease.job, lease.queue, lease.deadline) for lease in leases] == [
                (child, "b", 1060.0) for child in children
            ]
            in_hand = run_jobs(queues, "run")
            now += 59.9
            assert claim(queues, "b", 2, lease=60) == []
            now += 1.1
            again = claim(queues, "b", 2, lease=60)
            assert [lease.job.attempt for lease in again] == [2, 2]
            assert not finish(queues, leases[0], []), "whoever had it in hand has lost it"
            assert finish(queues, again[0], [])
            return in_hand, run_jobs(queues, "run")

    assert left("one", at_once=True) == left("two", at_once=False)


def test_the_log_of_a_runner_that_is_never_idle_stays_small(tmp_path: Path) -> None:
    async def work() -> None:
        with SqliteQueues(tmp_path / "queues.db") as queues:
            subscription = queues.subscribe(["a"], lambda: None)
            queues.send("a", [Job("job", "bot", "x" * 500, "run")])
            (lease,) = (await queues.settle_and_claim([], [Wanted("a", 1, 60)]))[1]
            for number in range(2000):
                done = Finished(lease, [Forward("a", Job(f"job-{number}", "bot", "x" * 500, "run"))])
                held, (lease,) = await queues.settle_and_claim([done], [Wanted("a", 1, 60)])
                assert held == [True]
            subscription.close()
            largest = (tmp_path / "queues.db-wal").stat().st_size
            assert largest < 20e6, "16,000 pages were written"

    asyncio.run(work())


def test_closing_waits_for_what_is_done_in_a_thread(tmp_path: Path) -> None:
    async def leave() -> None:
        queues = SqliteQueues(tmp_path / "queues.db")
        queues.send("a", [Job("one", "bot", 1, "run")])
        (lease,) = (await queues.settle_and_claim([], [Wanted("a", 1, 60)]))[1]
        large = "x" * (FILE_BYTES + 1)  # it goes into a file, so a thread settles it
        settling = asyncio.create_task(queues.settle_and_claim([Finished(lease, [], large)], []))
        await asyncio.sleep(0)
        settling.cancel()
        queues.close()

    asyncio.run(leave())
    with SqliteQueues(tmp_path / "queues.db") as queues:
        record = queues.history.job("one")
        assert record is not None
        assert (record.state, len(str(record.result))) == ("success", FILE_BYTES + 1)
    assert [path.name for path in tmp_path.rglob(".staging*")] == []


def test_what_one_event_loop_began_in_a_thread_does_not_hold_up_the_next_loop(tmp_path: Path) -> None:
    with SqliteQueues(tmp_path / "queues.db") as queues:
        queues.send("a", [Job(f"job-{number}", "bot", None, "run") for number in range(600)])
        for _ in range(600):  # several checkpoints; each call has a loop of its own
            (lease,) = claim(queues, "a", 1, lease=60)
            assert finish(queues, lease, [])


def test_what_a_thread_raises_is_told_to_who_asked_for_it_alone(tmp_path: Path) -> None:
    """A runner ends when its loop is told of an exception that nobody has taken."""
    untold: list[object] = []
    go_on, is_full = threading.Event(), False

    def sync(_: int) -> None:
        if is_full:
            assert go_on.wait(PATIENCE)
            raise OSError(errno.ENOSPC, "no space left")

    async def work() -> None:
        nonlocal is_full
        asyncio.get_running_loop().set_exception_handler(lambda _, context: untold.append(context))
        with SqliteQueues(tmp_path / "queues.db", sync=sync) as queues:
            queues.send("a", [Job("one", "bot", 1, "run"), Job("two", "bot", 1, "run")])
            one, two = (await queues.settle_and_claim([], [Wanted("a", 2, 60)]))[1]
            is_full = True
            large = Finished(one, [], "x" * (FILE_BYTES + 1))
            settling = asyncio.create_task(queues.settle_and_claim([large], []))
            waiting = [asyncio.create_task(queues.extend([two], 60)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting.pop().cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(FactoryError, match="the disk is full"):
                await settling
            assert [[lease.job.id for lease in await one] for one in waiting] == [["two"], ["two"]]
            assert (await queues.settle_and_claim([Finished(one)], []))[0] == [True]

    asyncio.run(work())
    gc.collect()
    assert untold == []
