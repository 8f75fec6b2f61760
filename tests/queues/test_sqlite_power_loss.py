"""The power fails: of the log only what was synced is certain. No acknowledged job may be lost, whatever else
is left of the file.

An image is the database and its log as a disk could hold them after a power loss: the log cut anywhere after
the last sync, sometimes with noise where the rest was. What was not acknowledged may be there or not.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from queue_calls import claim, finish, settle_and_claim

from factory_cdk.queues.port import Finished, Forward, Job, Wanted
from factory_cdk.queues.sqlite.bodies import FILE_BYTES
from factory_cdk.queues.sqlite.engine import SqliteQueues

LOG_HEADER = 32
NEXT = {"a": "b", "b": "end"}
LARGE = "x" * (FILE_BYTES + 1)


class Disk:
    """The files of a queue database, and how much of the log is certain to be on the disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "queues.db"
        self.log = folder / "queues.db-wal"
        self.certain = 0
        self.generation = b""

    def sync(self, descriptor: int) -> None:
        """What the engine takes for os.fsync."""
        if os.path.sameopenfile(descriptor, self._descriptor()):
            self.note_sync()

    def note_sync(self) -> None:
        self.certain = self.log.stat().st_size
        self.generation = self._generation()

    def image(self, folder: Path, dice: random.Random) -> Path:
        """What a power loss now could leave, in a new folder."""
        shutil.copytree(self.path.parent, folder, ignore=shutil.ignore_patterns("*.bells", "*-shm", "*-wal", "*.lock"))
        log = self.log.read_bytes()
        # Once the log starts anew, everything synced before has moved into the database.
        certain = self.certain if self.generation == self._generation() else min(LOG_HEADER, len(log))
        cut = dice.randint(certain, len(log))
        noise = dice.randbytes(len(log) - cut) if dice.random() < 0.5 else b""
        (folder / self.log.name).write_bytes(log[:cut] + noise)
        return folder / self.path.name

    def _descriptor(self) -> int:
        if not hasattr(self, "_open"):
            self._open = os.open(self.log, os.O_RDONLY)
        return self._open

    def _generation(self) -> bytes:
        return self.log.read_bytes()[16:24]  # the salts of the log's header


def turn(queues: SqliteQueues, dice: random.Random) -> None:
    """Take some jobs of any queue and send them on."""
    wanted = [Wanted(queue, dice.randint(0, 3), 60) for queue in NEXT]
    leases = settle_and_claim(queues, [], wanted)[1]
    settled = [
        Finished(
            lease,
            [Forward(NEXT[lease.queue], Job(lease.job.id + ">", "bot", lease.job.payload, "run", lease.job.id))],
            lease.job.payload,
        )
        for lease in leases
        if dice.random() < 0.9
    ]
    settle_and_claim(queues, settled, [])


def ends_of(path: Path) -> list[str]:
    """Finish everything that is in the image; the ids at the end of each chain."""
    with SqliteQueues(path, clock=lambda: 1e9, sync=lambda _: None) as queues:
        wanted = [Wanted(queue, 1000, 60) for queue in NEXT]
        while leases := settle_and_claim(queues, [], wanted)[1]:
            settle_and_claim(
                queues,
                [
                    Finished(lease, [Forward(NEXT[lease.queue], Job(lease.job.id + ">", "bot", None, "run"))])
                    for lease in leases
                ],
                [],
            )
        return [lease.job.id for lease in claim(queues, "end", 10_000, lease=60)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_acknowledged_job_is_lost_wherever_the_log_is_cut(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    acknowledged: list[str] = []
    now = 1000.0
    with SqliteQueues(disk.path, clock=lambda: now, sync=lambda one: disk.log.exists() and disk.sync(one)) as queues:
        for number in range(50):
            names = [f"{number}-{one}" for one in range(dice.randint(1, 3))]
            large = number == 5
            queues.send("a", [Job(name, "bot", LARGE + name if large else name, "run") for name in names])
            acknowledged += names
            for _ in range(dice.randint(0, 4)):
                turn(queues, dice)
            if dice.random() < 0.1:
                checkpoint(disk, dice)
                for _ in range(dice.randint(0, 3)):
                    turn(queues, dice)
            image = disk.image(tmp_path / f"image-{number}", dice)
            with sqlite3.connect(image) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.close()
            assert sorted(ends_of(image)) == sorted(f"{name}>>" for name in acknowledged)
            shutil.rmtree(image.parent)


def checkpoint(disk: Disk, dice: random.Random) -> None:
    """Move the log into the database, as SQLite does now and then; it syncs both."""
    connection = sqlite3.connect(disk.path)
    connection.execute(f"PRAGMA wal_checkpoint({dice.choice(['PASSIVE', 'RESTART'])})")
    disk.note_sync()
    connection.close()


def test_a_send_returns_only_after_the_log_and_every_large_payload_were_synced(tmp_path: Path) -> None:
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append(next(kind for path, kind in kinds() if path.stat().st_ino == found.st_ino))

    def kinds() -> list[tuple[Path, str]]:
        folder = tmp_path / "queues.db.bodies"
        bodies = [(path, "folder" if path.is_dir() else "body") for path in folder.rglob("*")]
        return [(tmp_path, "folder"), (tmp_path / "queues.db-wal", "log"), (folder, "folder"), *bodies]

    with SqliteQueues(tmp_path / "queues.db", sync=sync) as queues:
        synced.clear()
        queues.send("a", [Job("small", "bot", 1, "run")])
        assert synced == ["log"]
        synced.clear()
        queues.send("a", [Job("large", "bot", LARGE, "run")])
        assert synced == ["body", "folder", "folder", "folder", "log"]
        synced.clear()
        turn(queues, random.Random(1))  # noqa: S311
        assert synced == []


def test_the_file_of_a_large_payload_goes_only_after_its_end_was_synced(tmp_path: Path) -> None:
    there: list[int] = []

    def sync(_: int) -> None:
        there.append(len([path for path in (tmp_path / "queues.db.bodies").rglob("*") if path.is_file()]))

    now = 1000.0
    with SqliteQueues(tmp_path / "queues.db", clock=lambda: now, sync=sync) as queues:
        queues.send("a", [Job("large", "bot", LARGE, "run")])
        (lease,) = claim(queues, "a", 1, lease=60)
        finish(queues, lease, [])
        there.clear()
        now = 2000.0
        assert queues.history.purge(0) == 1
    assert there == [1]
    assert [path for path in (tmp_path / "queues.db.bodies").rglob("*") if path.is_file()] == []
