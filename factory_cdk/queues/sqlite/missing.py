"""Whether a queue database that must be there is there: SQLite would make a new one without a word."""

from __future__ import annotations

import time
from pathlib import Path

from factory_cdk.queues.port import DamagedError
from factory_cdk.queues.sqlite.file import Paths

LOOKS, PAUSE = 3, 0.01
"""How often, so many seconds apart, a log has to be missed: others may open and close the database meanwhile."""


def refuse_missing(path: Path) -> None:
    """DamagedError when the database at `path`, or its log, is missing: what was acknowledged would be gone."""
    if path.is_dir():
        raise DamagedError(f"queue database {path} is a folder")
    if not path.exists():
        raise DamagedError(f"queue database {path} is missing")
    if not path.stat().st_size:
        raise DamagedError(f"queue database {path} is empty")
    for look in range(LOOKS):
        if not Paths(path).log_is_missing:
            return
        if look < LOOKS - 1:
            time.sleep(PAUSE)
    raise DamagedError(f"queue database {path}: its log (-wal) is missing, and with it what was done last")
