"""`factory-cdk build --foreground`: how a factory ends that belongs to a terminal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest
from local_works import lives, until
from patience import PATIENCE
from shell import Shell


@pytest.mark.slow
def test_a_foreground_factory_whose_folder_is_removed_ends_and_says_so(shell: Shell) -> None:
    process = shell.start("build", "--plan", str(shell.plan), "--stage", "other", "--foreground")
    assert process.stdout is not None
    process.stdout.readline()
    workers = shell.workers()
    moved = (shell.home / "factories" / "journey" / "other").rename(shell.folder / "removed")
    shutil.rmtree(moved, ignore_errors=True)  # its runner may be writing there
    out, err = process.communicate(timeout=PATIENCE)
    assert "was removed: there is nothing left to run" in out
    assert "journey/other is not built here any more" in err
    assert not any(lives(row["pid"]) for row in workers)


@pytest.mark.slow
def test_in_the_foreground_it_prints_the_log_until_interrupted_and_keeps_the_queues(shell: Shell) -> None:
    process = shell.start(
        "build", "--plan", str(shell.plan), "--stage", "test", "--foreground", stdout=subprocess.PIPE, process_group=0
    )
    assert process.stdout is not None
    assert "is built" in process.stdout.readline()
    shell.submit("--bot", "cut", "--payload", '"a b"')
    until(lambda: "counting" in process.stdout.readline())
    workers = shell.workers()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "the runner has ended, 0 jobs and 0 dead letters are kept" in err
    assert not any(lives(row["pid"]) for row in workers)
    assert "its runner was ended" in shell.run("ps")[1]


@pytest.mark.slow
def test_a_foreground_build_that_is_killed_takes_its_factory_along(shell: Shell) -> None:
    process = shell.start("build", "--plan", str(shell.plan), "--stage", "test", "--foreground")
    assert process.stdout is not None
    process.stdout.readline()
    workers = shell.workers()
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not any(lives(row["pid"]) for row in workers))
