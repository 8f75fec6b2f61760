"""The agent, but for its queues, which are on this disk, and for its times: run as a program by agent_works.py."""

from __future__ import annotations

import sys
from pathlib import Path

from factory_cdk.agent.__main__ import main
from factory_cdk.agent.service import AgentOptions
from factory_cdk.queues.opening import SqliteLocation
from factory_cdk.state.runner_spec import Timings

QUICK = Timings(retry_first=0.02, restart_first=0.05, restart_most=0.2, lease_most=1.0, poll=0.05)


def options(root: Path) -> AgentOptions:
    return AgentOptions(locate=lambda _: SqliteLocation(root / "queues.sqlite3", shared=True), timings=QUICK, every=0.2)


if __name__ == "__main__":
    sys.exit(main(options(Path(sys.argv[1]))))
