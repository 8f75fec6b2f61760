"""The power fails while real processes write: every call that they made of the disk is known, the syncs of SQLite among
them, and 200 images of what could be left are each drained. No acknowledged job may be lost, whatever is left.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from disk import Disk, Record, read_trace
from disk_writers import NEXT, SIZES, onward, payload
from patience import PATIENCE
from queue_calls import claim, reclaim, settle_and_claim

from factory_cdk.queues.port import Wanted
from factory_cdk.queues.sqlite.engine import SqliteQueues

HERE = Path(__file__).parent
CUTS = 50


pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the calls of processes are traced as Linux names them"),
    pytest.mark.skipif(
        shutil.which("cc") is None and "ALL_TESTS" not in os.environ,
        reason="what traces the disk is compiled: install gcc and libc6-dev",
    ),
]


def traced(folder: Path, seed: int) -> list[Record]:
    """What a submitter alone, and then one and two workers, asked of the disk below `folder`/disk."""
    library, trace, disk = folder / "disk_trace.so", folder / "trace", folder / "disk"
    compiler = shutil.which("cc")
    assert compiler, "there is no C compiler"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, HERE / "disk_trace.c"]
    subprocess.run(command, check=True)
    trace.touch()
    disk.mkdir()
    environ = {**os.environ, "LD_PRELOAD": str(library), "DISK_FOLDER": str(disk), "DISK_TRACE": str(trace)}
    for name, roles in (("alone", ["send"]), ("together", ["send", "work", "work"])):
        command = [sys.executable, str(HERE / "disk_writers.py")]
        writers = [
            subprocess.Popen([*command, role, name, str(disk), f"{seed} {number}"], env=environ)
            for number, role in enumerate(roles)
        ]
        try:
            assert [writer.wait(PATIENCE) for writer in writers] == [0] * len(roles)
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
    return list(read_trace(trace))


def ends_of(path: Path) -> dict[str, object]:
    """Finish everything that is in the image; the payloads at the end of each chain."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    with SqliteQueues(path, sync=lambda _: None) as queues:
        reclaim(queues)
        while leases := settle_and_claim(queues, [], [Wanted(queue, 1000, 60) for queue in NEXT])[1]:
            settle_and_claim(queues, [onward(lease) for lease in leases], [])
        assert [queues.history.dead_letters(queue, 10) for queue in (*NEXT, "end")] == [[], [], []]
        return {lease.job.id: lease.job.payload for lease in claim(queues, "end", 10_000, lease=60)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_acknowledged_job_is_lost_whenever_the_power_fails(tmp_path: Path, seed: int) -> None:
    records = traced(tmp_path, seed)
    kinds = {(record.kind, Path(record.path).name.partition("queues.db")[2]) for record in records}
    assert {("S", ""), ("S", "-wal"), ("U", "-wal"), ("R", "")} <= kinds  # checkpoints, closings and bodies are there
    dice = random.Random(seed)  # noqa: S311
    disk, acknowledged, played = Disk(str(tmp_path / "disk")), "", 0
    for number, cut in enumerate(sorted(dice.sample(range(len(records)), CUTS))):
        for record in records[played:cut]:
            if record.path.endswith("/acknowledged") and record.kind == "W":
                acknowledged += record.data.decode()
            disk.play(record)
        played = cut
        image = tmp_path / f"image-{number}"
        disk.lose_power(image, dice)
        ends = ends_of(image / "queues.db")
        lost = [job for job in acknowledged.split() if f"{job}>>" not in ends]
        assert lost == [], f"cut before call {cut} of {len(records)}: {records[cut]}"
        changed = [job for job, content in ends.items() if content not in may_carry(job.rstrip(">"))]
        assert changed == []
        shutil.rmtree(image)
    assert acknowledged


def may_carry(job: str) -> list[str]:
    return [payload(job, size) for size in SIZES]
