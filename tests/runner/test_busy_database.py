"""Another process keeps the queue database to itself for a while, or the disk is slow: the runner goes on, and loses no
job and no lease.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from local_works import QUICK, Works, bot, until

from factory_cdk.state.requests import ask
from factory_cdk.state.stage_queues import open_queues, queues_location
from factory_cdk.state.status import read_status

SOURCE = "held_sync.c"

BOTS = """
import time
from pathlib import Path

def gated(job):
    while not Path(job.payload).exists():
        job.publish_status("waiting")
        time.sleep(0.001)
    job.publish_status("done")
    return job.attempt

def echo(payload):
    return payload
"""


@contextmanager
def kept(database: Path, *, politely: bool) -> Iterator[None]:
    """Hold SQLite's write lock; `politely`, as our own processes do: with the lock beside it."""
    with (
        database.with_name(f"{database.name}.lock").open("a") as beside,
        closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection,
    ):
        if politely:
            fcntl.flock(beside, fcntl.LOCK_EX)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("politely", [True, False])
def test_a_runner_goes_on_while_another_process_holds_the_write_lock(works: Works, politely: bool) -> None:
    works.write("bots.py", BOTS)
    works.timings = replace(QUICK, lease_most=0.5)
    state = works.build(bot("gated", "bots:gated", to=["echo"], processes=2), bot("echo", "bots:echo"))
    gates = [works.home / "gate-0", works.home / "gate-1"]
    run = works.submit("gated", *map(str, gates))
    until(lambda: [works.worker("gated", number).status for number in (1, 2)] == ["waiting"] * 2)
    with open_queues(state) as queues:
        with kept(queues_location(state).database, politely=politely):
            gates[0].touch()
            until(lambda: sum(works.worker("gated", number).done for number in (1, 2)) == 1)
            request = ask(state, gate="closed")
            until(lambda: (status := read_status(state)) and status.request == request)
            until(lambda: {record.state for record in queues.history.in_hand()} == {"ready"})  # the leases have ended
            until(lambda: (status := read_status(state)) and status.gate == "closing")
        ask(state, gate="open")
        gates[1].touch()
        records = works.wait(run)
        assert queues.history.last_failures(10) == []
    assert sorted((record.job.bot, record.attempts) for record in records) == [("echo", 1)] * 2 + [("gated", 1)] * 2
    assert {str(record.outcome) for record in records} == {"success"}
    status = read_status(state)
    assert status is not None
    assert (status.lost_leases, status.trouble) == (0, None)


@pytest.mark.skipif(
    shutil.which("cc") is None and "ALL_TESTS" not in os.environ,
    reason="what holds syncs up is compiled: install gcc and libc6-dev",
)
def test_a_runner_goes_on_while_a_checkpoint_waits_for_the_disk(
    works: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, syncs = tmp_path / "held_sync.so", tmp_path / "syncs"
    compiler = shutil.which("cc")
    assert compiler, "there is no C compiler (Debian: gcc, libc6-dev)"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, Path(__file__).with_name(SOURCE)]
    subprocess.run(command, check=True)
    syncs.mkdir()
    works.write("bots.py", BOTS)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("HELD_SYNC", str(syncs))
    state = works.build(bot("echo", "bots:echo", to=["again"]), bot("again", "bots:echo"))
    monkeypatch.undo()
    (syncs / "watch").touch()
    (syncs / "hold").touch()
    runs = []

    def made() -> int:
        """How many syncs threads have made."""
        return (syncs / "others").stat().st_size

    def submit_more() -> bool:
        """Have more written; whether a thread has begun a sync."""
        runs.append(works.submit("echo", *["x" * 900] * 20))  # so many pages that a commit would make a checkpoint
        return made() > 0

    def do_many(enough: int) -> bool:
        """Let the runner alone write, also what follows a checkpoint; whether threads have made `enough` syncs."""
        assert len(works.run("echo", *range(1000))) == 2000
        return made() >= enough

    until(submit_more)
    request = ask(state, gate="closed")
    until(lambda: (status := read_status(state)) and status.request == request)
    (syncs / "hold").unlink()
    ask(state, gate="open")
    assert [len(works.wait(run)) for run in runs] == [40] * len(runs)
    enough = made() + 9  # three for a checkpoint: of the log, of the database, and of the new log
    until(lambda: do_many(enough))
    assert not (syncs / "main").exists()
    status = read_status(state)
    assert status is not None
    assert (status.lost_leases, status.trouble) == (0, None)
