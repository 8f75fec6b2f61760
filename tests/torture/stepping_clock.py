"""A wall clock that steps, for real processes: a small library that is compiled here and preloaded into them.

libfaketime would do that too, but it breaks every sleep until a moment of the monotonic clock (0.9.10), and the
semaphore that it shares between processes is held for ever by one that is killed as it starts.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class SteppingClock:
    """A clock in `folder`. `variables` are for the processes that are to see it; `step` moves it for all of them."""

    def __init__(self, folder: Path) -> None:
        library, file = folder / "stepping_clock.so", folder / "clock"
        compiler = shutil.which("cc")
        assert compiler, "there is no C compiler (Debian: gcc, libc6-dev)"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", library, SOURCE], check=True)
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), 8)
        self.variables = {"LD_PRELOAD": str(library), "STEPPING_CLOCK": str(file)}

    def step(self, seconds: int) -> None:
        """From now on the clock is `seconds` ahead of the true one (or behind, when it is negative)."""
        self._shared[:] = struct.pack("=q", seconds)
