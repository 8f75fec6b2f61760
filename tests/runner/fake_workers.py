"""Worker processes that a test speaks for, a clock that it advances, and a runner that only takes notes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments, Successor
from factory_cdk.queues.port import Failed, Finished, Job, Lease
from factory_cdk.runner.pool import PoolEvents, StartFailure, WorkerPool
from factory_cdk.runner.ports import Message
from factory_cdk.state.log_folder import LogFolder
from factory_cdk.state.logs import Stream
from factory_cdk.state.runner_spec import PoolSpec, Timings

ERROR = {"type": "ValueError", "message": "no", "traceback": "Traceback (most recent call last):\n  line 1\n"}


@dataclass
class FakeTimer:
    due: float
    call: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Time passes when a test says so; what is due is called in its order."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[FakeTimer] = []

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return 1_700_000_000.0 + self._now

    def call_later(self, seconds: float, then: Callable[..., object], *arguments: object) -> FakeTimer:
        assert seconds >= 0, f"a delay of {seconds} s"
        timer = FakeTimer(self._now + seconds, lambda: then(*arguments))
        self._timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and call what becomes due."""
        until = self._now + seconds
        while due := [timer for timer in self._waiting() if timer.due <= until]:
            first = min(due, key=lambda timer: timer.due)
            self._timers.remove(first)
            self._now = max(self._now, first.due)
            first.call()
        self._now = until

    @property
    def pending(self) -> list[float]:
        """In how many seconds something is due."""
        return sorted(round(timer.due - self._now, 6) for timer in self._waiting())

    def _waiting(self) -> list[FakeTimer]:
        return [timer for timer in self._timers if not timer.cancelled]


