"""The runner's exchange at work on real queues, with pools whose bots are done at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from patience import PATIENCE

from factory_cdk.queues.port import Finished, Forward, Job, Lease, RunnerQueues
from factory_cdk.runner.exchange import ExchangeEvents, QueueExchange
from factory_cdk.state.runner_spec import Timings

POLL = Timings().poll


@dataclass(frozen=True)
class Queue:
    """As much of a pool's spec as the exchange needs."""

    queue: str


@dataclass
class InstantPool:
    """A pool whose bot returns its payload at once; what follows goes to `following`, if there is such a queue."""

    pool_spec: Any
    following: str | None
    works: Works
    room: int
    in_hand: list[Lease] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.room - len(self.in_hand)

    def assign(self, lease: Lease) -> None:
        self.in_hand.append(lease)

    def flush(self) -> None:
        done, self.in_hand = self.in_hand, []
        for lease in done:
            self.works.finish(lease, self.following)


@dataclass
class Works:
    """An exchange over `queues` along `route` (which queue follows which); `done` are the jobs that were finished, in
    order, `said` what the exchange has said. `ended` is told how many chains have come to their end, with each.
    """

    queues: RunnerQueues
    route: Mapping[str, str | None]
    room: int = 10
    lease: float = 60.0
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    ended: Callable[[int], object] = lambda _: None

    async def run(self, until: int) -> None:
        """Work until so many jobs are done and settled."""
        self.enough, self.until = asyncio.Event(), until
        self.exchange = QueueExchange(
            self.queues,
            ExchangeEvents(
                task=self.task,
                say=lambda text, level, job: self.said.append(f"{level} {text}"),
                changed=lambda: None,
                settled=lambda: None,
                damaged=lambda error: self.said.append(f"damaged {error}"),
            ),
        )
        self.at_work = self.all_pools = [
            InstantPool(Queue(queue), following, self, self.room) for queue, following in self.route.items()
        ]
        await self.exchange.start(self)
        regularly = [self.task(self.exchange.extend_regularly()), self.task(self.look_regularly())]
        async with asyncio.timeout(PATIENCE):
            while not self.is_enough():  # another exchange may do the last one
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.enough.wait(), 0.2)
        await self.exchange.end()
        for one in regularly:
            one.cancel()

    async def look_regularly(self) -> None:
        """Look at the queues now and then, as a runner does."""
        while True:
            self.exchange.look()
            await asyncio.sleep(POLL)

    def task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        return task

    def finish(self, lease: Lease, following: str | None) -> None:
        job = lease.job
        forwards = []
        if following:
            forwards = [Forward(following, Job(f"{job.id}.{following}", following, job.payload, job.run, job.id))]
        self.exchange.settle(Finished(lease, forwards, job.payload))
        self.done.append(job.id)
        if following is None:
            self.ended(sum(one.endswith(lease.queue) for one in self.done))
        if self.is_enough():
            self.enough.set()

    def is_enough(self) -> bool:
        return len(set(self.done)) >= self.until
