"""Other people's queues, each in a process of its own: their modules make databases and connections when imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]


def huey(folder: Path, chains: int, workers: int, *, fsync: bool) -> float:
    """Seconds that `workers` processes of huey's take for `chains` chains."""
    return _run("huey_chain", chains, workers, BENCHMARK_FOLDER=str(folder), BENCHMARK_FSYNC=str(int(fsync)))


def celery(folder: Path, chains: int, workers: int, prefetch: int) -> float:
    """Seconds that `workers` processes of celery's take for `chains` chains."""
    socket = str(folder / "redis.sock")
    return _run("celery_chain", chains, workers, BENCHMARK_SOCKET=socket, BENCHMARK_PREFETCH=str(prefetch))


def missing() -> dict[str, str]:
    """Who cannot take part on this machine, and what to do about it."""
    found = {}
    for name, modules in (("huey", ["huey"]), ("celery", ["celery", "redis"])):
        if absent := [module for module in modules if importlib.util.find_spec(module) is None]:
            found[name] = f"{' and '.join(absent)} not installed: pip install -e '.[bench]'"
    if "celery" not in found and shutil.which("redis-server") is None:
        found["celery"] = "redis-server is not on PATH: apt-get install redis-server"
    return found


def _run(module: str, chains: int, workers: int, **variables: str) -> float:
    main = f"from contestants import {module}; {module}.main()"  # not -m: tasks bear the name of their module
    command = [sys.executable, "-c", main, str(chains), str(workers)]
    environment = {**os.environ, **variables, "PYTHONPATH": str(HERE)}
    return float(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)
