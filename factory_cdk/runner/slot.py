"""A slot of a pool: one worker's place, which outlives the processes that fill it one after the other."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from factory_cdk.queues.port import Job, Lease
from factory_cdk.runner.guardian import Guardian
from factory_cdk.runner.process import Message, WorkerProcess
from factory_cdk.state.logs import ProcessLog
from factory_cdk.state.runner_spec import PoolSpec, Timings

QUICK = 0.002
"""Seconds within which a job is done whose worker is then handed more than its batch: it need not wait for its runner's
turn, and its runner settles many jobs in one transaction. A worker whose last job took longer has no more than that.
"""

AHEAD = 16
"""How many jobs beyond its batch a worker of quick jobs has in hand at most."""

SLOW = 0.05
"""Seconds after which a job turns out not to be quick: what its worker was handed ahead is taken back."""


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


def job_message(job: Job) -> list[Any]:
    """A job as the shim gets it."""
    return [job.id, job.bot, job.payload, job.run, job.parent, job.attempt, dict(job.tags)]


class WorkerSlot:
    """One place of a pool. `on_message` and `on_end` get this slot and what its process said or its exit code, and
    `on_return` the jobs that were taken back from it.

    `hand` holds the jobs in hand in the order in which the worker does them: the first is being done.
    `deaths` counts the processes lost in a row; `killed_for` says why we ended the present one. `held`: its bot
    wants no jobs until it is resumed; `said` is what its bot published, until the job is over
    in which it did.
    """

    def __init__(
        self,
        pool_spec: PoolSpec,
        number: int,
        log: ProcessLog,
        guardian: Guardian,
        on_message: Callable[[WorkerSlot, Message], None],
        on_end: Callable[[WorkerSlot, int], None],
        on_return: Callable[[Sequence[Lease]], None],
    ) -> None:
        self.pool_spec, self.number, self.log = pool_spec, number, log
        self._guardian = guardian
        self._on_message, self._on_end, self._on_return = on_message, on_end, on_return
        self._process: WorkerProcess | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._given: list[Job] = []
        self.state = State.ENDED
        self.hand: deque[Lease] = deque()
        self._ahead = 0
        self._turn = 0.0
        self._began = 0.0
        self.started_at = 0.0
        self.was_ready = False
        self.broken: Mapping[str, Any] | None = None
        self.killed_for: str | None = None
        self.held = False
        self.said: str | None = None
        self.restarts = -1
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
        return time.monotonic() - self._began

    @property
    def free(self) -> int:
        """How many more jobs it takes."""
        if self.held or self.state not in (State.READY, State.BUSY):
            return 0
        return max(0, self.pool_spec.arguments.batch + self._ahead - len(self.hand))

    def start(self, process: WorkerProcess, secrets: Mapping[str, str]) -> None:
        """Put `process`, which has been told nothing yet, in this place, and tell it what to be."""
        pool_spec = self.pool_spec
        self._begin()
        self._process = process
        process.report_to(on_message=self._hear, on_output=self._print, on_end=self._end)
        self._guardian.watch(process.pid, process.mark)
        self._process.send(
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

    def _begin(self) -> None:
        self.state = State.STARTING
        self.started_at, self._began = time.time(), time.monotonic()
        self.was_ready, self.broken, self.killed_for = False, None, None
        self.held, self.said = False, None
        self.restarts += 1
        self._ahead = 0

    def take(self, lease: Lease) -> None:
        """Take a job in hand; `flush` hands over what was taken."""
        self.hand.append(lease)
        self._given.append(lease.job)

    def flush(self) -> None:
        """Hand over what was taken since the last time, in one frame."""
        if not self._given or self._process is None:
            return
        jobs, self._given = self._given, []
        self._process.hand_over([job_message(job) for job in jobs])
        if self._watching is None and len(self.hand) > self.pool_spec.arguments.batch:
            self._watch_in(SLOW)
        if self.state is State.READY:
            self.state = State.BUSY
            self._turn = time.monotonic()
            self._set_timer()

    def finish(self) -> Lease:
        """The job being done is done: take it out of the hand, and what was said of it; the next one's time starts."""
        lease, self.said = self.hand.popleft(), None
        now = time.monotonic()
        self._ahead = min(AHEAD, 2 * self._ahead + 1) if now - self._turn < QUICK else 0
        self._turn = now
        self._go_on()
        return lease

    def give_back(self, ids: Sequence[str]) -> list[Lease]:
        """Take the jobs `ids`, which go back to their queue, out of the hand; returns their leases."""
        back = [lease for lease in self.hand if lease.job.id in ids]
        self.hand = deque(lease for lease in self.hand if lease.job.id not in ids)
        self._go_on()
        return back

    def pass_over(self, count: int) -> None:
        """The process passed over `count` jobs. Where they were not taken back from it, end it: its jobs go back."""
        if self._process and not self._process.pass_over(count):
            self.killed_for = self.killed_for or "permits"
            self.refuse("it could not begin jobs, something had taken the permits for them; they go back")

    def resume(self) -> None:
        """Let a process that its bot stopped take jobs again."""
        if self.held and self._process:
            self.held = False
            self._process.send({"kind": "resume"})

    def stop(self) -> None:
        """End when the job that is being done is; those that were not begun go back. A slot without a process has
        ended.
        """
        if self._waiting:
            self._waiting.cancel()
        if self._process is None:
            self.state = State.ENDED
        elif self.state is not State.STOPPING:
            self.state = State.STOPPING
            self._take_back(self._process)
            self._process.send({"kind": "stop"})

    def refuse(self, why: str) -> None:
        """End a process that says what it cannot know; its jobs go on as those of one that died."""
        if self._process:
            self._process.refuse(why)

    def kill(self, why: str) -> None:
        """End the process at once; `on_end` follows."""
        if self._process and self.killed_for is None:
            self.killed_for = why
            self._process.kill()

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` after `seconds`, unless stopped meanwhile."""
        self.state = State.WAITING
        self._waiting = asyncio.get_running_loop().call_later(seconds, then)

    def _go_on(self) -> None:
        """Jobs have left the hand: the first of the others, if any, is being done now."""
        if not self.hand and self.state is State.BUSY:
            self.state = State.READY
        if self.pool_spec.arguments.timeout is not None:
            self._set_timer()

    def _watch_in(self, seconds: float) -> None:
        self._watching = asyncio.get_running_loop().call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Take back what was handed ahead when the job being done has turned out to be slow."""
        self._watching = None
        if self._process is None or len(self.hand) <= self.pool_spec.arguments.batch:
            return
        left = self._turn + SLOW - time.monotonic()
        if left > 0:
            self._watch_in(left)
            return
        self._ahead = 0
        self._take_back(self._process)

    def _take_back(self, process: WorkerProcess) -> None:
        """Give back what `process` was handed and has not begun."""
        if back := process.take_back(len(self.hand)):
            leases = [self.hand.pop() for _ in range(back)]
            self._on_return(leases[::-1])

    def _set_timer(self) -> None:
        self._clear_timer()
        if self.pool_spec.arguments.timeout is not None and self.hand:
            self._timer = asyncio.get_running_loop().call_later(self.pool_spec.arguments.timeout, self.kill, "timeout")

    def _hear(self, message: Message) -> None:
        self._on_message(self, message)

    def _print(self, output: bytes) -> None:
        self.log.write(output, [lease.job.id for lease in self.hand])

    def _end(self, code: int) -> None:
        if self._process:
            self._guardian.forget(self._process.pid)
        self._process = None
        self._given = []
        self._clear_timer()
        self.log.end()
        self._on_end(self, code)

    def _clear_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def restart_delay(timings: Timings, deaths: int, *, was_ready: bool) -> float:
    """Seconds before a worker that died for the `deaths`th time in a row is restarted.

    One that had been ready gets its first restart at once, so that its job can go on.
    """
    doublings = deaths - 2 if was_ready else deaths - 1
    return 0.0 if doublings < 0 else float(min(timings.restart_most, timings.restart_first * 2**doublings))


def retry_delay(timings: Timings, attempt: int, max_attempts: int, *, crashed: bool) -> float | None:
    """Seconds before a job whose `attempt` failed is tried again; None when that was the last.

    A job whose worker died is tried again at once, elsewhere or in a new process.
    """
    if attempt >= max_attempts:
        return None
    return 0.0 if crashed else float(min(timings.retry_most, timings.retry_first * 2 ** (attempt - 1)))
