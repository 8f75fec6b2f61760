"""A pool: the workers of one bot on one sector, kept at work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory_cdk.queues.port import Failed, Failure, Finished, Lease, Outcome
from factory_cdk.runner.guardian import Guardian
from factory_cdk.runner.process import Message, WorkerProcess, ending, failure, worker_command, worker_environ
from factory_cdk.runner.slot import State, WorkerSlot, restart_delay, retry_delay
from factory_cdk.state.log_filter import TRACEBACK
from factory_cdk.state.logs import Stream
from factory_cdk.state.runner_spec import PoolSpec, Timings
from factory_cdk.state.status import PoolStatus, WorkerStatus
from factory_cdk.workflow.routing import forwards

DEAD = "it is a dead letter now"

LIVE = (State.STARTING, State.READY, State.BUSY, State.STOPPING)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a worker could not be made ready, and the end of its log."""

    sector: str
    bot: str
    reason: str
    log: str


@dataclass(frozen=True, slots=True)
class PoolEvents:
    """What a pool asks of its runner: settle a job, give jobs back, look for new ones, note an event and how
    severe it is, publish a change, and hear of trouble.
    """

    settle: Callable[[Finished | Failed], None]
    release: Callable[[Sequence[Lease]], None]
    look: Callable[[], None]
    note: Callable[[str, str], None]
    changed: Callable[[], None]
    trouble: Callable[[Trouble], None]


