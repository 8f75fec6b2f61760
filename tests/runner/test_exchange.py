"""The exchange with the queues: while a slow engine takes its time, everything else goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_workers import pool_spec
from patience import PATIENCE

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Successor
from factory_cdk.queues.memory import MemoryQueues, Store
from factory_cdk.queues.port import DamagedError, Failed, Finished, Job, Lease, Wanted
from factory_cdk.runner.exchange import ExchangeEvents, QueueExchange
from factory_cdk.runner.pool import PoolEvents, WorkerPool
from factory_cdk.runner.ports import LoopClock
from factory_cdk.runner.process import start_worker
from factory_cdk.state.log_folder import LogFolder
from factory_cdk.state.logs import Stream
from factory_cdk.state.runner_spec import PoolSpec, Timings

BOT = """
import time
from pathlib import Path

def work(job):
    job.publish_status(f"at {job.id}")
    while not Path(job.payload).exists():
        time.sleep(0.001)
    return job.payload
"""


class SlowQueues(MemoryQueues):
    """Queues that settle and claim only while `open` is set; `steps` are the ids that were settled in each step."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.open = asyncio.Event()
        self.open.set()
        self.refusal: FactoryError | None = None
        self.steps: list[list[str]] = []
        self.extended: list[list[str]] = []
        self.under_way = 0

    async def settle_and_claim(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        assert not self.under_way, "two exchanges at once"
        self.under_way += 1
        self.steps.append([one.lease.job.id for one in settled])
        try:
            await self.open.wait()
            if self.refusal is not None:
                raise self.refusal
            return await super().settle_and_claim(settled, wanted)
        finally:
            self.under_way -= 1

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        self.extended.append(sorted(lease.job.id for lease in leases))
        return await super().extend(leases, seconds)


@dataclass
class Hands:
    """A pool without processes: it has `room` for so many jobs, and the test says when they are done."""

    pool_spec: PoolSpec
    room: int = 4
    in_hand: list[Lease] = field(default_factory=list)

    @property
    def free(self) -> int:
        return max(0, self.room - len(self.in_hand))

    def assign(self, lease: Lease) -> None:
        assert self.free, "more was assigned than there is room for"
        self.in_hand.append(lease)

    def flush(self) -> None:
        """There is no process to hand anything to."""


class Unguarded:
    """Nobody ends what workers leave behind: the real guardian would end other children of this process, too."""

    def watch(self, pid: int, mark: str) -> None:
        pass

    def forget(self, pid: int) -> None:
        pass


@dataclass
class Pools:
    at_work: list[Any]
    lease: float = 1000.0

    @property
    def all_pools(self) -> list[Any]:
        return self.at_work


@dataclass
class Desk:
    """An exchange at work, and what it said to its runner."""

    queues: SlowQueues
    said: list[str] = field(default_factory=list)
    damaged: list[DamagedError] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = QueueExchange(
            self.queues,
            ExchangeEvents(
                task=self.task,
                say=lambda text, level, job: self.said.append(f"{level} {text}"),
                changed=lambda: None,
                settled=lambda: None,
                damaged=self.damaged.append,
            ),
        )

    def task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    @asynccontextmanager
    async def at_work(self, pools: Pools) -> AsyncIterator[None]:
        """The exchange is begun, and ended in the end; no fault was in it."""
        await self.exchange.start(pools)
        self.exchange.look()
        yield
        await self.exchange.end()
        for task in self.tasks:
            await task


async def until(reached: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():
            await asyncio.sleep(0.001)


def job(name: str, payload: Any = None) -> Job:
    return Job(name, "bot", payload, "run")


def spec_in(folder: Path, processes: int = 1) -> PoolSpec:
    """The pool spec of the bot in `folder`, which this Python can run."""
    return pool_spec(
        bot="bot",
        queue="q",
        successors=(Successor("next", "next", "here"),),
        processes=processes,
        target="slow_bots:work",
        folder=str(folder),
        roots=(str(folder),),
        python=sys.executable,
        bins=(str(Path(sys.executable).parent),),
    )


def test_workers_are_heard_while_the_queues_are_slow_and_what_they_did_goes_into_the_next_exchange(
    tmp_path: Path,
) -> None:
    (tmp_path / "slow_bots.py").write_text(BOT)
    (tmp_path / "logs").mkdir()
    gates = [tmp_path / f"gate-{number}" for number in range(3)]

    async def run() -> None:
        queues = SlowQueues(Store())
        queues.send("q", [job(gate.name, str(gate)) for gate in gates])
        desk = Desk(queues)
        stream = Stream(LogFolder(tmp_path / "logs"))
        events = PoolEvents(
            settle=desk.exchange.settle,
            release=desk.exchange.release,
            fetch=desk.exchange.look,
            log=lambda text, level: None,
            changed=lambda: None,
            start_failed=lambda failure: None,
        )
        clock = LoopClock(asyncio.get_running_loop())
        pool = WorkerPool(spec_in(tmp_path, 3), {}, Timings(), stream, clock, start_worker, Unguarded(), events)
        pool.open = True
        async with desk.at_work(Pools([pool])):
            pool.start()
            await until(lambda: {slot.bot_status for slot in pool.slots} == {f"at {gate.name}" for gate in gates})
            queues.open.clear()
            gates[0].touch()
            await until(lambda: queues.under_way and queues.steps[-1] == ["gate-0"])
            steps = len(queues.steps)
            gates[1].touch()
            gates[2].touch()
            await until(lambda: sum(slot.done for slot in pool.slots) == 3)  # all were heard, though nothing is settled
            assert (len(queues.steps), queues.under_way) == (steps, 1)
            assert desk.exchange.has_unsettled([pool])
            queues.open.set()
            await until(lambda: not queues.history.in_hand())
            assert sorted(queues.steps[steps]) == ["gate-1", "gate-2"]
            pool.stop()
            await until(lambda: not pool.alive)
        assert queues.history.depths(["next"])["next"].ready == 3
        assert not desk.exchange.has_unsettled([pool])
        stream.close()

    asyncio.run(run())


def test_what_was_leased_for_a_pool_that_has_closed_meanwhile_goes_back_uncounted(tmp_path: Path) -> None:
    async def run() -> None:
        queues = SlowQueues(Store())
        queues.send("q", [job("one"), job("two")])
        desk, hands = Desk(queues), Hands(spec_in(tmp_path))
        queues.open.clear()
        async with desk.at_work(Pools([hands])):
            await until(lambda: queues.under_way)
            hands.room = 1
            queues.open.set()
            await until(lambda: len(hands.in_hand) == 1 and not desk.exchange.has_unsettled([hands]))
            assert [lease.job.id for lease in hands.in_hand] == ["one"]
            two = queues.history.job("two")
            assert two is not None
            assert (two.state, two.attempts) == ("ready", 0)

    asyncio.run(run())


def test_the_last_exchange_is_awaited_and_what_happened_during_it_is_settled_too(tmp_path: Path) -> None:
    async def run() -> None:
        queues = SlowQueues(Store())
        queues.send("q", [job("one"), job("two"), job("three")])
        desk, hands = Desk(queues), Hands(spec_in(tmp_path))
        await desk.exchange.start(Pools([hands]))
        desk.exchange.look()
        await until(lambda: len(hands.in_hand) == 3)
        one, two, three = hands.in_hand
        queues.open.clear()
        desk.exchange.settle(Finished(one))
        await until(lambda: queues.under_way)
        hands.in_hand.clear()
        hands.room = 0
        desk.exchange.settle(Finished(two))
        desk.exchange.release([three])
        ending = asyncio.create_task(desk.exchange.end())
        await asyncio.sleep(0)
        assert not ending.done()
        queues.open.set()
        await asyncio.wait_for(ending, PATIENCE)
        assert {record.job.id: record.state for record in queues.history.outcomes("run")} == {
            "one": "success",
            "two": "success",
        }
        assert queues.history.depths(["q"])["q"].ready == 1
        assert not queues.history.in_hand()

    asyncio.run(run())


def test_leases_are_extended_while_an_exchange_is_under_way_those_that_are_being_settled_among_them(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        queues = SlowQueues(Store())
        queues.send("q", [job("one"), job("two"), job("three")])
        desk, hands = Desk(queues), Hands(spec_in(tmp_path))
        async with desk.at_work(Pools([hands], lease=0.3)):
            await until(lambda: len(hands.in_hand) == 3)
            queues.open.clear()
            desk.exchange.settle(Finished(hands.in_hand.pop(0)))
            await until(lambda: queues.under_way)
            desk.exchange.settle(Finished(hands.in_hand.pop(0)))
            queues.extended.clear()
            beating = asyncio.create_task(desk.exchange.extend_regularly())
            await until(lambda: len(queues.extended) > 1)
            assert queues.extended[-1] == ["one", "three", "two"]
            beating.cancel()
            hands.room = 0
            queues.open.set()
        assert len(queues.history.outcomes("run")) == 2
        assert desk.exchange.lost_leases == 0

    asyncio.run(run())


def test_what_the_queues_refused_is_settled_once_they_are_well_again(tmp_path: Path) -> None:
    async def run() -> None:
        queues = SlowQueues(Store())
        queues.send("q", [job("one"), job("two")])
        desk, hands = Desk(queues), Hands(spec_in(tmp_path))
        async with desk.at_work(Pools([hands])):
            await until(lambda: len(hands.in_hand) == 2)
            queues.refusal = FactoryError("the disk is full", "free some space")
            desk.exchange.settle(Finished(hands.in_hand.pop()))
            await until(lambda: desk.exchange.trouble == "the disk is full")
            desk.exchange.settle(Finished(hands.in_hand.pop()))
            hands.room = 0
            queues.refusal = None
            await until(lambda: not desk.exchange.has_unsettled([hands]))
            assert desk.exchange.trouble is None
        assert desk.said == ["ERROR the disk is full; trying again (free some space)"]
        assert {record.state for record in queues.history.outcomes("run")} == {"success"}

    asyncio.run(run())


def test_damaged_queues_are_told_and_not_tried_again_by_themselves(tmp_path: Path) -> None:
    async def run() -> None:
        queues = SlowQueues(Store())
        desk, hands = Desk(queues), Hands(spec_in(tmp_path))
        queues.refusal = DamagedError("the database is damaged")
        await desk.exchange.start(Pools([hands]))
        desk.exchange.look()
        await until(lambda: desk.damaged)
        assert (desk.exchange.trouble, len(queues.steps)) == ("the database is damaged", 1)
        hands.room = 0
        await desk.exchange.end()

    asyncio.run(run())
