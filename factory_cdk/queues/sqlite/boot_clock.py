"""A clock for deadlines: seconds since the epoch that no clock step moves, the same in every process.

Leases and delays must mean the same in all processes of a machine, and setting the clock must neither expire
a lease nor hold a delayed job back. So the time since boot is counted (CLOCK_BOOTTIME goes on in suspend),
and the epoch at boot is fixed once per boot, in the database. Where the system does not identify its boots
(macOS), the wall clock is used as it is.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

Clock = Callable[[], float]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str | None:
    """What identifies this boot of the machine, or None where the system does not say."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    try:
        return _BOOT_ID.read_text().strip() or None
    except OSError:
        return None


def read_anchor(connection: sqlite3.Connection, boot: str) -> float | None:
    """The epoch at boot that the database holds for `boot`, in seconds, or None."""
    row = connection.execute("SELECT epoch FROM anchor WHERE boot = ?", (boot,)).fetchone()
    return None if row is None else float(row[0])


def write_anchor(connection: sqlite3.Connection, boot: str) -> float:
    """Fix the epoch at boot for `boot`, from the wall clock, and forget that of earlier boots."""
    epoch = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    connection.execute("DELETE FROM anchor")
    connection.execute("INSERT INTO anchor VALUES (?, ?)", (boot, epoch))
    return epoch


def steady_clock(epoch: float) -> Clock:
    """A clock that counts from `epoch`, the time of boot in seconds since the epoch."""
    gettime, which = time.clock_gettime, time.CLOCK_BOOTTIME
    return lambda: epoch + gettime(which)
