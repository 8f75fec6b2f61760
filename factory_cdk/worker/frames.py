"""Frames: JSON messages with a length in front, over the socket between a runner and a worker."""

from __future__ import annotations

import gc
import os
import select
import struct
import sys

from .errors import CUT, LONGEST_MESSAGE, LONGEST_TRACEBACK, LONGEST_TYPE
from .jsontext import decode_text, encode_text
from .permits import NUMBERS
from .size import LARGEST_PAYLOAD

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]
    """One message: a mapping with a `kind`; the package's docstring lists them all."""

HEADER = struct.Struct(">I")
CHUNK = 1 << 16
"""Bytes read at once; malloc maps and unmaps pages for every buffer that is larger than 128 KiB."""

LONGEST_STATUS = 200
_LONGEST = {"type": LONGEST_TYPE, "message": LONGEST_MESSAGE, "traceback": LONGEST_TRACEBACK}

LARGEST = 1 << 30
"""A frame over 1 GiB is not a message but something that wrote to the wrong descriptor."""

LARGEST_SAID = LARGEST_PAYLOAD + (1 << 20)
"""Bytes of the largest frame of a worker: a result, an error whose letters are all escaped, or the ids of many jobs."""

LARGE = 1 << 20
"""Bytes from which the collector of cyclic garbage, of which JSON has none, would take most of the time of reading."""


class FrameError(Exception):
    """What arrived is not a frame."""


def encode(message: Message) -> bytes:
    """The frame of `message`. Raises TypeError or ValueError for what JSON cannot hold, NaN among it."""
    body = encode_text(message).encode()
    return HEADER.pack(len(body)) + body


def check_said(message: Message) -> None:
    """FrameError when `message` says what a worker may say, but not in the shape in which a shim says it."""
    kind = message.get("kind")
    if kind in ("done", "failed") and not isinstance(message.get("id"), str):
        raise FrameError(f"`{kind}` without the id of a job")
    if kind == "done" and "result" not in message:
        raise FrameError("`done` without a result")
    if kind in ("failed", "broken"):
        error = message.get("error")
        if not isinstance(error, dict) or not all(
            isinstance(error.get(part), str) and len(error[part]) <= longest + len(CUT)
            for part, longest in _LONGEST.items()
        ):
            raise FrameError(f"`{kind}` without an error, or with one that is too long")
    if kind == "returned":
        ids = message.get("ids")
        if not isinstance(ids, list) or len(ids) > NUMBERS or not all(isinstance(one, str) for one in ids):
            raise FrameError("`returned` without the ids of jobs, or with more than there can be")
    if kind == "passed":
        count = message.get("count")
        if type(count) is not int or count < 1:
            raise FrameError("`passed` without a count of jobs")
    if kind == "status":
        status = message.get("status")
        if not isinstance(status, str) or len(status) > LONGEST_STATUS:
            raise FrameError("`status` without a status, or with one that is too long")


class FrameBuffer:
    """Collects bytes as they arrive and gives out the messages that are complete, of up to `largest` bytes each."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._bytes = bytearray()
        self._largest = largest

    def __len__(self) -> int:
        """How many bytes are held of what is not complete, or was not given out."""
        return len(self._bytes)

    def feed(self, received: bytes, most: int = sys.maxsize) -> list[Message]:
        """Add `received`; returns the messages that are complete, in order, up to `most` of them: the rest is for the
        next time. Raises FrameError.
        """
        self._bytes += received
        messages: list[Message] = []
        start = 0
        available = len(self._bytes)
        while available - start >= HEADER.size and len(messages) < most:
            (length,) = HEADER.unpack_from(self._bytes, start)
            if length > self._largest:
                raise FrameError(f"a frame of {length} bytes")
            end = start + HEADER.size + length
            if end > available:
                break
            try:
                message = _decode(self._bytes[start + HEADER.size : end].decode())
            except (ValueError, RecursionError) as error:
                raise FrameError(str(error)) from None
            if not isinstance(message, dict):
                raise FrameError("a frame that holds no mapping")
            messages.append(message)
            start = end
        del self._bytes[:start]
        return messages


def _decode(text: str) -> Any:
    if len(text) < LARGE or not gc.isenabled():
        return decode_text(text)
    gc.disable()
    try:
        return decode_text(text)
    finally:
        gc.enable()


class Channel:
    """The worker's end of the socket `descriptor`: blocking, and used by one thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = FrameBuffer()
        self._messages: list[Message] = []
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def send(self, message: Message) -> None:
        """Send `message`; an OSError means that the runner is gone."""
        self.send_frame(encode(message))

    def send_frame(self, frame: bytes) -> None:
        """Send what `encode` made."""
        sent = os.write(self._descriptor, frame)
        if sent < len(frame):
            rest = memoryview(frame)[sent:]
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def receive(self) -> Message | None:
        """Wait for the next message; None when the runner is gone."""
        while not self._messages:
            try:
                received = os.read(self._descriptor, CHUNK)
            except ConnectionError:
                return None
            if not received:
                return None
            self._messages = self._buffer.feed(received)
        return self._messages.pop(0)

    def waiting(self, seconds: float = 0.0) -> bool:
        """Whether `receive` would return at once (a message, or the runner's end), or would within `seconds`."""
        return bool(self._messages or self._poll.poll(seconds * 1000))
