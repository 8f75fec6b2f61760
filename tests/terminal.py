"""A command on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from patience import PATIENCE


def on_terminal(
    command: Sequence[str], *, columns: int = 80, code: int = 0, env: Mapping[str, str], cwd: Path | None = None
) -> str:
    """What `command`, which exits with `code`, writes to a terminal that has so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=cwd)
    os.close(theirs)
    read = b""
    try:
        while part := os.read(ours, 65536):
            read += part
    except OSError:  # how a terminal on Linux says that nobody writes to it any more
        pass
    os.close(ours)
    text = read.decode().replace("\r\n", "\n")
    assert process.wait(PATIENCE) == code, text
    return text
