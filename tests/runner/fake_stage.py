"""The pools of a stage behind their gate, over worker processes that a test speaks for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from fake_workers import FakeProcess, FakeRunner, hand, pool_spec, with_target

from factory_cdk.runner.gate import Gate
from factory_cdk.runner.pool import PoolEvents, WorkerPool
from factory_cdk.runner.pool_set import PoolSet
from factory_cdk.state.folder_ports import FolderSpecs
from factory_cdk.state.requests import ask_for_spec
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, Timings
from factory_cdk.state.stage_folder import StageFolder

GRACE = 10.0


def spec_of(*pool_specs: PoolSpec) -> RunnerSpec:
    return RunnerSpec("works", "test", pool_specs, tuple(one.bot for one in pool_specs), timings=Timings(grace=GRACE))


def bots(*names: str, **changes: Any) -> list[PoolSpec]:
    """A pool spec for each name."""
    return [pool_spec(bot=name, queue=name, **changes) for name in names]


class FakeStage:
    """A stage with the pools of `pool_specs`; wired up as the runner does it, but for queues. `results` are what is
    done and not yet known to the queues: the test takes them.
    """

    def __init__(self, folder: Path, *pool_specs: PoolSpec) -> None:
        self.folder = StageFolder("works", "test", folder / "stage")
        self.folder.path.mkdir()
        self.spec = spec_of(*pool_specs)
        self.runner = FakeRunner(folder / "logs", self.spec.timings)
        self.runner.on_change = self._note_change
        self.published: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.pools = PoolSet(
            FolderSpecs(self.folder), self.spec, self._pool, self.runner.events, self.runner.clock, self._publish
        )
        self.gate = Gate(
            self.pools,
            self.runner.events,
            self.runner.clock,
            self._start_task,
            unsettled=lambda _: bool(self.runner.settled),
            publish=self._publish,
            grace=GRACE,
        )

    def _pool(self, spec: PoolSpec, events: PoolEvents) -> WorkerPool:
        return self.runner.pool(spec, events)

    def _start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    def _publish(self) -> None:
        self.published.append(self.gate.state)

    def _note_change(self) -> None:
        self.gate.note_change()
        self.pools.note_change(may_replace=not self.gate.is_closing)

    def start(self, *, open: bool = True) -> None:  # noqa: A002
        """Start all pools and let their workers become ready."""
        self.pools.start()
        for process in self.runner.processes:
            process.ready()
        if open:
            self.gate.open(keep_stopped=True)

    def ask(self, *pool_specs: PoolSpec, refused: str | None = None) -> str:
        """Ask for the spec with these pools, and have it fetched."""
        request = ask_for_spec(self.folder, spec_of(*pool_specs))
        self.pools.fetch(refused=refused)
        return request

    def change(self, *names: str) -> str:
        """Ask for other code of the bots with these names."""
        return self.ask(*(with_target(one, "maker:other") if one.bot in names else one for one in self.spec.pool_specs))

    def settle(self) -> None:
        """The queues have heard of all that was done."""
        self.runner.settled.clear()
        self._note_change()

    def pool(self, bot: str) -> WorkerPool:
        """The pool at work of a bot."""
        return next(pool for pool in self.pools.at_work if pool.pool_spec.bot == bot)

    def process_of(self, pool: WorkerPool, number: int = 1) -> FakeProcess:
        """The process in a slot of the pool."""
        return next(process for process in self.runner.alive if process.pid == pool.slots[number - 1].pid)

    def hand(self, bot: str, *names: str) -> FakeProcess:
        """Hand jobs to the pool at work of a bot, which has one worker; its process."""
        pool = self.pool(bot)
        hand(pool, *names)
        return self.process_of(pool)


async def turns() -> None:
    """Let whatever waits on the loop go on as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)
