"""The runner's exchange with the queues: what was done is settled and what there is room for is leased, in one step.

One exchange is under way at a time. What happens meanwhile (workers are done, jobs are given back, a wake-up) goes
into the next one, which follows at once; so a busy runner settles in batches by itself, and an idle one answers at
once. While it waits for a slow engine, the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import (
    DamagedError,
    Failed,
    Failure,
    Finished,
    Lease,
    RunnerQueues,
    Subscription,
    UnstorableError,
    Wanted,
)
from factory_cdk.runner.pool import DEAD
from factory_cdk.state.runner_spec import PoolSpec

RETRY_PAUSE = 0.5
"""Seconds before the queues are tried again after they refused (a full disk)."""


class Pool(Protocol):
    """A pool of workers, as far as jobs are concerned; see `pool.WorkerPool`."""

    @property
    def pool_spec(self) -> PoolSpec:
        """Whose workers they are."""

    @property
    def free(self) -> int:
        """How many jobs it can take now."""

    @property
    def in_hand(self) -> list[Lease]:
        """Every job in hand."""

    def assign(self, lease: Lease) -> None:
        """Take a job; `flush` follows."""

    def flush(self) -> None:
        """Hand the workers what was assigned."""


class Pools(Protocol):
    """All pools of a runner; see `pool_set.PoolSet`."""

    @property
    def at_work(self) -> Sequence[Pool]:
        """Those that are given jobs."""

    @property
    def all_pools(self) -> Sequence[Pool]:
        """All that may have jobs in hand."""

    @property
    def lease(self) -> float:
        """The shortest lease of the pools at work, in seconds."""


@dataclass(frozen=True, slots=True)
class ExchangeEvents:
    """What the exchange asks of its runner: make a task whose fault is told, say a line (of which severity and job),
    hear that jobs were given, that an exchange is over, and that the queues are damaged.
    """

    task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    say: Callable[[str, str, str | None], None]
    changed: Callable[[], None]
    settled: Callable[[], None]
    damaged: Callable[[DamagedError], None]


class QueueExchange:
    """The exchange with `queues` of the pools that `start` is given.

    `trouble` is why the queues refused the last exchange, None when they did not; `lost_leases` counts jobs whose
    outcome was dropped, because they were cancelled or taken by another runner.
    """

    def __init__(self, queues: RunnerQueues, events: ExchangeEvents) -> None:
        self._queues, self._events = queues, events
        self._loop = asyncio.get_running_loop()
        self._pools: Pools | None = None
        self._subscription: Subscription | None = None
        self._settled: list[Finished | Failed] = []
        self._settling: list[Finished | Failed] = []
        self._released: list[Lease] = []
        self._releasing: list[Lease] = []
        self._under_way: asyncio.Task[None] | None = None
        self._again = False
        self._retry: asyncio.TimerHandle | None = None
        self._extended_at = self._loop.time()
        self.trouble: str | None = None
        self.lost_leases = 0

    def has_unsettled(self, pools: Iterable[Pool]) -> bool:
        """Whether a job that one of `pools` has had in hand is not settled or given back yet."""
        queues = {pool.pool_spec.queue for pool in pools}
        return any(lease.queue in queues for lease in self._unsettled())

    async def start(self, pools: Pools) -> None:
        """Begin: be woken for the queues of `pools`, and take back what a runner that died had in hand, where that can
        be told. FactoryError.
        """
        self._pools = pools
        named = dict.fromkeys(pool.pool_spec.queue for pool in pools.at_work)
        self._subscription = self._queues.subscribe(named, self.look)
        if self._queues.capabilities.exclusive_runner and (found := await self._queues.reclaim()):
            jobs = "job" if found == 1 else "jobs"
            self._events.say(f"{found} {jobs} of a runner that died: ready again", "WARNING", None)

    async def end(self) -> None:
        """No wake-ups any more; returns when all is settled, or the queues refuse it."""
        if self._subscription:
            self._subscription.close()
        self._cancel_retry()
        while self._under_way:
            await asyncio.wait((self._under_way,))
        if self._retry is None:
            self._begin()
        while self._under_way:
            await asyncio.wait((self._under_way,))
        self._cancel_retry()

    def settle(self, settled: Finished | Failed) -> None:
        """A job in hand was done, or failed."""
        self._settled.append(settled)
        self.look()

    def release(self, leases: Sequence[Lease]) -> None:
        """Jobs in hand go back as if they had not been begun."""
        self._released += leases
        self.look()  # another worker may be free

    def look(self) -> None:
        """Exchange with the queues soon, once for all that happens until then."""
        if self._under_way is not None:
            self._again = True
        elif self._retry is None:
            self._begin()

    async def extend_regularly(self) -> None:
        """Extend all leases now and then, for ever."""
        while self._pools:
            await asyncio.sleep(self._pools.lease / 3)
            await self._extend()

    def _begin(self) -> None:
        self._under_way = self._events.task(self._take_turn())

    async def _take_turn(self) -> None:
        """One exchange; what has happened meanwhile gets another, before which others have their turns."""
        self._again = False  # all that happened until now is in this one
        await self._exchange()
        self._under_way = None
        self._events.settled()
        if self._again and self._retry is None:
            self._begin()

    def _unsettled(self) -> list[Lease]:
        return [*(settled.lease for settled in (*self._settling, *self._settled)), *self._releasing, *self._released]

    def _cancel_retry(self) -> None:
        if self._retry:
            self._retry.cancel()
            self._retry = None

    async def _exchange(self) -> None:
        """Settle what was done, and take what the pools have room for."""
        pools = self._pools
        if pools is None:
            return
        if self._loop.time() - self._extended_at > pools.lease / 2:
            await self._extend()  # this process was held up: keep what is in hand before taking more
        if self._released:
            await self._release()
        room: dict[str, Wanted] = {}
        for pool in pools.at_work:
            if free := pool.free:
                queue = pool.pool_spec.queue
                wanted = room.get(queue)
                room[queue] = Wanted(queue, free + (wanted.n if wanted else 0), pools.lease)
        if not self._settled and not room:
            return
        self._settling, self._settled = self._settled, []
        try:
            held, leases = await self._settle_and_claim(list(room.values()))
        except FactoryError as error:
            self._settled[:0] = self._settling
            self._settling = []
            self._be_refused(error)
            return
        if not all(held):
            self._note_lost(held)
        self._settling = []
        self.trouble = None
        if leases:
            self._give(pools, leases)

    async def _settle_and_claim(self, wanted: list[Wanted]) -> tuple[list[bool], list[Lease]]:
        try:
            return await self._queues.settle_and_claim(self._settling, wanted)
        except UnstorableError:  # one of many: it fails, the others go on
            self._settling = [self._storable(settled) for settled in self._settling]
            return await self._queues.settle_and_claim(self._settling, wanted)

    def _storable(self, settled: Finished | Failed) -> Finished | Failed:
        """`settled`, or, when its result can never be stored, the failure of its job, which is then dead."""
        reason = self._queues.unstorable(settled)
        if reason is None:
            return settled
        self._events.say(f"ResultNotJson: {reason}; {DEAD}", "ERROR", settled.lease.job.id)
        return Failed(settled.lease, Failure("ResultNotJson", reason, "", settled.lease.job.attempt), None)

    def _give(self, pools: Pools, leases: Sequence[Lease]) -> None:
        """Hand out what was leased. Pools may have closed meanwhile: what nobody can take goes back."""
        takers: dict[str, list[tuple[int, Pool]]] = {}
        for pool in pools.at_work:
            if free := pool.free:
                takers.setdefault(pool.pool_spec.queue, []).append((free, pool))
        back = []
        for lease in leases:
            able = takers.get(lease.queue)
            if not able:
                back.append(lease)
                continue
            number = 0 if len(able) == 1 else max(range(len(able)), key=lambda one: able[one][0])
            free, taker = able[number]
            taker.assign(lease)
            if free > 1:
                able[number] = free - 1, taker
            else:
                del able[number]
        for pool in pools.at_work:
            pool.flush()
        if back:
            self.release(back)
        self._events.changed()

    async def _release(self) -> None:
        self._releasing, self._released = self._released, []
        try:
            await self._queues.release(self._releasing)
        except FactoryError as error:  # their leases will end
            for lease in self._releasing:
                job = lease.job.id
                self._events.say(f"job {job} could not be given back: {error.message}", "WARNING", job)
        self._releasing = []

    def _be_refused(self, error: FactoryError) -> None:
        """The queues cannot be written: keep everything that is done, and try again. From damaged ones nothing can be
        hoped for.
        """
        if isinstance(error, DamagedError):
            self.trouble = error.message
            self._events.damaged(error)
            return
        if self.trouble != error.message:
            self._events.say(f"{error.message}; trying again ({error.remedy})", "ERROR", None)
            self.trouble = error.message
            self._events.changed()
        self._retry = self._loop.call_later(RETRY_PAUSE, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.look()

    def _note_lost(self, held: Sequence[bool]) -> None:
        for settled, kept in zip(self._settling, held, strict=True):
            if not kept:
                self.lost_leases += 1
                self._events.say(
                    "the job was cancelled, or taken by another runner; what became of it here is dropped",
                    "WARNING",
                    settled.lease.job.id,
                )

    async def _extend(self) -> None:
        """Renew the lease of every job in hand, and of what is done and could not be settled yet."""
        self._extended_at = self._loop.time()
        pools = self._pools.all_pools if self._pools else ()
        leases = [lease for pool in pools for lease in pool.in_hand] + self._unsettled()
        if not leases:
            return
        try:
            await self._queues.extend(leases, self._pools.lease if self._pools else 0.0)
        except FactoryError as error:
            self._events.say(f"leases could not be renewed: {error.message}", "WARNING", None)
