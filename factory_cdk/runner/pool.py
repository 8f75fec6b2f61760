"""A pool: the workers of one bot on one sector, kept at work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory_cdk.bundle import told_as_missed
from factory_cdk.queues.port import Failed, Failure, Finished, Lease, Outcome
from factory_cdk.runner.delays import restart_delay, retry_delay
from factory_cdk.runner.failures import error_message, exit_reason, storable
from factory_cdk.runner.ports import Clock, Message, ProcessGuard, StartWorker
from factory_cdk.runner.slot import ALIVE, KilledFor, State, WorkerSlot
from factory_cdk.state.log_filter import TRACEBACK
from factory_cdk.state.logs import Stream
from factory_cdk.state.runner_spec import PoolSpec, Timings
from factory_cdk.state.status import PoolStatus, WorkerStatus
from factory_cdk.workflow.routing import forwards

DEAD = "it is a dead letter now"

NO_PROCESS = 127
"""The exit code, as a shell's, of a process that could not be started."""


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Why a worker could not be made ready, and the end of its log."""

    sector: str
    bot: str
    reason: str
    log: str


@dataclass(frozen=True, slots=True)
class PoolEvents:
    """What a pool tells its runner. Each returns at once; the queues hear of it in the runner's next exchange.

    `settle`: an attempt at a job is over, and this is what to tell the queues. The job is in no hand any more.
    `release`: these jobs were not begun: they go back to their queues, and the attempt is not counted.
    `fetch`: a worker can take jobs.
    `log`: an event for the runner's log, and how severe it is (a level of state/log_filter.py).
    `changed`: something that the status shows, or that somebody waits for, has changed.
    `start_failed`: a worker could not be made ready.
    """

    settle: Callable[[Finished | Failed], None]
    release: Callable[[Sequence[Lease]], None]
    fetch: Callable[[], None]
    log: Callable[[str, str], None]
    changed: Callable[[], None]
    start_failed: Callable[[StartFailure], None]


class WorkerPool:
    """The workers of `pool_spec`. `open` says whether it takes jobs; `broken` why it was given up, or None.

    A job's way: the runner's exchange claims it, `assign` and `flush` hand it to a worker, whose answer comes to
    `_on_message`; `settle` or `release` then tell the runner, whose next exchange tells the queues.
    """

    def __init__(
        self,
        pool_spec: PoolSpec,
        secrets: Mapping[str, str],
        timings: Timings,
        stream: Stream,
        clock: Clock,
        start_worker: StartWorker,
        guard: ProcessGuard,
        events: PoolEvents,
    ) -> None:
        self.pool_spec = pool_spec
        self.open = False
        self.broken: str | None = None
        self._secrets, self._timings, self._events = secrets, timings, events
        self._clock, self._start_worker = clock, start_worker
        self._early_deaths: deque[float] = deque(maxlen=timings.loop_deaths)
        self._stopping = False
        self.lease = min(float(pool_spec.arguments.visibility_timeout), timings.lease_most)
        self.slots = tuple(
            WorkerSlot(
                pool_spec,
                number,
                stream.log(f"{pool_spec.label}.{number}"),
                clock,
                guard,
                on_message=self._on_message,
                on_exit=self._on_exit,
                on_return=events.release,
            )
            for number in range(1, pool_spec.processes + 1)
        )

    @property
    def ready(self) -> bool:
        """Whether every slot is loaded, or was and has left because its bot wanted so."""
        gone = (State.STOPPING, State.ENDED)
        return all(
            slot.state in (State.READY, State.BUSY) or (slot.was_ready and slot.state in gone) for slot in self.slots
        )

    @property
    def alive(self) -> bool:
        """Whether any slot has a process."""
        return any(slot.state in ALIVE for slot in self.slots)

    @property
    def in_hand(self) -> list[Lease]:
        """Every job in hand."""
        return [lease for slot in self.slots for lease in slot.hand]

    @property
    def free(self) -> int:
        """How many jobs the pool can take now."""
        return sum(slot.free for slot in self.slots) if self.open and self.pool_spec.gets_jobs else 0

    def start(self) -> None:
        """Start the slots that have no process, and those that are stopping once they have ended; a pool that was given
        up gets a new chance. Nothing once it was stopped.
        """
        self.broken = None
        self._early_deaths.clear()
        for slot in self.slots:
            if self._stopping:  # also when starting one of them was what had it stopped
                return
            if slot.state in (State.ENDED, State.BROKEN):
                slot.deaths = 0
                self._start(slot)
            elif slot.state is State.STOPPING:
                slot.deaths, slot.start_again = 0, True

    def resume(self) -> None:
        """Start what `start` does, and let slots that their bot stopped take jobs again."""
        self.start()
        for slot in self.slots:
            slot.resume()

    def replace(self, other: WorkerPool) -> None:
        """Be the pool of its bot from now on, in the place of `other`, which is told to stop."""
        self.open = other.open
        self.add_counts_of(other)
        other.stop()

    def add_counts_of(self, other: WorkerPool) -> None:
        """Count what `other` has done and failed since it was asked last, too."""
        for number, before in enumerate(other.slots):  # the bot may have more or fewer now
            slot = self.slots[min(number, len(self.slots) - 1)]
            slot.done, slot.failed = slot.done + before.done, slot.failed + before.failed
            before.done = before.failed = 0

    def assign(self, lease: Lease) -> None:
        """Give a job to the slot with the least in hand; `flush` follows. One whose attempts are spent fails for good,
        and it goes back when no slot takes jobs any more.
        """
        if lease.job.attempt > self.pool_spec.arguments.max_attempts:
            self._fail_spent(lease)
            return
        slot = self.slots[0]
        if len(self.slots) > 1:
            slot = min(self.slots, key=lambda slot: (not slot.free, not slot.takes_jobs, len(slot.hand)))
        if self.open and slot.takes_jobs:
            slot.take(lease)
        else:
            self._events.release([lease])

    def flush(self) -> None:
        """Send what was assigned."""
        for slot in self.slots:
            slot.flush()

    def stop(self) -> None:
        """Let every slot finish the job in hand and end."""
        self.open, self._stopping = False, True
        for slot in self.slots:
            slot.stop()

    def kill(self) -> None:
        """End every slot at once; its jobs go back."""
        self.stop()
        for slot in self.slots:
            slot.kill(KilledFor.END)

    def _start(self, slot: WorkerSlot) -> None:
        try:
            process = self._start_worker(self.pool_spec)
        except OSError as error:
            slot.fail_to_start(error_message("WorkerNotStarted", f"{error}"))
            self._on_exit(slot, NO_PROCESS)
        else:
            slot.start(process, self._secrets)
        self._events.changed()

    # What workers say

    def _on_message(self, slot: WorkerSlot, message: Message) -> None:
        match message.get("kind"):
            case "done" | "failed" as kind if not slot.is_doing(message["id"]):
                slot.refuse(f"`{kind}` for a job that is not the one that it has to do")
            case "done":
                self._finish_job(slot, message)
            case "failed":
                lease = slot.finish_job()
                slot.deaths = 0
                self._fail_job(slot, lease, message["error"], final=message.get("final", False))
            case "returned":
                self._events.release(slot.return_jobs(message["ids"]))
            case "passed":
                slot.pass_over(message["count"])
            case "ready":
                slot.become_ready()
                self._events.fetch()
            case "broken":
                slot.broken = message["error"]
            case "status":
                slot.bot_status = storable(message["status"])
            case "held" | "resumed" as kind:
                slot.held = kind == "held"
                self._events.fetch()
            case "leaving":
                self._events.log(f"{slot.label}: ends because its bot asked for it", "INFO")
                slot.stop()
            case _:
                slot.log.write(f"factory_cdk: the worker said something unexpected: {str(message)[:500]}\n".encode())
        self._events.changed()

    def _finish_job(self, slot: WorkerSlot, message: Message) -> None:
        lease = slot.finish_job()
        slot.done += 1
        slot.deaths = 0
        result = message["result"]
        successors = self.pool_spec.successors if message.get("onward", True) else ()
        self._events.settle(Finished(lease, forwards(successors, lease.job, Outcome.SUCCESS, result), result))

    def _fail_job(
        self, slot: WorkerSlot, lease: Lease, error: Mapping[str, Any], *, crashed: bool = False, final: bool = False
    ) -> None:
        slot.failed += 1
        attempt = lease.job.attempt
        kind, message, trace = (storable(error[part]) for part in ("type", "message", "traceback"))
        if why := told_as_missed(self.pool_spec.bot, self.pool_spec.left_out, f"{message}\n{trace}"):
            message = f"{message} ({why})"
        delay = retry_delay(self._timings, attempt, self.pool_spec.arguments.max_attempts, crashed=crashed)
        failed = Failed(lease, Failure(kind, message, trace, attempt), None if final else delay)
        self._log_failure(slot, failed, traced=TRACEBACK in trace.partition("\n")[0])
        self._events.settle(failed)

    def _fail_spent(self, lease: Lease) -> None:
        spent = f"all of its {self.pool_spec.arguments.max_attempts} attempts were begun and none of them ended"
        self.slots[0].log.say(f"LeaseExpired: {spent}; {DEAD}", "ERROR", lease.job.id)
        self._events.settle(Failed(lease, Failure("LeaseExpired", spent, "", lease.job.attempt), None))

    def _log_failure(self, slot: WorkerSlot, failed: Failed, *, traced: bool) -> None:
        """Say in the slot's log what its bot would not: that the attempt failed, where (unless what is kept with
        the failure is that log itself), and what comes next. The last line ends what belongs to the error.
        """
        failure, job = failed.failure, failed.lease.job.id
        where = f"\n{failure.traceback.rstrip()}" if traced else ""
        number = f"attempt {failure.attempt} of {self.pool_spec.arguments.max_attempts}"
        slot.log.say(f"{number} failed: {failure}{where}", "ERROR", job)
        again = "at once" if not failed.delay else f"in {failed.delay:g} s"
        slot.log.say(DEAD if failed.delay is None else f"it is tried again {again}", "INFO", job)
        slot.log.forget(job)

    # When a worker ends

    def _on_exit(self, slot: WorkerSlot, code: int) -> None:
        """The process of a slot has ended, or could not be started."""
        self._settle_hand(slot, code)
        if slot.state is not State.STOPPING and not self._stopping:
            self._restart(slot, code)
        elif slot.start_again and not self._stopping:
            slot.restart_in(0.0, lambda: self._start(slot))
        else:
            slot.state = State.BROKEN if slot.killed_for is KilledFor.CRASH_LOOP else State.ENDED
        self._events.changed()

    def _settle_hand(self, slot: WorkerSlot, code: int) -> None:
        """Its worker has ended: the job that it was doing failed, the others in its hand were not begun."""
        hand = list(slot.hand)
        slot.hand.clear()
        if slot.killed_for in (None, KilledFor.TIMEOUT) and hand:
            doing, *hand = hand
            printed = slot.log.last_lines(doing.job.id)
            if slot.killed_for is KilledFor.TIMEOUT:
                late = f"not done after {self.pool_spec.arguments.timeout:g} s; its worker was killed"
                self._fail_job(slot, doing, error_message("JobTimeout", late, printed))
            else:
                died = error_message("WorkerDied", f"the worker {exit_reason(code)}", printed)
                self._fail_job(slot, doing, died, crashed=True)
        if hand:
            self._events.release(hand)

    def _restart(self, slot: WorkerSlot, code: int) -> None:
        """Replace a process that has ended unasked, sooner or later, or give the pool up."""
        if slot.killed_for is KilledFor.TIMEOUT:
            self._events.log(
                f"{slot.label}: killed, its job took longer than {self.pool_spec.arguments.timeout:g} s", "WARNING"
            )
            slot.restart_in(0.0, lambda: self._start(slot))
            return
        if slot.age > self._timings.steady:
            slot.deaths = 0
        slot.deaths += 1
        reason = self._exit_reason(slot, code)
        if not slot.was_ready:
            now = self._clock.monotonic()
            self._early_deaths.append(now)
            self._events.start_failed(
                StartFailure(self.pool_spec.sector, self.pool_spec.bot, reason, slot.log.last_lines())
            )
            if self._stopping:  # a rolling update that cannot succeed stops all of its pools
                slot.state = State.ENDED
                return
            if self._is_crash_loop(now):
                self._give_up(f"{slot.label}: {reason}")
                return
        delay = restart_delay(self._timings, slot.deaths, was_ready=slot.was_ready)
        self._events.log(f"{slot.label}: {reason}; restarting {f'in {delay:g} s' if delay else 'at once'}", "WARNING")
        slot.restart_in(delay, lambda: self._start(slot))  # even without delay: its job goes to another one first

    def _exit_reason(self, slot: WorkerSlot, code: int) -> str:
        if slot.killed_for is KilledFor.PERMITS:
            return "the worker was ended, something in it had taken the permits for its jobs; they go back"
        if slot.broken is None:
            return f"the worker {exit_reason(code)}" + ("" if slot.was_ready else " before it was ready")
        error = slot.broken
        trace = error["traceback"].rstrip()
        details = f"\n{trace}" if "\n" in trace else ""  # one line alone repeats the message
        return f"cannot be loaded: {error['type']}: {error['message']}{details}"

    def _is_crash_loop(self, now: float) -> bool:
        deaths = self._early_deaths
        return len(deaths) == deaths.maxlen and now - deaths[0] <= self._timings.loop_window

    def _give_up(self, reason: str) -> None:
        """Start no worker any more until `start`; those that are ready go on."""
        count, window = self._timings.loop_deaths, self._timings.loop_window
        self.broken = f"crash loop: {count} deaths before ready within {window:g} s; the last: {reason}"
        self._events.log(f"{self.pool_spec.label}: {self.broken}; stopped", "ERROR")
        for slot in self.slots:
            if slot.state not in (State.READY, State.BUSY):
                slot.stop()
                slot.kill(KilledFor.CRASH_LOOP)
                if slot.pid is None:
                    slot.state = State.BROKEN


def pool_status(pool: WorkerPool) -> PoolStatus:
    """What `info` shows of a pool."""
    pool_spec = pool.pool_spec
    return PoolStatus(pool_spec.sector, pool_spec.bot, pool_spec.queue, pool.open, pool.broken)


def worker_statuses(pool: WorkerPool) -> Iterator[WorkerStatus]:
    """What `ps` shows of the slots of a pool; one that is ready and gets or wants no jobs is `stopped`."""
    for slot in pool.slots:
        idle = slot.state is State.READY and (slot.held or not pool.open)
        yield WorkerStatus(
            sector=pool.pool_spec.sector,
            bot=pool.pool_spec.bot,
            worker=slot.number,
            pid=slot.pid,
            state="stopped" if idle else slot.state.value,
            started_at=slot.started_at,
            restarts=max(0, slot.starts - 1),
            done=slot.done,
            failed=slot.failed,
            in_hand=len(slot.hand),
            status=slot.bot_status,
        )
