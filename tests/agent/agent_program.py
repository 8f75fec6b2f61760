"""The agent with its times scaled, and, unless ON_AWS is set, its queues on this disk: run by agent_works.py.

Bots have users of their own where OWN_USERS is set: else those who run the tests need not be root. LEASE is the longest
lease in seconds where queues are on AWS.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from factory_cdk.agent.__main__ import main
from factory_cdk.agent.locations import queue_location
from factory_cdk.agent.release import InstalledRelease
from factory_cdk.agent.service import AgentOptions
from factory_cdk.queues.opening import Location, SqliteLocation
from factory_cdk.state.runner_spec import Timings

QUICK = Timings(retry_first=0.02, restart_first=0.05, restart_most=0.2, lease_most=1.0, poll=0.05)


def on_this_disk(_: InstalledRelease) -> Location:
    return SqliteLocation(Path(sys.argv[1]) / "queues.sqlite3", shared=True)


def options() -> AgentOptions:
    own_users = bool(os.environ.get("OWN_USERS"))
    if os.environ.get("ON_AWS"):
        timings = Timings(lease_most=float(os.environ.get("LEASE", "60")))
        return AgentOptions(locate=queue_location, timings=timings, every=0.2, own_users=own_users)
    return AgentOptions(locate=on_this_disk, timings=QUICK, every=0.2, own_users=own_users)


if __name__ == "__main__":
    sys.exit(main(options()))
