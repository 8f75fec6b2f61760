"""The doorbell of a queue: a named pipe that wakes an idle reader in about 1 ms at no cost while it waits.

A bell only says "look now"; what is in the queue is the database's to tell. Rings that nobody hears are lost,
and two readers of one queue share its bell, so a reader also looks every `POLL_SECONDS`; that serves delays
and expired leases too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import select
import stat
from collections.abc import Iterable
from pathlib import Path

from factory_cdk.diagnostics import FactoryError

POLL_SECONDS = 0.5
"""How long a reader that heard no bell may wait before it looks at its queue anyway, in seconds."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_MANY_BYTES = 65536


def bell_path(folder: Path, queue: str) -> Path:
    """The named pipe of `queue` inside `folder`. A name that could not be a file's name is hashed."""
    plain = _PLAIN_NAME.fullmatch(queue)
    return folder / (queue if plain else "~" + hashlib.sha256(queue.encode()).hexdigest())


class Doorbell:
    """The hearing end of a queue's bell. Watch `fileno()` for reading, `drain()` on waking, then receive.

    With asyncio: `loop.add_reader(bell.fileno(), on_ring)`, where `on_ring` drains and claims. Open the bell
    before the first receive, so that nothing sent in between goes unheard. Raises FactoryError where the
    file system has no named pipes.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path, 0o600)
            self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise FactoryError(
                f"cannot make the named pipe {path}: {os.strerror(error.errno or 0)}",
                "keep the factory's state (FACTORY_CDK_HOME) on a local file system that has named pipes",
            ) from error
        if not stat.S_ISFIFO(os.fstat(self._reader).st_mode):
            os.close(self._reader)
            raise FactoryError(f"{path} is in the way: it is no named pipe", "move the file away")
        # A writing end of our own: without one, the pipe would read as ended whenever a ringer goes away.
        self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def closed(self) -> bool:
        """Whether nobody hears it any more."""
        return self._reader < 0

    def fileno(self) -> int:
        """The descriptor that becomes readable when the bell rings."""
        return self._reader

    def drain(self) -> bool:
        """Forget all rings so far; answers whether there was one."""
        try:
            return bool(os.read(self._reader, _MANY_BYTES))
        except BlockingIOError:
            return False

    def wait(self, seconds: float) -> bool:
        """Block until the bell rings or `seconds` have passed; answers whether it rang, and drains it."""
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        return bool(poller.poll(max(0, seconds) * 1000)) and self.drain()

    def close(self) -> None:
        """Let go of the pipe; closing twice is allowed."""
        for descriptor in (self._reader, self._writer):
            if descriptor >= 0:
                os.close(descriptor)
        self._reader = self._writer = -1

    def __enter__(self) -> Doorbell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Ringer:
    """The ringing end of all bells in a folder; keeps the pipes of listening readers open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, int] = {}

    def ring(self, queues: Iterable[str]) -> None:
        """Ring the bell of each queue once. Where nobody listens, nothing happens."""
        for queue in queues:
            if not self._write(queue) and self._reopen(queue):
                self._write(queue)

    def close(self) -> None:
        """Let go of the pipes."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _write(self, queue: str) -> bool:
        """Whether somebody hears: False when no pipe is open or its reader has gone."""
        descriptor = self._open.get(queue)
        if descriptor is None:
            return False
        try:
            os.write(descriptor, b"!")
        except BlockingIOError:  # full of rings that the reader has yet to hear
            return True
        except BrokenPipeError:
            os.close(self._open.pop(queue))
            return False
        return True

    def _reopen(self, queue: str) -> bool:
        try:
            descriptor = os.open(bell_path(self._folder, queue), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENOTDIR):  # no pipe, or no reader
                return False
            raise
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return False
        self._open[queue] = descriptor
        return True
