"""The gate of a runner: whether its pools are given jobs, and how it is closed, for a while or for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from factory_cdk.runner.pool import PoolEvents, WorkerPool
from factory_cdk.runner.pool_set import PoolSet
from factory_cdk.runner.ports import Clock
from factory_cdk.runner.rolling_update import ENDING

StartTask = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts a task; when it raises, the runner says so and ends."""


class Gate:
    """The gate before `pool_set`. `state` is `closed`, `open`, `closing`, `ending` or `ended`.

    `unsettled` says whether results of pools wait for the queues, `publish` is called when the gate is closed, for
    which somebody may wait, and `grace` is how many seconds an idle worker may take to end.
    """

    def __init__(
        self,
        pool_set: PoolSet,
        events: PoolEvents,
        clock: Clock,
        start_task: StartTask,
        *,
        unsettled: Callable[[Iterable[WorkerPool]], bool],
        publish: Callable[[], None],
        grace: float,
    ) -> None:
        self._pool_set, self._events, self._clock, self._start_task = pool_set, events, clock, start_task
        self._unsettled, self._publish, self._grace = unsettled, publish, grace
        self._changed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._signalled = False
        self.state = "closed"

    @property
    def ending(self) -> bool:
        """Whether the runner was told to end."""
        return self._ending is not None

    @property
    def is_closing(self) -> bool:
        """Whether it is being closed: some pools may be given jobs, others none any more."""
        return self.state == "closing"

    def note_change(self) -> None:
        """To be called when anything has changed: closing waits for what is in hand, ending for the workers to end."""
        self._changed.set()

    def open(self, *, keep_stopped: bool) -> None:
        """Let the pools take jobs, but, with `keep_stopped`, for those that their plan stopped. Nothing when the runner
        is ending.
        """
        if self.ending:
            return
        if self._closing:
            self._closing.cancel()
            self._closing = None
        self.state = "open"
        for pool in self._pool_set.at_work:
            pool.open = not (keep_stopped and pool.pool_spec.arguments.stop)
            if not keep_stopped:
                pool.resume()
            elif pool.broken or not pool.alive:
                pool.start()
        self._events.fetch()
        self._events.changed()

    def close(self) -> None:
        """Take no more jobs; it is closed once what is in hand is done. Nothing when it is not open."""
        if self.state == "open":
            self.state = "closing"
            self._closing = self._start_task(self._close("closed"))

    def on_signal(self) -> None:
        """The first signal ends warm, whatever else has ended the runner already; the second cold."""
        again, self._signalled = self._signalled, True
        if again or not self.ending:
            self.end(cold=again)
        else:
            self._events.log("a signal: it is ending already; another ends it cold", "INFO")

    def end(self, *, cold: bool) -> None:
        """End the runner warm, or, also while it is ending warm, cold."""
        how = "ending cold: jobs in hand go back" if cold else "ending warm: jobs in hand are finished"
        self._events.log(how, "INFO")
        if self._closing:
            self._closing.cancel()
        self._pool_set.cancel_update(ENDING)
        if cold:
            self._kill()
        if self._ending is None:
            self._ending = self._start_task(self._shut_down(cold=cold))
        self.state = "ending"
        self._events.changed()

    async def wait_until_ended(self) -> None:
        """Wait until the runner was told to end and no worker is left."""
        while self._ending is None:
            await self._next_change()
        await self._ending

    async def _close(self, then: str) -> None:
        """Stop taking jobs, one bot after the other along the workflow, each when its jobs in hand are done."""
        for pools in self._pool_set.in_order():
            for pool in pools:
                pool.open = False
            await self._wait_for(lambda: not any(pool.in_hand for pool in pools) and not self._unsettled(pools))  # noqa: B023
        self.state = then
        self._publish()  # someone waits for this
        self._events.changed()

    async def _shut_down(self, *, cold: bool) -> None:
        if not cold:
            await self._close("ending")
        for pool in self._pool_set.all_pools:
            pool.stop()
        grace = self._clock.call_later(self._grace, self._kill)
        await self._wait_for(lambda: not any(pool.alive for pool in self._pool_set.all_pools))
        grace.cancel()

    def _kill(self) -> None:
        for pool in self._pool_set.all_pools:
            pool.kill()

    async def _wait_for(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await self._next_change()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
