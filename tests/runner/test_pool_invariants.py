"""Whatever workers do, and whatever happens to a pool in whatever order: each job is settled or given back once."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from fake_workers import ERROR, FakeProcess, FakeRunner, hand
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from factory_cdk.runner.slot import PREFETCH, State

TIMEOUT = 5.0
SOME = st.integers(0, 10)


class Pool(RuleBasedStateMachine):
    """A pool of up to three workers. The runner hands over what the pool has room for, or once in a while more: it may
    have asked before the pool was closed, or a worker died.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = FakeRunner(Path(self.folder.name))
        self.handed: list[str] = []
        self.stopped = False

    def teardown(self) -> None:
        """After a stop and the end of every process nothing is in hand, and nothing else happens."""
        if hasattr(self, "pool"):
            self.pool.stop()
            for process in self.runner.alive:
                process.exit(0)
            self.runner.clock.advance(1000)
            assert self.pool.in_hand == []
            assert self.runner.alive == []
            assert self.runner.watched == {}
            assert not self.pool.alive
            assert Counter(self.over) == Counter(self.handed), "a job is lost, or was settled twice"
        self.runner.stream.close()
        self.folder.cleanup()

    @initialize(processes=st.integers(1, 3), batch=st.integers(1, 3), timeout=st.sampled_from([None, TIMEOUT]))
    def build(self, processes: int, batch: int, timeout: float | None) -> None:
        self.pool = self.runner.pool(processes=processes, batch=batch, timeout=timeout)
        self.pool.open = True
        self.pool.start()

    @property
    def over(self) -> list[str]:
        """The jobs that were settled or given back."""
        return [*(settled.lease.job.id for settled in self.runner.settled), *self.runner.released]

    def one(self, number: int, *, doing: bool = False) -> FakeProcess | None:
        """One of the processes that are alive and not ended by the runner; one with a job."""
        able = [process for process in self.runner.alive if process.doing or not doing]
        return able[number % len(able)] if able else None

    # What the runner does

    @rule(more=st.sampled_from([0, 0, 0, 0, 1, 3]))
    def exchange(self, more: int) -> None:
        names = [f"job{len(self.handed) + number}" for number in range(min(self.pool.free, 8) + more)]
        self.handed += names
        hand(self.pool, *names)

    @rule(opened=st.booleans())
    def gate(self, opened: bool) -> None:
        self.pool.open = opened and not self.stopped

    @rule()
    def start(self) -> None:
        self.pool.start()

    @rule()
    def resume(self) -> None:
        self.pool.resume()

    @precondition(lambda self: len(self.handed) > 20)
    @rule(cold=st.booleans())
    def stop(self, cold: bool) -> None:
        self.stopped = True
        if cold:
            self.pool.kill()
        else:
            self.pool.stop()

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.01, 0.06, 1.0, TIMEOUT, 61.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.runner.clock.advance(seconds)

    @rule(refuses=st.booleans())
    def let_the_system_start_processes(self, refuses: bool) -> None:
        self.runner.refuses = OSError("no more processes") if refuses else None

    # What workers do

    @rule(number=SOME)
    def become_ready(self, number: int) -> None:
        if process := self.one(number):
            process.ready()

    @rule(number=SOME, fails=st.booleans(), final=st.booleans(), times=st.integers(1, 4))
    def do_jobs(self, number: int, fails: bool, final: bool, times: int) -> None:
        for _ in range(times):
            if process := self.one(number, doing=True):
                process.fail(final=final) if fails else process.done()

    @rule(number=SOME)
    def return_a_job(self, number: int) -> None:
        if process := self.one(number, doing=True):
            job, process.doing = process.doing, None
            process.say(kind="returned", ids=[job])
            process.wake()

    @rule(number=SOME, asleep=st.booleans())
    def sleep_or_wake(self, number: int, asleep: bool) -> None:
        if process := self.one(number):
            process.sleeps = True
            if not asleep:
                process.wake()

    @rule(number=SOME, kind=st.sampled_from(["held", "resumed", "leaving", "nonsense"]))
    def ask(self, number: int, kind: str) -> None:
        if process := self.one(number):
            process.say(kind=kind)

    @rule(number=SOME, kind=st.sampled_from(["done", "failed"]), job=st.sampled_from(["job0", "job3", "other"]))
    def lie(self, number: int, kind: str, job: str) -> None:
        if process := self.one(number):
            process.say(kind=kind, id=job, result=None, error=ERROR)

    @rule(number=SOME)
    def lose_permits(self, number: int) -> None:
        if (process := self.one(number)) and process.handed:
            process.say(kind="passed", count=len(process.handed))

    @rule(number=SOME)
    def begin_to_end(self, number: int) -> None:
        if process := self.one(number):
            process.is_ending = True

    @rule(number=SOME, code=st.sampled_from([0, 1, -9]))
    def exit(self, number: int, code: int) -> None:
        if process := self.one(number):
            process.exit(code)

    @rule()
    def end_those_that_are_killed(self) -> None:
        for process in self.runner.alive:
            if process.killed:
                process.exit(-9)

    # What always holds

    @invariant()
    def each_job_is_in_one_place(self) -> None:
        if hasattr(self, "pool"):
            held = [lease.job.id for lease in self.pool.in_hand]
            assert Counter(held + self.over) == Counter(self.handed)

    @invariant()
    def room_is_what_slots_can_take(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.free >= 0
            for slot in self.pool.slots:
                assert 0 <= slot.free <= slot.pool_spec.arguments.batch + PREFETCH
                assert not slot.hand or slot.pid is not None
                assert not slot.free or slot.state in (State.READY, State.BUSY)
            assert not self.stopped or self.pool.free == 0

    @invariant()
    def each_slot_has_at_most_one_process_and_each_process_a_slot(self) -> None:
        if hasattr(self, "pool"):
            placed = [slot.pid for slot in self.pool.slots if slot.pid is not None]
            assert sorted(placed) == sorted(process.pid for process in self.runner.alive) == sorted(self.runner.watched)

    @invariant()
    def a_slot_is_busy_while_it_has_a_job(self) -> None:
        if hasattr(self, "pool"):
            for slot in self.pool.slots:
                process = next((one for one in self.runner.alive if one.pid == slot.pid), None)
                assert (slot.state is State.BUSY) <= bool(slot.hand)
                assert not slot.hand or slot.state in (State.BUSY, State.STOPPING) or (process and process.is_ending)


TestPool = Pool.TestCase
