"""A slot of a pool: one worker's place, which outlives the processes that fill it one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from factory_cdk.queues.port import Job, Lease
from factory_cdk.runner.ports import Clock, Message, Process, ProcessGuard, Timer
from factory_cdk.state.logs import ProcessLog
from factory_cdk.state.runner_spec import PoolSpec

QUICK = 0.002
"""Seconds within which a job is done whose worker then prefetches: it need not wait for its runner's turn, and its
runner settles many jobs in one transaction. A worker whose last job took longer gets no more than its batch.
"""

PREFETCH = 16
"""How many jobs beyond its batch a worker of quick jobs has in hand at most."""

SLOW = 0.05
"""Seconds after which a job turns out not to be quick: what its worker has prefetched is taken back."""


class State(StrEnum):
    """What a slot is at: loading its bot, ready for a job, busy with one, waiting to be restarted, finishing
    what it has in hand, ended, or given up on (a crash loop).
    """

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    WAITING = "waiting"
    STOPPING = "stopping"
    ENDED = "ended"
    BROKEN = "broken"


ALIVE = (State.STARTING, State.READY, State.BUSY, State.STOPPING)
"""The states in which a slot has a process."""


class KilledFor(StrEnum):
    """Why the runner killed a process: it ends or replaces it, its job took too long, something in it has read the
    permits of its jobs, or its pool was given up.
    """

    END = "end"
    TIMEOUT = "timeout"
    PERMITS = "permits"
    CRASH_LOOP = "crash loop"


def job_message(job: Job) -> list[Any]:
    """A job as a worker process gets it."""
    return [job.id, job.bot, job.payload, job.run, job.parent, job.attempt, dict(job.tags)]


class WorkerSlot:
    """One place of a pool. `on_message` and `on_exit` get this slot and what its process said or its exit code, and
    `on_return` the jobs that were taken back from it.

    `hand` holds the jobs in hand in the order in which the worker does them: the first is being done.
    `deaths` counts the processes lost in a row, `starts` all that were started; `killed_for` says why we killed the
    present one. `held`: its bot wants no jobs until it is resumed. `start_again`: another process is wanted once the
    present one, which was told to stop, has ended. `bot_status` is what its bot published, until the job is over in
    which it did.
    """

    def __init__(
        self,
        pool_spec: PoolSpec,
        number: int,
        log: ProcessLog,
        clock: Clock,
        guard: ProcessGuard,
        on_message: Callable[[WorkerSlot, Message], None],
        on_exit: Callable[[WorkerSlot, int], None],
        on_return: Callable[[Sequence[Lease]], None],
    ) -> None:
        self.pool_spec, self.number, self.log = pool_spec, number, log
        self._clock, self._guard = clock, guard
        self._on_message, self._on_exit, self._on_return = on_message, on_exit, on_return
        self._process: Process | None = None
        self._timeout: Timer | None = None
        self._restart: Timer | None = None
        self._slow_check: Timer | None = None
        self._unsent: list[Job] = []
        self.state = State.ENDED
        self.hand: deque[Lease] = deque()
        self._prefetch = 0
        self._job_began = 0.0
        self._process_began = 0.0
        self.started_at = 0.0
        self.was_ready = False
        self.broken: Mapping[str, Any] | None = None
        self.killed_for: KilledFor | None = None
        self.held = False
        self.start_again = False
        self.bot_status: str | None = None
        self.starts = 0
        self.deaths = 0
        self.done = 0
        self.failed = 0

    @property
    def label(self) -> str:
        """The slot in one word: `sector/bot.1`."""
        return f"{self.pool_spec.label}.{self.number}"

    @property
    def pid(self) -> int | None:
        """The process in this place, if any."""
        return self._process.pid if self._process else None

    @property
    def age(self) -> float:
        """For how many seconds its process has lived."""
        return self._clock.monotonic() - self._process_began

    @property
    def takes_jobs(self) -> bool:
        """Whether its process can be handed jobs."""
        return self.state in (State.READY, State.BUSY) and not self.held

    @property
    def free(self) -> int:
        """How many more jobs it takes."""
        return max(0, self.pool_spec.arguments.batch + self._prefetch - len(self.hand)) if self.takes_jobs else 0

    # Its process

    def start(self, process: Process, secrets: Mapping[str, str]) -> None:
        """Put `process`, which has been told nothing yet, in this place, and tell it what to be."""
        pool_spec = self.pool_spec
        self._begin()
        self._process = process
        process.report_to(on_message=self._hear, on_output=self._log_output, on_end=self._end)
        self._guard.watch(process.pid, process.mark)
        process.send(
            {
                "kind": "start",
                "bot": pool_spec.bot,
                "mode": pool_spec.start.mode,
                "words": pool_spec.start.words,
                "roots": pool_spec.roots,
                "bytecode": pool_spec.bytecode,
                "variables": {**secrets, "FACTORY_WORKER": str(self.number)},
            }
        )

    def fail_to_start(self, error: Mapping[str, Any]) -> None:
        """No process could be started in this place, for `error`."""
        self._begin()
        self.broken = error

    def become_ready(self) -> None:
        """Its process has loaded the bot."""
        self.was_ready = True
        if self.state is State.STARTING:
            self.state = State.READY

    def resume(self) -> None:
        """Let a process that its bot stopped take jobs again."""
        if self.held and self._process:
            self.held = False
            self._process.send({"kind": "resume"})

    def stop(self) -> None:
        """End when the job that is being done is; those that were not begun go back. A slot without a process has
        ended.
        """
        if self._restart:
            self._restart.cancel()
        if self._process is None:
            self.state = State.ENDED
        elif self.state is not State.STOPPING:
            self.state = State.STOPPING
            self._take_back(self._process)
            self._process.send({"kind": "stop"})

    def kill(self, why: KilledFor) -> None:
        """End the process at once; `on_exit` follows."""
        if self._process and self.killed_for is None:
            self.killed_for = why
            self._process.kill()

    def refuse(self, why: str) -> None:
        """End a process that says what it cannot know; its jobs go on as those of one that died."""
        if self._process:
            self._process.refuse(why)

    def restart_in(self, seconds: float, start: Callable[[], None]) -> None:
        """Call `start` after `seconds`, unless stopped meanwhile."""
        self.state = State.WAITING
        self._restart = self._clock.call_later(seconds, start)

    # Its jobs

    def take(self, lease: Lease) -> None:
        """Take a job in hand; `flush` hands over what was taken."""
        self.hand.append(lease)
        self._unsent.append(lease.job)

    def flush(self) -> None:
        """Hand over what was taken since the last time, in one frame."""
        if not self._unsent or self._process is None:
            return
        if not self._process.hand_over([job_message(job) for job in self._unsent]):
            return  # `on_exit` follows
        self._unsent = []
        if self._slow_check is None and len(self.hand) > self.pool_spec.arguments.batch:
            self._check_slow_in(SLOW)
        if self.state is State.READY:
            self.state = State.BUSY
            self._begin_job(self._clock.monotonic())

    def is_doing(self, job_id: str) -> bool:
        """Whether the job `job_id` is the one that it has to do now."""
        return bool(self.hand) and self.hand[0].job.id == job_id

    def finish_job(self) -> Lease:
        """The job being done is over: take it out of the hand; the time of the next one begins."""
        now = self._clock.monotonic()
        self._prefetch = min(PREFETCH, 2 * self._prefetch + 1) if now - self._job_began < QUICK else 0
        lease = self.hand.popleft()
        self._begin_job(now)
        return lease

    def return_jobs(self, ids: Sequence[str]) -> list[Lease]:
        """Take the jobs `ids`, which its process returns, out of the hand; their leases."""
        was_doing = self.hand[0] if self.hand else None
        returned = [lease for lease in self.hand if lease.job.id in ids]
        self.hand = deque(lease for lease in self.hand if lease.job.id not in ids)
        if returned and returned[0] is was_doing:
            self._begin_job(self._clock.monotonic())
        return returned

    def pass_over(self, count: int) -> None:
        """The process passed over `count` jobs. Where they were not taken back from it, end it: its jobs go back."""
        if self._process and not self._process.pass_over(count):
            self.killed_for = self.killed_for or KilledFor.PERMITS
            self.refuse("it could not begin jobs, something had taken the permits for them; they go back")

    def _begin_job(self, now: float) -> None:
        """Another job is the first in hand now, and is being done, or none is left."""
        self._job_began = now
        self.bot_status = None
        if not self.hand and self.state is State.BUSY:
            self.state = State.READY
        if self.pool_spec.arguments.timeout is not None:
            self._cancel_timeout()
            if self.hand:
                self._timeout = self._clock.call_later(self.pool_spec.arguments.timeout, self.kill, KilledFor.TIMEOUT)

    def _check_slow_in(self, seconds: float) -> None:
        self._slow_check = self._clock.call_later(seconds, self._check_slow)

    def _check_slow(self) -> None:
        """Take back what was prefetched when the job being done has turned out to be slow."""
        self._slow_check = None
        if self._process is None or len(self.hand) <= self.pool_spec.arguments.batch:
            return
        left = self._job_began + SLOW - self._clock.monotonic()
        if left > 0:
            self._check_slow_in(left)
            return
        self._prefetch = 0
        self._take_back(self._process)

    def _take_back(self, process: Process) -> None:
        """Give back what `process` was handed and has not begun."""
        if back := process.take_back(len(self.hand)):
            leases = [self.hand.pop() for _ in range(back)]
            if not self.hand:  # it had not even begun the first
                self._begin_job(self._clock.monotonic())
            self._on_return(leases[::-1])

    # What its process says

    def _hear(self, message: Message) -> None:
        self._on_message(self, message)

    def _log_output(self, output: bytes) -> None:
        self.log.write(output, self._job_ids())

    def _end(self, code: int) -> None:
        if self._process:
            self._guard.forget(self._process.pid)
        self._process = None
        if self._unsent:
            leases = [self.hand.pop() for _ in self._unsent]
            self._unsent = []
            self._on_return(leases[::-1])
        self._cancel_timeout()
        self.log.end(self._job_ids())
        self._on_exit(self, code)

    def _job_ids(self) -> list[str]:
        return [lease.job.id for lease in self.hand]

    def _begin(self) -> None:
        self.state = State.STARTING
        self.started_at, self._process_began = self._clock.time(), self._clock.monotonic()
        self.was_ready, self.broken, self.killed_for = False, None, None
        self.held, self.start_again, self.bot_status = False, False, None
        self.starts += 1
        self._prefetch = 0

    def _cancel_timeout(self) -> None:
        if self._timeout:
            self._timeout.cancel()
            self._timeout = None
