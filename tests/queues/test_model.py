"""Every engine does what a simple model of it does, whatever happens in whatever order."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from emulator import Emulator
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from queue_calls import claim, depth, extend, fail, finish, release, run_jobs, settle_and_claim
from sqs_stage import made, unique

from factory_cdk.queues.memory import MemoryQueues, Store
from factory_cdk.queues.opening import Queues
from factory_cdk.queues.port import Depth, Failed, Failure, Finished, Forward, Job, Lease, Wanted
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.queues.sqs.engine import SqsQueues

QUEUES = ("red", "green")
queue_names = st.sampled_from(QUEUES)
pauses = st.sampled_from([50.0, 100.0, 200.0, 500.0])
payloads = st.sampled_from([None, 1, "x" * 900, "y" * 2000, {"z": ["é" * 1500]}])


@dataclass
class Known:
    """What the model knows of a job. `place` is its place in the order of sending."""

    job: Job
    queue: str
    place: int
    due: float = 0.0
    lease: Lease | None = None
    attempt: int = 1
    earlier: int = 0
    outcome: str | None = None
    result: object = None
    failures: list[str] = field(default_factory=list)

    def is_ready(self, now: float) -> bool:
        return self.outcome is None and self.due <= now


class EngineAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.known: dict[str, Known] = {}
        self.ended: list[str] = []
        self.places = itertools.count()
        self.stale: list[Lease] = []
        self.queues = self.opened()

    def opened(self) -> Queues:
        """Another handle on the same queues."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.queues.close()

    def elapse(self, seconds: float) -> None:
        """Let time pass, for the model and for the engine."""
        self.now += seconds

    # The model's own steps

    def add(self, job: Job, queue: str, due: float = 0.0) -> None:
        if job.id not in self.known:
            self.known[job.id] = Known(job, queue, next(self.places), due)

    def end(self, known: Known, outcome: str) -> None:
        known.outcome, known.lease, known.due = outcome, None, 0.0
        self.ended.append(known.job.id)

    def held(self) -> list[Known]:
        return [known for known in self.known.values() if known.lease]

    def leased(self) -> list[Lease]:
        return [known.lease for known in self.held() if known.lease]

    def claim(self, queue: str, n: int, lease: float) -> list[tuple[str, object, int]]:
        """What the model says that a claim gives: id, payload and attempt; and takes it."""
        ready = [known for known in self.known.values() if known.queue == queue and known.is_ready(self.now)]
        if n:
            for known in ready:
                if known.lease:
                    self.stale.append(known.lease)
                    known.failures.append("LeaseExpired")
                    known.attempt += 1
                known.lease, known.due = None, 0.0
        taken = sorted(ready, key=lambda known: known.place)[:n]
        for known in taken:
            known.due = self.now + lease
        return [(known.job.id, known.job.payload, known.attempt) for known in taken]

    def hold(self, leases: list[Lease]) -> list[tuple[str, object, int]]:
        for lease in leases:
            self.known[lease.job.id].lease = lease
        return [(lease.job.id, lease.job.payload, lease.job.attempt) for lease in leases]

    # What may happen

    @rule(queue=queue_names, numbers=st.lists(st.integers(0, 30), max_size=4), payload=payloads)
    def send(self, queue: str, numbers: list[int], payload: object) -> None:
        jobs = [Job(f"job-{number}", "bot", payload, "run") for number in numbers]
        self.queues.send(queue, jobs)
        for job in jobs:
            self.add(job, queue)

    @rule(queue=queue_names, number=st.integers(0, 30), delay=pauses)
    def send_later(self, queue: str, number: int, delay: float) -> None:
        job = Job(f"job-{number}", "bot", number, "run")
        self.queues.send(queue, [job], delay=delay)
        self.add(job, queue, self.now + delay)

    @rule(queue=queue_names, n=st.integers(0, 4), lease=pauses)
    def receive(self, queue: str, n: int, lease: float) -> None:
        expected = self.claim(queue, n, lease)
        assert self.hold(claim(self.queues, queue, n, lease=lease)) == expected

    @precondition(lambda self: self.held())
    @rule(data=st.data(), queue=queue_names, fan=st.integers(0, 2), payload=payloads)
    def finish(self, data: st.DataObject, queue: str, fan: int, payload: object) -> None:
        known = data.draw(st.sampled_from(self.held()))
        assert known.lease
        forwards = [Forward(queue, Job(f"{known.job.id}.{one}", "bot", payload, "run")) for one in range(fan)]
        assert finish(self.queues, known.lease, forwards, payload)
        self.stale.append(known.lease)
        known.result = payload
        self.end(known, "success")
        for forward in forwards:
            self.add(forward.job, forward.queue)

    @precondition(lambda self: self.held())
    @rule(data=st.data(), delay=st.none() | st.just(0.0) | pauses)
    def fail(self, data: st.DataObject, delay: float | None) -> None:
        known = data.draw(st.sampled_from(self.held()))
        assert known.lease
        assert fail(self.queues, known.lease, Failure("Error", "no", "", known.attempt), delay=delay)
        self.stale.append(known.lease)
        known.failures.append("Error")
        if delay is None:
            self.end(known, "dead")
        else:
            known.lease, known.attempt, known.due = None, known.attempt + 1, self.now + delay if delay else 0.0

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.held()))
        assert known.lease
        assert release(self.queues, known.lease)
        self.stale.append(known.lease)
        known.lease, known.due = None, 0.0

    @rule(seconds=pauses)
    def extend_everything(self, seconds: float) -> None:
        leases = self.leased()
        renewed = extend(self.queues, [*leases, *self.stale[-3:]], seconds)
        assert [lease.token for lease in renewed] == [lease.token for lease in leases]
        for known in self.held():
            known.due = self.now + seconds

    @rule(
        n=st.integers(0, 3),
        lease=pauses,
        fates=st.lists(st.sampled_from(["done", "sent before", "dead", "again"]), max_size=4),
        queue=queue_names,
        payload=payloads,
    )
    def settle_and_claim(self, n: int, lease: float, fates: list[str], queue: str, payload: object) -> None:
        settled: list[Finished | Failed] = []
        for known, fate in zip(self.held(), fates, strict=False):
            assert known.lease
            if fate in ("done", "sent before"):
                first = next(iter(self.known)) if fate == "sent before" else f"{known.job.id}+"
                children = [Job(job_id, "bot", payload, "run") for job_id in (first, f"{known.job.id}*")]
                settled.append(Finished(known.lease, [Forward(queue, child) for child in children], 0))
            else:
                delay = 0.0 if fate == "again" else None
                settled.append(Failed(known.lease, Failure("Error", "", "", 1), delay))
        for one in settled:
            known = self.known[one.lease.job.id]
            self.stale.append(one.lease)
            if isinstance(one, Failed):
                known.failures.append("Error")
                if one.delay is None:
                    self.end(known, "dead")
                else:
                    known.lease, known.attempt, known.due = None, known.attempt + 1, 0.0
            else:
                known.result = 0
                self.end(known, "success")
        for one in settled:
            if isinstance(one, Finished):
                for forward in one.forwards:
                    self.add(forward.job, forward.queue)
        expected = [found for queue in QUEUES for found in self.claim(queue, n, lease)]
        held, leases = settle_and_claim(self.queues, settled, [Wanted(queue, n, lease) for queue in QUEUES])
        assert all(held)
        assert self.hold(leases) == expected

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def try_a_stale_lease(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.stale))
        assert not finish(self.queues, lease, [Forward("red", Job("never", "bot", 0, "run"))])
        assert not fail(self.queues, lease, Failure("Error", "", "", 1), delay=None)
        assert not release(self.queues, lease)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(list(self.known.values())))
        assert self.queues.history.cancel([known.job.id]) == [known.outcome is None]
        if known.outcome is None:
            if known.lease:
                self.stale.append(known.lease)
            else:
                known.attempt -= 1
            self.end(known, "cancelled")

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(list(self.known.values())))
        can = known.outcome in ("dead", "cancelled")
        assert self.queues.history.retry([known.job.id, "unknown"]) == [can, False]
        if can:
            known.outcome, known.earlier, known.attempt = None, known.earlier + known.attempt, 1
            self.ended.remove(known.job.id)

    @rule(seconds=pauses)
    def let_time_pass(self, seconds: float) -> None:
        self.elapse(seconds)

    @precondition(lambda self: self.held())
    @rule(queue=queue_names)
    def let_every_lease_end(self, queue: str) -> None:
        self.elapse(600.0)
        self.receive(queue, 2, 100.0)

    @rule()
    def open_anew(self) -> None:
        self.queues.close()
        self.queues = self.opened()

    # What must hold

    @invariant()
    def depths_agree(self) -> None:
        for queue in QUEUES:
            mine = [known for known in self.known.values() if known.queue == queue]
            live = [known for known in mine if known.outcome is None]
            later = [known for known in live if known.due > self.now]
            leased = sum(known.lease is not None for known in later)
            dead = sum(known.outcome == "dead" for known in mine)
            assert depth(self.queues, queue) == Depth(len(live) - len(later), len(later) - leased, leased, dead)

    @invariant()
    def histories_agree(self) -> None:
        records = run_jobs(self.queues, "run")
        assert [record.job.id for record in records] == list(self.known)
        for record, known in zip(records, self.known.values(), strict=True):
            assert (record.outcome, record.queue, record.result) == (known.outcome, known.queue, known.result)
            assert record.job.payload == known.job.payload
            assert [failure.type for failure in record.failures] == known.failures
            waits = known.outcome is None and known.lease is None
            assert record.attempts == known.earlier + known.attempt - waits
        outcomes = self.queues.history.outcomes("run")
        assert [record.job.id for record in outcomes] == self.ended
        assert self.queues.history.remaining("run") == len(self.known) - len(self.ended)
        for queue in QUEUES:
            dead = [one for one in self.ended if self.known[one].outcome == "dead" and self.known[one].queue == queue]
            assert [letter.job.id for letter in self.queues.history.dead_letters(queue, 100)] == dead