class FakeProcess:
    """A worker process: it begins the first job that it is handed as soon as it has none, unless it `sleeps`, and says
    what the test says in its name. `killed` and `refused` tell what was done to it; it ends when the test says so, and
    takes nothing any more when it `is_ending`: what it has left is being read.
    """

    def __init__(self, pid: int) -> None:
        self.pid, self.mark = pid, f"mark-{pid}"
        self.sent: list[Message] = []
        self.doing: str | None = None
        self.handed: deque[str] = deque()
        self.sleeps = self.killed = self.is_ending = self.ended = False
        self.refused: str | None = None
        self._taken_back = self._passed = 0

    # What the slot calls

    def report_to(
        self,
        *,
        on_message: Callable[[Message], None],
        on_output: Callable[[bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._on_message, self._on_output, self._on_end = on_message, on_output, on_end

    def send(self, message: Message) -> None:
        assert not self.ended, "nothing is sent to a process that has ended"
        self.sent.append(message)

    def hand_over(self, jobs: Sequence[list[Any]]) -> bool:
        if self.is_ending:
            return False
        self.send({"kind": "jobs", "jobs": list(jobs)})
        self.handed.extend(job[0] for job in jobs)
        self._begin()
        return True

    def take_back(self, most: int) -> int:
        count = len(self.handed)
        assert count <= most, "more is taken back than is in hand"
        self.handed.clear()
        self._taken_back += count
        return count

    def pass_over(self, count: int) -> bool:
        self._passed += count
        return self._passed <= self._taken_back

    def refuse(self, why: str) -> None:
        self.refused = self.refused or why
        self.kill()

    def kill(self) -> None:
        self.killed = True

    # What a test says

    def say(self, **message: Any) -> None:
        if self.refused is None:
            self._on_message(message)

    def ready(self) -> None:
        self.say(kind="ready")

    def print(self, text: str) -> None:
        self._on_output(text.encode())

    def done(self, result: Any = None, **more: Any) -> None:
        """The job being done is done; the next one begins."""
        job, self.doing = self.doing, None
        assert job is not None, "it has no job"
        self._begin()
        self.say(kind="done", id=job, result=result, **more)

    def fail(self, **more: Any) -> None:
        job, self.doing = self.doing, None
        assert job is not None, "it has no job"
        self._begin()
        self.say(kind="failed", id=job, error=ERROR, **more)

    def wake(self) -> None:
        """Begin the first of the jobs that it was handed."""
        self.sleeps = False
        self._begin()

    def exit(self, code: int = 0) -> None:
        self.ended = True
        self._on_end(code)

    def _begin(self) -> None:
        if self.doing is None and self.handed and not self.sleeps:
            self.doing = self.handed.popleft()

    @property
    def kinds(self) -> list[str]:
        """The kinds of what it was sent."""
        return [message["kind"] for message in self.sent]


def pool_spec(**changes: Any) -> PoolSpec:
    """A pool spec that differs from the plainest one by `changes`: fields of its own, arguments, or a `target`."""
    plain = PoolSpec(
        sector="here",
        bot="make",
        queue="make",
        successors=(Successor(bot="take", queue="take", sector="here"),),
        arguments=BotArguments(visibility_timeout=30),
        start=Start("target", ("maker:work",)),
        transport=FACTORY_QUEUES,
        processes=1,
        bundle="/bundle",
        folder="/bundle",
        roots=("/bundle",),
        python="/env/bin/python",
        bins=("/env/bin",),
        bytecode=None,
        variables={},
        secrets={},
    )
    return changed(plain, **changes)


def changed(spec: PoolSpec, **changes: Any) -> PoolSpec:
    """The same pool spec but for `changes`: fields of its own, arguments, or a `target`."""
    if "target" in changes:
        spec = with_target(spec, changes.pop("target"))
    own = {name: value for name, value in changes.items() if name in PoolSpec.__dataclass_fields__}
    given = {name: value for name, value in changes.items() if name not in own}
    return replace(spec, **own, arguments=replace(spec.arguments, **given))


def with_target(spec: PoolSpec, target: str) -> PoolSpec:
    """The same pool spec for another bot in Python."""
    return replace(spec, start=Start("target", (target,)))


def lease(name: str, attempt: int = 1) -> Lease:
    """A job in hand, whose id is `name`."""
    return Lease(Job(name, "make", {"name": name}, "run", attempt=attempt), "make", f"token-{name}-{attempt}", 0.0)


@dataclass
class FakeRunner:
    """What a runner is to its pools: it notes what they say. `refuses` is why no process can be started, if any."""

    folder: Path
    timings: Timings = field(default_factory=Timings)
    clock: FakeClock = field(default_factory=FakeClock)
    processes: list[FakeProcess] = field(default_factory=list)
    watched: dict[int, str] = field(default_factory=dict)
    settled: list[Finished | Failed] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    logged: list[tuple[str, str]] = field(default_factory=list)
    failures: list[StartFailure] = field(default_factory=list)
    fetches: int = 0
    changes: int = 0
    refuses: OSError | None = None

    def __post_init__(self) -> None:
        self.stream = Stream(LogFolder(self.folder))
        self.on_change: Callable[[], None] = lambda: None
        self.events = PoolEvents(
            settle=self.settled.append,
            release=lambda leases: self.released.extend(lease.job.id for lease in leases),
            fetch=self._fetch,
            log=lambda text, level: self.logged.append((level, text)),
            changed=self._change,
            start_failed=self.failures.append,
        )

    def _fetch(self) -> None:
        self.fetches += 1

    def _change(self) -> None:
        self.changes += 1
        self.on_change()

    def start_worker(self, _spec: PoolSpec) -> FakeProcess:
        if self.refuses:
            raise self.refuses
        self.processes.append(FakeProcess(1000 + len(self.processes)))
        return self.processes[-1]

    def watch(self, pid: int, mark: str) -> None:
        assert pid not in self.watched
        self.watched[pid] = mark

    def forget(self, pid: int) -> None:
        del self.watched[pid]

    def pool(self, spec: PoolSpec | None = None, events: PoolEvents | None = None, **changes: Any) -> WorkerPool:
        """A pool whose gate is closed, and which is not started."""
        spec = changed(spec or pool_spec(), **changes)
        secrets = {"TOKEN": "hidden"}
        return WorkerPool(
            spec, secrets, self.timings, self.stream, self.clock, self.start_worker, self, events or self.events
        )

    def ready_pool(self, **changes: Any) -> WorkerPool:
        """A pool that takes jobs, and whose workers are all ready."""
        pool = self.pool(**changes)
        pool.open = True
        pool.start()
        for process in self.processes[-len(pool.slots) :]:
            process.ready()
        return pool

    @property
    def process(self) -> FakeProcess:
        """The process that was started last."""
        return self.processes[-1]

    @property
    def alive(self) -> list[FakeProcess]:
        return [process for process in self.processes if not process.ended]

    def log(self, label: str = "here.make.1") -> str:
        """What is in the log of a worker."""
        return (self.folder / f"{label}.log").read_text()


def hand(pool: WorkerPool, *names: str, attempt: int = 1) -> None:
    """Hand jobs with these names to the pool, as the runner does after an exchange."""
    for name in names:
        pool.assign(lease(name, attempt))
    pool.flush()


def in_hand(pool: WorkerPool) -> list[str]:
    return [one.job.id for one in pool.in_hand]
