"""The line between a runner and the command that starts it: JSON lines over a socket, until the command lets go."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any


class Reporter:
    """The runner's end. `on_word` gets what the command says (`keep`), and None when it went away."""

    def __init__(self, connection: socket.socket, on_word: Callable[[str | None], None]) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._on_word = on_word
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)
        self._open = True

    def tell(self, event: str, **details: Any) -> None:
        """Send one event; nothing happens when nobody listens any more."""
        if not self._open:
            return
        try:
            self._socket.sendall(json.dumps({"event": event, **details}).encode() + b"\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        try:
            said = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self.close()
            self._on_word(None)
            return
        for word in said.decode().split():
            self._on_word(word)
