"""What a system says of descriptors and processes."""

from __future__ import annotations

import array
import fcntl
import signal
import termios


def readable_bytes(descriptor: int) -> int:
    """How many bytes are there to be read."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def exit_reason(code: int) -> str:
    """How a process with the exit code `code` ended, in words; negative codes are signals, as in subprocess."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