class SqliteAgainstModel(EngineAgainstModel):
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        super().__init__()

    def opened(self) -> Queues:
        return SqliteQueues(self.folder / "queues.db", clock=lambda: self.now, sync=lambda _: None)

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class MemoryAgainstModel(EngineAgainstModel):
    def __init__(self) -> None:
        self.store = Store(lambda: self.now)
        super().__init__()

    def opened(self) -> Queues:
        return MemoryQueues(self.store)


class SqsAgainstModel(EngineAgainstModel):
    """SQS gives no order: the model takes what it is given, if that is what it may be given."""

    aws: ClassVar[Emulator]

    def __init__(self) -> None:
        self.stage = made(self.aws, unique("model"), QUEUES)
        self.asked: list[tuple[str, int, float]] = []
        self.ticks = itertools.count()
        super().__init__()

    def opened(self) -> Queues:
        return SqsQueues(self.stage.location, clock=lambda: self.now + next(self.ticks) * 1e-4)

    def elapse(self, seconds: float) -> None:
        super().elapse(seconds)
        self.aws.put_forward(seconds)

    def claim(self, queue: str, n: int, lease: float) -> list[tuple[str, object, int]]:
        self.asked.append((queue, n, lease))
        return []

    def hold(self, leases: list[Lease]) -> list[tuple[str, object, int]]:
        asked, self.asked = self.asked, []
        for queue, n, seconds in asked:
            taken = [lease for lease in leases if lease.queue == queue]
            ready = [one for one in self.known.values() if one.queue == queue and one.is_ready(self.now)]
            assert len(taken) == min(n, len(ready))
            for lease in taken:
                known = self.known[lease.job.id]
                assert known in ready
                if known.lease:
                    self.stale.append(known.lease)
                    known.failures.append("LeaseExpired")
                    known.attempt += 1
                assert (lease.job.payload, lease.job.attempt) == (known.job.payload, known.attempt)
                known.lease, known.due = lease, self.now + seconds
        return []

    @invariant()
    def depths_agree(self) -> None:
        for queue in QUEUES:
            dead = sum(one.queue == queue and one.outcome == "dead" for one in self.known.values())
            assert depth(self.queues, queue).dead == dead


SqliteAgainstModel.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
MemoryAgainstModel.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
SqsAgainstModel.TestCase.settings = settings(max_examples=8, stateful_step_count=25)
TestSqliteAgainstModel = SqliteAgainstModel.TestCase
TestMemoryAgainstModel = MemoryAgainstModel.TestCase


@pytest.fixture
def _emulated(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    SqsAgainstModel.aws = aws


@pytest.mark.e2e
@pytest.mark.usefixtures("_emulated")
class TestSqsAgainstModel(SqsAgainstModel.TestCase):  # type: ignore[name-defined, misc]
    pass
