"""The line between a runner and the command that starts it: JSON lines over a socket, until the command lets go."""

from __future__ import annotations

import asyncio
import contextlib
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
        self._unsent = bytearray()

    def tell(self, event: str, **details: Any) -> None:
        """Send one event; nothing happens when nobody listens any more.

        When the command turns out to be gone, `on_word` gets None soon.
        """
        if not self._open:
            return
        self._unsent += json.dumps({"event": event, **details}).encode() + b"\n"
        self._send()

    def _send(self) -> None:
        """Send what there is, the rest once the command has read."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._send)
        except OSError:
            self._hear_the_last()
        else:
            self._loop.remove_writer(self._socket)

    def _hear_the_last(self) -> None:
        """The command is gone: pass on what it said before (it may have been `keep`), then that it went."""
        last = b""
        with contextlib.suppress(OSError):
            while said := self._socket.recv(4096):
                last += said
        self.close()
        for word in (*last.decode().split(), None):
            self._loop.call_soon(self._on_word, word)

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
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
