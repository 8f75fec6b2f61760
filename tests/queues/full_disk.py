"""Fills a small disk with jobs; run as root of a user namespace with mounts of its own (`unshare -rm`).

Says as JSON what was refused, and how many acknowledged jobs are there once there is space again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import Job
from factory_cdk.queues.sqlite.engine import SqliteQueues

sys.path.append(str(Path(__file__).parents[1]))
from queue_calls import claim


def main() -> None:
    disk = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True)
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    payload = "y" * int(sys.argv[2])
    acknowledged = []
    refused = None
    queues = SqliteQueues(disk / "queues.db")
    for number in range(100_000):
        try:
            queues.send("a", [Job(f"{number}", "bot", f"{payload}{number}", "run")])
        except FactoryError as error:
            refused = [error.message, error.remedy]
            break
        acknowledged.append(f"{number}")
    held = claim(queues, "a", 0, lease=60)
    queues.close()
    ballast.unlink()
    with SqliteQueues(disk / "queues.db") as queues:
        there = [lease.job.id for lease in claim(queues, "a", 200_000, lease=60)]
        queues.send("a", [Job("one more", "bot", 1, "run")])
    left = [path.name for path in disk.rglob(".staging-*")]
    print(json.dumps({"refused": refused, "acknowledged": acknowledged, "there": there, "held": held, "left": left}))


if __name__ == "__main__":
    main()
