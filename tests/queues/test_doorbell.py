"""The doorbell wakes who waits, costs nobody anything, and is never needed for anything but speed."""

from __future__ import annotations

import asyncio
import select
import stat
from pathlib import Path

import pytest
from queue_calls import claim, fail

from factory_cdk.diagnostics import FactoryError
from factory_cdk.doorbell import Doorbell, Ringer, bell_path
from factory_cdk.queues.port import Failed, Failure, Finished, Forward, Job, Wanted
from factory_cdk.queues.sqlite.engine import SqliteQueues


def rings(bell: Doorbell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def job(name: str) -> Job:
    return Job(name, "bot", None, "run")


@pytest.mark.parametrize("queue", ["plain-name", "Ünï code", "../up", "a/b", "", ".", "x" * 300])
def test_a_ring_is_heard_once_whatever_the_queue_s_name(tmp_path: Path, queue: str) -> None:
    ringer = Ringer(tmp_path / "bells")
    ringer.ring([queue])
    with Doorbell(bell_path(tmp_path / "bells", queue)) as bell:
        assert not rings(bell)
        for _ in range(3):
            ringer.ring([queue])
        assert rings(bell)
        assert bell.drain()
        assert not bell.drain()
        assert not rings(bell)
    ringer.close()
    assert [path.parent for path in tmp_path.rglob("*") if stat.S_ISFIFO(path.stat().st_mode)] == [tmp_path / "bells"]


def test_a_bell_that_was_rung_very_often_never_blocks_the_ringer(tmp_path: Path) -> None:
    ringer = Ringer(tmp_path)
    with Doorbell(bell_path(tmp_path, "q")) as bell:
        for _ in range(70_000):  # more than a pipe holds
            ringer.ring(["q"])
        while bell.drain():
            pass
        ringer.ring(["q"])
        assert rings(bell)
    ringer.close()


def test_a_ringer_finds_the_next_listener_after_the_last_one_left(tmp_path: Path) -> None:
    ringer = Ringer(tmp_path)
    for _ in range(3):
        with Doorbell(bell_path(tmp_path, "q")) as bell:
            ringer.ring(["q"])
            assert bell.drain()
        ringer.ring(["q"])
    ringer.close()


def test_a_bell_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    ringer = Ringer(tmp_path)
    bell = Doorbell(bell_path(tmp_path, "q"))
    ringer.ring(["q"])
    bell.close()
    bell.close()
    ringer.close()
    assert bell.closed
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_file_in_the_place_of_the_pipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("")
    Ringer(tmp_path).ring(["q"])
    with pytest.raises(FactoryError, match="no named pipe"):
        Doorbell(tmp_path / "q")
    assert (tmp_path / "q").read_text() == ""


def test_who_forwards_wakes_others_but_not_itself(tmp_path: Path) -> None:
    async def forward() -> None:
        with SqliteQueues(tmp_path / "q.db") as ours, SqliteQueues(tmp_path / "q.db") as theirs:
            folder = tmp_path / "q.db.bells"
            mine = ours.subscribe(["b"], lambda: None)
            with Doorbell(bell_path(folder, "b")) as same, Doorbell(bell_path(folder, "c")) as other:
                ours.send("a", [job("1"), job("2"), job("3")])
                first, second, third = (await ours.settle_and_claim([], [Wanted("a", 3, 60)]))[1]
                done = Finished(first, [Forward("b", job("1b")), Forward("c", job("1c"))])
                await ours.settle_and_claim([done], [])
                assert not rings(same)
                assert other.drain()
                done = Finished(second, [Forward("c", job("2c"))])
                claimed = (await ours.settle_and_claim([done], [Wanted("c", 2, 60)]))[1]
                assert [lease.job.id for lease in claimed] == ["1c", "2c"]
                assert not rings(other)  # nothing is left for it
                await ours.settle_and_claim([Failed(claimed[0], Failure("Error", "", "", 1), 0)], [])
                assert other.drain()
                await ours.release([claimed[1]])
                assert other.drain()
                await ours.settle_and_claim([Failed(third, Failure("Error", "", "", 1), None)], [])
            mine.close()
            with Doorbell(bell_path(folder, "b")) as other:
                (lease,) = (await theirs.settle_and_claim([], [Wanted("b", 1, 60)]))[1]
                ours.send("a", [job("4")])
                (fourth,) = (await ours.settle_and_claim([], [Wanted("a", 1, 60)]))[1]
                await ours.settle_and_claim([Finished(fourth, [Forward("b", job("4b"))])], [])
                assert other.drain()  # our own bell is closed by now, so it is rung again
                assert (await theirs.settle_and_claim([Finished(lease)], []))[0] == [True]

    asyncio.run(forward())


def test_a_retried_job_rings(tmp_path: Path) -> None:
    with SqliteQueues(tmp_path / "q.db") as queues, Doorbell(bell_path(tmp_path / "q.db.bells", "a")) as bell:
        queues.send("a", [job("one")])
        (lease,) = claim(queues, "a", 1, lease=60)
        fail(queues, lease, Failure("Error", "", "", 1), delay=None)
        bell.drain()
        queues.history.retry(["one"])
        assert bell.drain()
