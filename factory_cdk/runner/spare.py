"""The spare process of a pool: an interpreter that is started and told nothing, to step in where a worker dies.

Half of what a dead worker's job waits for is a new interpreter's start, several times as long on a busy machine;
an spare process has that behind it. The bot is loaded only when it steps in, so it costs a few megabytes of memory,
whatever the bot does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from factory_cdk.runner.guardian import Guardian
from factory_cdk.runner.process import WorkerProcess

SOON = 0.2
"""Seconds after a pool became ready until its spare process is started: its jobs come first."""


class SpareProcess:
    """At most one spare process, made by `start`, which may raise OSError: then there is none."""

    def __init__(self, start: Callable[[], WorkerProcess], guardian: Guardian) -> None:
        self._start, self._guardian = start, guardian
        self._process: WorkerProcess | None = None
        self._engaging: asyncio.TimerHandle | None = None

    def start_soon(self) -> None:
        """Have one soon, if there is none."""
        if self._process is None and self._engaging is None:
            self._engaging = asyncio.get_running_loop().call_later(SOON, self._engage)

    def take(self) -> WorkerProcess | None:
        """The process, which is its taker's from now on; None when there is none."""
        process, self._process = self._process, None
        return process

    def dismiss(self) -> None:
        """End it, and engage no other."""
        if self._engaging:
            self._engaging.cancel()
            self._engaging = None
        if self._process:
            self._process.kill()

    def _engage(self) -> None:
        self._engaging = None
        try:
            process = self._start()
        except OSError:
            return  # no process can be started now: a worker that dies is replaced by a new one later
        self._process = process
        self._guardian.watch(process.pid)
        process.report_to(on_message=_ignore, on_output=_ignore, on_end=lambda code: self._on_end_of(process))

    def _on_end_of(self, process: WorkerProcess) -> None:
        self._guardian.forget(process.pid)
        if self._process is process:
            self._process = None


def _ignore(_: object) -> None:
    """What it says before it is told anything is nothing to us."""
