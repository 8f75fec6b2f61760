"""The gate of a runner: whether its pools are given jobs, and how it is closed, for a while or for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from factory_cdk.runner.pool import PoolEvents
from factory_cdk.runner.pool_set import PoolSet
from factory_cdk.runner.rolling_update import ENDING

Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Makes a task whose fault is told."""


class Gate:
    """The gate before `pool_set`. `state` is `closed`, `open`, `closing`, `ending` or `ended`.

    `start` makes tasks, `unsettled` says whether results wait for the queues, `publish` is called when what somebody
    may wait for is reached, and `grace` is how many seconds an idle worker may take to end.
    """

    def __init__(
        self,
        pool_set: PoolSet,
        events: PoolEvents,
        start: Start,
        *,
        unsettled: Callable[[], bool],
        publish: Callable[[], None],
        grace: float,
    ) -> None:
        self._pool_set, self._events, self._start = pool_set, events, start
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
        return self._closing is not None and not self._closing.done()

    def note_change(self) -> None:
        """Something happened that whoever closes the gate may be waiting for."""
        self._changed.set()

    def open(self, *, held: bool) -> None:
        """Let the pools take jobs; nothing when the runner is ending. `held`: but for those that their plan stopped."""
        if self.ending:
            return
        if self._closing:
            self._closing.cancel()
            self._closing = None
        self.state = "open"
        for pool in self._pool_set.at_work:
            pool.open = not (held and pool.pool_spec.arguments.stop)
            if not held:
                pool.resume()
            elif pool.broken or not pool.alive:
                pool.start()
        self._events.look()

    def close(self) -> None:
        """Close it once what is in hand is done, if it is open."""
        if self.state == "open":
            self.state = "closing"
            self._closing = self._start(self._close("closed"))

    def end_by_signal(self) -> None:
        """The first signal ends warm, whatever else has ended the runner already; the second cold."""
        again, self._signalled = self._signalled, True
        if again or not self.ending:
            self.end(cold=again)
        else:
            self._events.note("a signal: it is ending already; another ends it cold", "INFO")

    def end(self, *, cold: bool) -> None:
        """End the runner warm, or, also while it is ending warm, cold."""
        how = "ending cold: jobs in hand go back" if cold else "ending warm: jobs in hand are finished"
        self._events.note(how, "INFO")
        if self._closing:
            self._closing.cancel()
        self._pool_set.drop(ENDING)
        if cold:
            self._kill()
        if self._ending is None:
            self._ending = self._start(self._wind_up(cold=cold))
        self.state = "ending"
        self._events.changed()

    async def end_of_work(self) -> None:
        """Wait until the runner was told to end and no worker is left."""
        while self._ending is None:
            await self._change()
        await self._ending

    async def _close(self, then: str) -> None:
        """Stop taking jobs, one bot after the other along the workflow, each when its jobs in hand are done."""
        for pools in self._pool_set.in_order():
            for pool in pools:
                pool.open = False
            await self._until(lambda: not any(pool.in_hand for pool in pools) and not self._unsettled())  # noqa: B023
        self.state = then
        self._publish()  # someone waits for this
        self._events.changed()

    async def _wind_up(self, *, cold: bool) -> None:
        if not cold:
            await self._close("ending")
        for pool in self._pool_set.everyone:
            pool.stop()
        impatient = asyncio.get_running_loop().call_later(self._grace, self._kill)
        await self._until(lambda: not any(pool.alive for pool in self._pool_set.everyone))
        impatient.cancel()

    def _kill(self) -> None:
        for pool in self._pool_set.everyone:
            pool.kill("end")

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
