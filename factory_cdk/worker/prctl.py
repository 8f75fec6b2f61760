"""What a process may ask of the Linux kernel about itself (prctl(2)), from Python."""

from __future__ import annotations

import sys

SET_PDEATHSIG = 1
"""Be sent a signal when the parent ends."""

SET_DUMPABLE = 4
"""0: no core file, and nobody but root may trace this process, or read its memory and variables in /proc."""

SET_CHILD_SUBREAPER = 36
"""1: be the parent of all descendants whose own parent has ended."""


def prctl(option: int, value: int) -> bool:
    """Ask for `option`; False where that is not known: on other systems, and in a Python built without libffi."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        import ctypes  # noqa: PLC0415 (some Pythons lack it)
    except ImportError:
        return False
    asked: int = ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    return asked == 0
