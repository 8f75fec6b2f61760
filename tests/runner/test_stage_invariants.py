"""A stage that is opened, closed, updated and ended in any order loses no job, and ends when its workers do."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fake_stage import FakeStage, bots, turns
from fake_workers import FakeProcess, hand, with_target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from factory_cdk.runner.rolling_update import ENDING

SOME = st.integers(0, 10)


class Stage(RuleBasedStateMachine):
    """Two bots, of one and of two workers, and what a runner, its users and the workers do."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.stage = FakeStage(Path(self.folder.name), *bots("make", batch=2), *bots("take", processes=2))
        self.handed: list[str] = []
        self.settled: list[str] = []
        self.version = 0
        self.ended = self.loop.create_task(self.stage.gate.wait_until_ended())
        self.run(self.stage.pools.start)

    def run(self, step: Callable[[], object]) -> None:
        """Do one step on the loop, and let the gate's tasks go on as far as they can."""

        async def run() -> None:
            step()
            await turns()

        self.loop.run_until_complete(run())

    def teardown(self) -> None:
        """Told to end, it ends once all of its workers have, with nothing in hand."""
        self.run(lambda: self.stage.gate.end(cold=True))
        self.run(lambda: [process.exit(-9) for process in self.stage.runner.alive])
        self.run(self._settle)
        assert self.ended.done()
        self.ended.result()
        assert Counter(self.over) == Counter(self.handed)
        assert self.stage.runner.watched == {}
        self.stage.runner.clock.advance(1000)
        assert self.stage.runner.alive == []
        self.stage.runner.stream.close()
        self.loop.close()
        self.folder.cleanup()

    @property
    def over(self) -> list[str]:
        unsettled = [settled.lease.job.id for settled in self.stage.runner.settled]
        return [*self.settled, *unsettled, *self.stage.runner.released]

    def one(self, number: int, *, doing: bool = False) -> FakeProcess | None:
        able = [process for process in self.stage.runner.alive if process.doing or not doing]
        return able[number % len(able)] if able else None

    # What the runner does

    @rule()
    def exchange(self) -> None:
        self.run(self._exchange)

    @rule()
    def settle(self) -> None:
        self.run(self._settle)

    def _exchange(self) -> None:
        self._settle()
        for pool in self.stage.pools.at_work:
            names = [f"job{len(self.handed) + number}" for number in range(min(3, pool.free))]
            self.handed += names
            if names:
                hand(pool, *names)

    def _settle(self) -> None:
        self.settled += [settled.lease.job.id for settled in self.stage.runner.settled]
        self.stage.settle()

    @rule(seconds=st.sampled_from([0.0, 0.06, 1.0, 11.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.run(lambda: self.stage.runner.clock.advance(seconds))

    # What its users do

    @rule(keep_stopped=st.booleans())
    def open(self, keep_stopped: bool) -> None:
        self.run(lambda: self.stage.gate.open(keep_stopped=keep_stopped))

    @rule()
    def close(self) -> None:
        self.run(self.stage.gate.close)

    @rule(names=st.sets(st.sampled_from(["make", "take"])))
    def update(self, names: set[str]) -> None:
        self.version += 1
        specs = [
            with_target(pool.pool_spec, f"maker:v{self.version}") if pool.pool_spec.bot in names else pool.pool_spec
            for pool in self.stage.pools.at_work
        ]
        refused = ENDING if self.stage.gate.ending else None
        self.run(lambda: self.stage.ask(*specs, refused=refused))

    @precondition(lambda self: len(self.handed) > 10)
    @rule(how=st.sampled_from(["warm", "cold", "signal"]))
    def end(self, how: str) -> None:
        gate = self.stage.gate
        self.run(gate.on_signal if how == "signal" else lambda: gate.end(cold=how == "cold"))

    # What workers do

    @rule(number=SOME)
    def become_ready(self, number: int) -> None:
        if process := self.one(number):
            self.run(process.ready)

    @rule()
    def all_become_ready(self) -> None:
        self.run(lambda: [process.ready() for process in self.stage.runner.alive])

    @rule(number=SOME, times=st.integers(1, 4))
    def do_jobs(self, number: int, times: int) -> None:
        for _ in range(times):
            if process := self.one(number, doing=True):
                self.run(process.done)

    @rule(number=SOME, code=st.sampled_from([0, -9]))
    def exit(self, number: int, code: int) -> None:
        if process := self.one(number):
            self.run(lambda: process.exit(code))

    @rule()
    def those_that_were_told_to_end_do(self) -> None:
        for process in self.stage.runner.alive:
            if process.killed or ("stop" in process.kinds and not process.doing):
                self.run(partial(process.exit, -9 if process.killed else 0))

    # What always holds

    @invariant()
    def each_job_is_in_one_place(self) -> None:
        held = [lease.job.id for pool in self.stage.pools.all_pools for lease in pool.in_hand]
        assert Counter(held + self.over) == Counter(self.handed)

    @invariant()
    def each_process_belongs_to_a_pool(self) -> None:
        placed = [slot.pid for pool in self.stage.pools.all_pools for slot in pool.slots if slot.pid is not None]
        assert sorted(placed) == sorted(process.pid for process in self.stage.runner.alive)

    @invariant()
    def no_pool_takes_jobs_unless_the_gate_is_open_or_still_closing(self) -> None:
        taking = [pool for pool in self.stage.pools.all_pools if pool.open]
        assert not taking or self.stage.gate.state in ("open", "closing", "ending")
        assert all(pool in self.stage.pools.at_work for pool in taking)

    @invariant()
    def a_gate_that_has_nothing_to_wait_for_is_closed(self) -> None:
        waits = self.stage.runner.settled or any(pool.in_hand for pool in self.stage.pools.all_pools)
        assert self.stage.gate.state != "closing" or waits

    @invariant()
    def an_update_is_completed_when_all_of_its_workers_are_ready(self) -> None:
        update = self.stage.pools._update
        assert update is None or not update.ready or self.stage.gate.is_closing

    @invariant()
    def nobody_waits_for_a_runner_without_workers_that_was_told_to_end(self) -> None:
        idle = not self.stage.runner.alive and not self.stage.runner.settled
        assert not (self.stage.gate.ending and idle) or self.ended.done()

    @invariant()
    def every_job_that_was_done_is_counted_in_the_end(self) -> None:
        done = sum(slot.done + slot.failed for pool in self.stage.pools.all_pools for slot in pool.slots)
        assert done == len(self.settled) + len(self.stage.runner.settled)


TestStage = Stage.TestCase
