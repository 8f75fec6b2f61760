"""Deadlines are counted on a clock that nobody can set, the same in every process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from factory_cdk.queues.sqlite.boot_clock import boot_id
from factory_cdk.queues.sqlite.file import QueueFile

pytestmark = pytest.mark.skipif(boot_id() is None, reason="this system does not identify its boots")


def opened(path: Path) -> QueueFile:
    return QueueFile(path, clock=None, wall=None, sync=None)


def now_in(path: Path) -> float:
    with closing(opened(path)) as file:
        return file.clock()


def set_anchor(path: Path, boot: str | None, epoch: float) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE anchor SET boot = ?, epoch = ?", (boot or boot_id(), epoch))
    connection.close()


def test_the_clock_starts_at_the_wall_clock_s_time(tmp_path: Path) -> None:
    before = time.time()
    assert before - 1 <= now_in(tmp_path / "q.db") <= time.time() + 1


def test_all_processes_of_a_boot_count_from_the_same_time_whatever_the_wall_clock_says(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    with closing(opened(path)):
        set_anchor(path, None, 500_000.0)  # as if the wall clock had been stepped by decades since
    script = """
import sys
from pathlib import Path
from factory_cdk.queues.sqlite.file import QueueFile
print(QueueFile(Path(sys.argv[1]), clock=None, wall=None, sync=None).clock())
"""
    with closing(opened(path)) as file:
        before = file.clock()
        told = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
        assert before <= float(told.stdout) <= file.clock()
        assert before < time.time() - 1e6


def test_after_a_reboot_the_clock_starts_anew_from_the_wall_clock(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    with closing(opened(path)):
        set_anchor(path, "an earlier boot", 500_000.0)
    assert abs(now_in(path) - time.time()) < 60
