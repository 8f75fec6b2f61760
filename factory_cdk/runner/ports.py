"""What pools, slots, updates and the gate need from outside: the time, worker processes, and who ends what is left.

A runner passes LoopClock, `start_worker` (process.py) and its Guardian. Nothing else in these modules asks for the time
or starts a process, so that their tests can say when time passes and what a process does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from factory_cdk.state.runner_spec import PoolSpec

Message = dict[str, Any]
"""One message to or from a worker process; the docstring of `factory_cdk.worker` lists them all."""


class Timer(Protocol):
    """A call that was asked for."""

    def cancel(self) -> None:
        """Do not call; nothing happens when it was called or cancelled already."""


class Clock(Protocol):
    """The time, in seconds."""

    def monotonic(self) -> float:
        """Never goes back; its zero means nothing."""

    def time(self) -> float:
        """Since the epoch."""

    def call_later(self, seconds: float, then: Callable[..., object], *arguments: object) -> Timer:
        """Call `then` after `seconds` (0: soon, never before this returns)."""


class Process(Protocol):
    """A worker process (WorkerProcess in process.py says more). `mark` is what it, and what it starts, is known by."""

    @property
    def pid(self) -> int:
        """Its process id, also the id of its process group."""

    @property
    def mark(self) -> str:
        """The value of subreaper.MARK among its variables."""

    def report_to(
        self,
        *,
        on_message: Callable[[Message], None],
        on_output: Callable[[bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        """Say who gets its messages, what it prints and, last of all, its exit code."""

    def send(self, message: Message) -> None:
        """Send `message`; nothing happens when it has ended."""

    def hand_over(self, jobs: Sequence[list[Any]]) -> bool:
        """Send jobs, each of which it may begin unless it is taken back first; False when it has ended."""

    def take_back(self, most: int) -> int:
        """Take back all jobs that it has not begun, the last of the `most` that it has; how many these are."""

    def pass_over(self, count: int) -> bool:
        """It says that it passed over `count` jobs: whether all of these were taken back from it."""

    def refuse(self, why: str) -> None:
        """Say in its log `why` it is killed, and hear no message any more."""

    def kill(self) -> None:
        """Kill it; `on_end` follows."""


StartWorker = Callable[[PoolSpec], Process]
"""Starts a process for a worker of a pool spec. Raises OSError when the system cannot start it."""


class ProcessGuard(Protocol):
    """Ends what workers leave behind; the runner knows more of it (Guardian in guardian.py)."""

    def watch(self, pid: int, mark: str) -> None:
        """The worker `pid` was started; `mark` is what it, and what it starts, is known by."""

    def forget(self, pid: int) -> None:
        """The worker `pid` has ended: what it left behind is ended too."""


class LoopClock:
    """The clock of an asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.monotonic = time.monotonic  # as loop.time, which costs a call more for each job
        self.time = time.time

    def call_later(self, seconds: float, then: Callable[..., object], *arguments: object) -> Timer:
        """Call `then` in a later turn of the loop."""
        return self._loop.call_later(seconds, then, *arguments)
