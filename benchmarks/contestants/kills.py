"""How soon the job of a worker that was killed (SIGKILL, in the middle of it) runs again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from contestants.factory import NAME, Running
from factory_cdk.lifecycle import verbs as factory

HOLD = """
import os, time

def hold(job):
    folder = job.payload
    name = f"{folder}/{job.id}.{job.attempt}"
    with open(name + ".new", "w") as file:
        file.write(f"{os.getpid()} {time.monotonic()}")
    os.rename(name + ".new", name)
    while job.attempt == 1:
        time.sleep(1)
"""
PAUSE = 0.5
"""Seconds between two kills: time enough for the runner to have nothing else to do."""


def milliseconds(folder: Path, kills: int) -> list[float]:
    """From each kill to the first line of the second attempt, with one worker; sorted."""
    with Running(folder, ("hold",), code=HOLD, target="hold") as running:
        return sorted(_kill(running.home, folder) for _ in range(kills))


def _kill(home: Path, folder: Path) -> float:
    time.sleep(PAUSE)
    submission = factory.submit(home, NAME, None, "hold", [str(folder)])
    pid, _ = _mark(folder / f"{submission.ids[0]}.1")
    killed = time.monotonic()
    os.kill(int(pid), signal.SIGKILL)
    _, again = _mark(folder / f"{submission.ids[0]}.2")
    for _ in factory.wait(home, NAME, None, submission.run):
        pass
    return (again - killed) * 1000


def _mark(path: Path) -> tuple[float, float]:
    while not path.exists():
        time.sleep(0.001)
    pid, moment = path.read_text().split()
    return float(pid), float(moment)