class WorkerPool:
    """The workers of `pool_spec`. `open` says whether it takes jobs; `broken` why it was given up, or None."""

    def __init__(
        self,
        pool_spec: PoolSpec,
        secrets: Mapping[str, str],
        timings: Timings,
        stream: Stream,
        guardian: Guardian,
        events: PoolEvents,
    ) -> None:
        self.pool_spec = pool_spec
        self.open = False
        self.broken: str | None = None
        self._secrets, self._timings, self._events = secrets, timings, events
        self._environ = worker_environ(pool_spec.bins, pool_spec.variables)
        self._early_deaths: deque[float] = deque(maxlen=timings.loop_deaths)
        self._ending = False
        self.lease = min(float(pool_spec.arguments.visibility_timeout), timings.lease_most)
        self.slots = tuple(
            WorkerSlot(
                pool_spec,
                number,
                stream.log(f"{pool_spec.label}.{number}"),
                guardian,
                on_message=self._hear,
                on_end=self._on_end_of,
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
        return any(slot.state in LIVE for slot in self.slots)

    @property
    def in_hand(self) -> list[Lease]:
        """Every job in hand."""
        return [lease for slot in self.slots for lease in slot.hand]

    @property
    def free(self) -> int:
        """How many jobs the pool can take now."""
        return sum(slot.free for slot in self.slots) if self.open and self.pool_spec.gets_jobs else 0

    def start(self) -> None:
        """Start the slots that have no process; a pool that was given up gets a new chance."""
        self.broken = None
        self._early_deaths.clear()
        for slot in self.slots:
            if slot.state in (State.ENDED, State.BROKEN):
                slot.deaths = 0
                self._start(slot)

    def resume(self) -> None:
        """Start the slots that have no process, and let those that their bot stopped take jobs again."""
        self.start()
        for slot in self.slots:
            slot.resume()

    def take_over_from(self, other: WorkerPool) -> None:
        """Take over from a pool of the same bot: whether jobs are taken, and the count of those that were done."""
        self.open = other.open
        self.inherit(other)

    def inherit(self, other: WorkerPool) -> None:
        """Go on counting where `other` has come to."""
        for number, before in enumerate(other.slots):  # the bot may have more or fewer now
            slot = self.slots[min(number, len(self.slots) - 1)]
            slot.done, slot.failed = slot.done + before.done, slot.failed + before.failed
            before.done = before.failed = 0

    def give(self, lease: Lease) -> None:
        """Hand a job to the slot with the least in hand; `flush` follows."""
        if lease.job.attempt > self.pool_spec.arguments.max_attempts:
            spent = f"all of its {self.pool_spec.arguments.max_attempts} attempts were begun and none of them ended"
            self.slots[0].log.say(f"LeaseExpired: {spent}; {DEAD}", "ERROR", lease.job.id)
            self._events.settle(Failed(lease, Failure("LeaseExpired", spent, "", lease.job.attempt), None))
            return
        if len(self.slots) == 1:
            self.slots[0].take(lease)
        else:
            min(self.slots, key=lambda slot: (not slot.free, len(slot.hand))).take(lease)

    def flush(self) -> None:
        """Send what was given."""
        for slot in self.slots:
            slot.flush()

    def stop(self) -> None:
        """Let every slot finish the job in hand and end."""
        self.open, self._ending = False, True
        for slot in self.slots:
            slot.stop()

    def kill(self, why: str) -> None:
        """End every slot at once."""
        self.open, self._ending = False, True
        for slot in self.slots:
            slot.stop()
            slot.kill(why)

    def _start(self, slot: WorkerSlot) -> None:
        try:
            process = self._new_process()
        except OSError as error:
            slot.fail_to_start(failure("WorkerNotStarted", f"{error}", 1))
            self._on_end_of(slot, 127)
        else:
            slot.start(process, self._secrets)
        self._events.changed()

    def _new_process(self) -> WorkerProcess:
        pool_spec = self.pool_spec
        return WorkerProcess(lambda *fds: worker_command(pool_spec.python, *fds), pool_spec.folder, self._environ)

    def _hear(self, slot: WorkerSlot, message: Message) -> None:
        kind = message.get("kind")
        if kind in ("done", "failed") and not self._is_in_hand(slot, message):
            slot.refuse(f"`{kind}` for a job that is not the one that it has to do")
        elif kind == "done":
            lease = slot.finish()
            slot.done += 1
            slot.deaths = 0
            result = message["result"]
            successors = self.pool_spec.successors if message.get("onward", True) else ()
            self._events.settle(Finished(lease, forwards(successors, lease.job, Outcome.SUCCESS, result), result))
        elif kind == "failed":
            lease = slot.finish()
            slot.failed += 1
            slot.deaths = 0
            self._fail(slot, lease, message["error"], crashed=False, final=message.get("final", False))
        elif kind == "ready":
            slot.was_ready = True
            if slot.state is State.STARTING:
                slot.state = State.READY
            self._events.look()
        elif kind == "broken":
            slot.broken = message["error"]
        elif kind == "returned":
            self._events.release(slot.give_back(message["ids"]))
        elif kind == "passed":
            slot.pass_over(message["count"])
        elif not self._serve_bot(slot, message):
            slot.log.write(f"factory_cdk: the worker said something unexpected: {str(message)[:500]}\n".encode())
        self._events.changed()

    def _serve_bot(self, slot: WorkerSlot, message: Message) -> bool:
        """Do what a bot asks for through its Job; False when `message` says nothing of the kind."""
        kind = message.get("kind")
        if kind == "status":
            slot.said = _storable(message["status"])
        elif kind in ("held", "resumed"):
            slot.held = kind == "held"
            self._events.look()
        elif kind == "leaving":
            self._events.note(f"{slot.label}: ends because its bot wants so", "INFO")
            slot.stop()
        else:
            return False
        return True

    def _is_in_hand(self, slot: WorkerSlot, message: Message) -> bool:
        return bool(slot.hand) and slot.hand[0].job.id == message["id"]

    def _fail(
        self, slot: WorkerSlot, lease: Lease, error: Mapping[str, Any], *, crashed: bool, final: bool = False
    ) -> None:
        attempt = lease.job.attempt
        kind, message, trace = (_storable(error[part]) for part in ("type", "message", "traceback"))
        failed = Failure(kind, message, trace, attempt)
        delay = retry_delay(self._timings, attempt, self.pool_spec.arguments.max_attempts, crashed=crashed)
        settled = Failed(lease, failed, None if final else delay)
        self._log_failure(slot, settled, traced=TRACEBACK in trace.partition("\n")[0])
        self._events.settle(settled)

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

    def _on_end_of(self, slot: WorkerSlot, code: int) -> None:
        """A slot's process has ended: its job is tried again, the others in its hand were not begun."""
        hand = list(slot.hand)
        slot.hand.clear()
        if slot.killed_for in ("end", "permits"):  # jobs go back as if they had not been begun
            self._events.release(hand)
        elif hand:
            self._events.release(hand[1:])
            self._fail(slot, hand[0], self._why(slot, hand[0], code), crashed=slot.killed_for is None)
        if self._ending or slot.state is State.STOPPING:
            slot.state = State.ENDED
        elif slot.state is not State.BROKEN:
            self._replace(slot, code)
        self._events.changed()

    def _why(self, slot: WorkerSlot, lease: Lease, code: int) -> dict[str, Any]:
        slot.failed += 1
        printed = slot.log.last_lines(lease.job.id)
        if slot.killed_for == "timeout":
            message = f"not done after {self.pool_spec.arguments.timeout:g} s; its worker was killed"
            return failure("JobTimeout", message, 1, printed)
        return failure("WorkerDied", f"the worker {ending(code)}", 1, printed)

    def _replace(self, slot: WorkerSlot, code: int) -> None:
        loop = asyncio.get_running_loop()
        if slot.killed_for == "timeout":
            self._events.note(
                f"{slot.label}: killed, its job took longer than {self.pool_spec.arguments.timeout:g} s", "WARNING"
            )
            slot.wait(0.0, lambda: self._start(slot))
            return
        if slot.age > self._timings.steady:
            slot.deaths = 0
        slot.deaths += 1
        reason = f"{slot.label}: {self._reason(slot, code)}"
        if not slot.was_ready:
            self._early_deaths.append(loop.time())
            self._events.trouble(
                Trouble(self.pool_spec.sector, self.pool_spec.bot, self._reason(slot, code), slot.log.last_lines())
            )
            if self._ending:
                slot.state = State.ENDED
                return
            if self._is_crash_loop(loop.time()):
                self._give_up(reason)
                return
        delay = restart_delay(self._timings, slot.deaths, was_ready=slot.was_ready)
        self._events.note(f"{reason}; restarting {f'in {delay:g} s' if delay else 'at once'}", "WARNING")
        slot.wait(delay, lambda: self._start(slot))  # even without delay: its job goes to another one first

    def _reason(self, slot: WorkerSlot, code: int) -> str:
        if slot.killed_for == "permits":
            return "the worker was ended, something in it had taken the permits for its jobs; they go back"
        if slot.broken is None:
            return f"the worker {ending(code)}" + ("" if slot.was_ready else " before it was ready")
        error = slot.broken
        trace = error["traceback"].rstrip()
        details = f"\n{trace}" if "\n" in trace else ""  # one line alone repeats the message
        return f"cannot be loaded: {error['type']}: {error['message']}{details}"

    def _is_crash_loop(self, now: float) -> bool:
        deaths = self._early_deaths
        return len(deaths) == deaths.maxlen and now - deaths[0] <= self._timings.loop_window

    def _give_up(self, reason: str) -> None:
        count, window = self._timings.loop_deaths, self._timings.loop_window
        self.broken = f"crash loop: {count} deaths before ready within {window:g} s; the last: {reason}"
        self._events.note(f"{self.pool_spec.label}: {self.broken}; stopped", "ERROR")
        for slot in self.slots:
            if slot.state not in (State.READY, State.BUSY):
                slot.stop()
                slot.kill("end")
                slot.state = State.BROKEN


def _storable(text: Any) -> str:
    """Text that UTF-8 can hold: exceptions may quote file names that it cannot."""
    return str(text).encode(errors="backslashreplace").decode()


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
            restarts=max(0, slot.restarts),
            done=slot.done,
            failed=slot.failed,
            in_hand=len(slot.hand),
            status=slot.said,
        )
