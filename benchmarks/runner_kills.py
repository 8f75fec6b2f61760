"""How soon the job of a worker that was killed (SIGKILL, in the middle of it) runs again.

With one worker for the bot its understudy steps in; with two, whoever is first. Kills are half a second apart.

    python benchmarks/runner_kills.py [--kills 50] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

from factory_cdk.local import factory
from factory_cdk.local.building import Order, build
from factory_cdk.pack.compiling import design_packed
from factory_cdk.plan.load import read_plan

BOT = """
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


def measure(processes: int, kills: int) -> list[float]:
    """Milliseconds from the kill to the first line of the second attempt, for every kill, sorted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "code").mkdir()
        (folder / "code" / "holding.py").write_text(BOT)
        plan = {
            "name": "bench",
            "bots": {"hold": {"source": {"path": "code"}, "bot_path": "holding:hold"}},
            "stages": {"kills": {"here": {"type": "local", "bots": {"hold": {"processes": processes}}}}},
        }
        (folder / "plan.yml").write_text(json.dumps({"factory": plan}))
        home = folder / "home"
        design = design_packed(read_plan(str(folder / "plan.yml")), "kills", cache=home / "cache" / "pack")
        build(design, Order(home), lambda line: None)
        try:
            return sorted(_kill(home, folder) for _ in range(kills))
        finally:
            factory.demolish(factory.find(home, "bench"), lambda line: None, lambda left: True)


def _kill(home: Path, folder: Path) -> float:
    time.sleep(PAUSE)
    submission = factory.submit(home, "bench", None, "hold", [str(folder)])
    pid, _ = _mark(folder / f"{submission.ids[0]}.1")
    killed = time.monotonic()
    os.kill(int(pid), signal.SIGKILL)
    _, again = _mark(folder / f"{submission.ids[0]}.2")
    for _ in factory.wait(home, "bench", None, submission.run):
        pass
    return (again - killed) * 1000


def _mark(path: Path) -> tuple[float, float]:
    while not path.exists():
        time.sleep(0.001)
    pid, moment = path.read_text().split()
    return float(pid), float(moment)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for processes in (1, 2):
        found = measure(processes, arguments.kills)
        rows.append(
            {
                "workers": processes,
                "p50_ms": round(statistics.median(found), 1),
                "p99_ms": round(found[int(len(found) * 0.99)], 1),
            }
        )
    if arguments.json:
        print(json.dumps({"cores": os.cpu_count(), "kills": arguments.kills, "rows": rows}, indent=2))
        return
    for row in rows:
        print(f"{row['workers']} workers: running again after {row['p50_ms']} ms p50, {row['p99_ms']} ms p99")


if __name__ == "__main__":
    main()
