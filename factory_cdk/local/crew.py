"""A crew: the workers of one bot on one sector, kept at work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory_cdk.local.guardian import Guardian
from factory_cdk.local.logfilter import TRACEBACK
from factory_cdk.local.logs import Stream
from factory_cdk.local.member import Member, State, restart_delay, retry_delay
from factory_cdk.local.process import Message, WorkerProcess, ending, failure, worker_command, worker_environ
from factory_cdk.local.roster import Posting, Tempo
from factory_cdk.local.status import CrewStatus, WorkerStatus
from factory_cdk.queues.port import Failed, Failure, Finished, Lease, Outcome
from factory_cdk.workflow.router import forwards

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
class Office:
    """What a crew asks of its runner: settle a job, give jobs back, look for new ones, note an event and how
    severe it is, publish a change, and hear of trouble.
    """

    settle: Callable[[Finished | Failed], None]
    release: Callable[[Sequence[Lease]], None]
    look: Callable[[], None]
    note: Callable[[str, str], None]
    changed: Callable[[], None]
    trouble: Callable[[Trouble], None]


class Crew:
    """The workers of `posting`. `open` says whether it takes jobs; `broken` why it was given up, or None."""

    def __init__(
        self,
        posting: Posting,
        secrets: Mapping[str, str],
        tempo: Tempo,
        stream: Stream,
        guardian: Guardian,
        office: Office,
    ) -> None:
        self.posting = posting
        self.open = False
        self.broken: str | None = None
        self._secrets, self._tempo, self._office = secrets, tempo, office
        self._environ = worker_environ(posting.bins, posting.variables)
        self._early_deaths: deque[float] = deque(maxlen=tempo.loop_deaths)
        self._ending = False
        self.lease = min(float(posting.lease), tempo.lease_most)
        self.members = tuple(
            Member(
                posting,
                number,
                stream.log(f"{posting.label}.{number}"),
                guardian,
                on_message=self._hear,
                on_end=self._miss,
                on_return=office.release,
            )
            for number in range(1, posting.processes + 1)
        )

    @property
    def ready(self) -> bool:
        """Whether every member is loaded, or was and has left because its bot wanted so."""
        gone = (State.STOPPING, State.ENDED)
        return all(
            member.state in (State.READY, State.BUSY) or (member.was_ready and member.state in gone)
            for member in self.members
        )

    @property
    def alive(self) -> bool:
        """Whether any member has a process."""
        return any(member.state in LIVE for member in self.members)

    @property
    def in_hand(self) -> list[Lease]:
        """Every job in hand."""
        return [lease for member in self.members for lease in member.hand]

    @property
    def free(self) -> int:
        """How many jobs the crew can take now."""
        return sum(member.free for member in self.members) if self.open else 0

    def start(self) -> None:
        """Start the members that have no process; a crew that was given up gets a new chance."""
        self.broken = None
        self._early_deaths.clear()
        for member in self.members:
            if member.state in (State.ENDED, State.BROKEN):
                member.deaths = 0
                self._start(member)

    def resume(self) -> None:
        """Start the members that have no process, and let those that their bot stopped take jobs again."""
        self.start()
        for member in self.members:
            member.resume()

    def relieve(self, other: Crew) -> None:
        """Take over from a crew of the same bot: whether jobs are taken, and the count of those that were done."""
        self.open = other.open
        self.inherit(other)

    def inherit(self, other: Crew) -> None:
        """Go on counting where `other` has come to."""
        for number, before in enumerate(other.members):  # the bot may have more or fewer now
            member = self.members[min(number, len(self.members) - 1)]
            member.done, member.failed = member.done + before.done, member.failed + before.failed
            before.done = before.failed = 0

    def give(self, lease: Lease) -> None:
        """Hand a job to the member with the least in hand; `flush` follows."""
        if lease.job.attempt > self.posting.max_attempts:
            spent = f"all of its {self.posting.max_attempts} attempts were begun and none of them ended"
            self.members[0].log.say(f"LeaseExpired: {spent}; {DEAD}", "ERROR", lease.job.id)
            self._office.settle(Failed(lease, Failure("LeaseExpired", spent, "", lease.job.attempt), None))
            return
        if len(self.members) == 1:
            self.members[0].take(lease)
        else:
            min(self.members, key=lambda member: (not member.free, len(member.hand))).take(lease)

    def flush(self) -> None:
        """Send what was given."""
        for member in self.members:
            member.flush()

    def stop(self) -> None:
        """Let every member finish the job in hand and end."""
        self.open, self._ending = False, True
        for member in self.members:
            member.stop()

    def kill(self, why: str) -> None:
        """End every member at once."""
        self.open, self._ending = False, True
        for member in self.members:
            member.stop()
            member.kill(why)

    def _start(self, member: Member) -> None:
        posting = self.posting
        try:
            process = WorkerProcess(lambda *fds: worker_command(posting.python, *fds), posting.folder, self._environ)
        except OSError as error:
            member.fail_to_start(failure("WorkerNotStarted", f"{error}", 1))
            self._miss(member, 127)
        else:
            member.start(process, self._secrets)
        self._office.changed()

    def _hear(self, member: Member, message: Message) -> None:
        kind = message.get("kind")
        if kind in ("done", "failed") and not self._is_in_hand(member, message):
            member.refuse(f"`{kind}` for a job that is not the one that it has to do")
        elif kind == "done":
            lease = member.finish()
            member.done += 1
            member.deaths = 0
            result = message["result"]
            successors = self.posting.successors if message.get("onward", True) else ()
            self._office.settle(Finished(lease, forwards(successors, lease.job, Outcome.SUCCESS, result), result))
        elif kind == "failed":
            lease = member.finish()
            member.failed += 1
            member.deaths = 0
            self._fail(member, lease, message["error"], crashed=False, final=message.get("final", False))
        elif kind == "ready":
            member.was_ready = True
            if member.state is State.STARTING:
                member.state = State.READY
            self._office.look()
        elif kind == "broken":
            member.broken = message["error"]
        elif kind == "returned":
            self._office.release(member.give_back(message["ids"]))
        elif kind == "passed":
            member.pass_over(message["count"])
        elif not self._heed(member, message):
            member.log.write(f"factory_cdk: the worker said something unexpected: {str(message)[:500]}\n".encode())
        self._office.changed()

    def _heed(self, member: Member, message: Message) -> bool:
        """Do what a bot asks for through its Job; False when `message` says nothing of the kind."""
        kind = message.get("kind")
        if kind == "status":
            member.said = _storable(message["status"])
        elif kind in ("held", "resumed"):
            member.held = kind == "held"
            self._office.look()
        elif kind == "leaving":
            self._office.note(f"{member.label}: ends because its bot wants so", "INFO")
            member.stop()
        else:
            return False
        return True

    def _is_in_hand(self, member: Member, message: Message) -> bool:
        return bool(member.hand) and member.hand[0].job.id == message["id"]

    def _fail(
        self, member: Member, lease: Lease, error: Mapping[str, Any], *, crashed: bool, final: bool = False
    ) -> None:
        attempt = lease.job.attempt
        kind, message, trace = (_storable(error[part]) for part in ("type", "message", "traceback"))
        failed = Failure(kind, message, trace, attempt)
        delay = retry_delay(self._tempo, attempt, self.posting.max_attempts, crashed=crashed)
        settled = Failed(lease, failed, None if final else delay)
        self._log_failure(member, settled, traced=TRACEBACK in trace.partition("\n")[0])
        self._office.settle(settled)

    def _log_failure(self, member: Member, failed: Failed, *, traced: bool) -> None:
        """Say in the member's log what its bot would not: that the attempt failed, where (unless what is kept with
        the failure is that log itself), and what comes next. The last line ends what belongs to the error.
        """
        failure, job = failed.failure, failed.lease.job.id
        where = f"\n{failure.traceback.rstrip()}" if traced else ""
        number = f"attempt {failure.attempt} of {self.posting.max_attempts}"
        member.log.say(f"{number} failed: {failure}{where}", "ERROR", job)
        again = "at once" if not failed.delay else f"in {failed.delay:g} s"
        member.log.say(DEAD if failed.delay is None else f"it is tried again {again}", "INFO", job)
        member.log.forget(job)

    def _miss(self, member: Member, code: int) -> None:
        """A member's process has ended: its job is tried again, the others in its hand were not begun."""
        hand = list(member.hand)
        member.hand.clear()
        if member.killed_for in ("end", "permits"):  # jobs go back as if they had not been begun
            self._office.release(hand)
        elif hand:
            self._office.release(hand[1:])
            self._fail(member, hand[0], self._why(member, hand[0], code), crashed=member.killed_for is None)
        if self._ending or member.state is State.STOPPING:
            member.state = State.ENDED
        elif member.state is not State.BROKEN:
            self._replace(member, code)
        self._office.changed()

    def _why(self, member: Member, lease: Lease, code: int) -> dict[str, Any]:
        member.failed += 1
        printed = member.log.last_lines(lease.job.id)
        if member.killed_for == "timeout":
            message = f"not done after {self.posting.timeout:g} s; its worker was killed"
            return failure("JobTimeout", message, 1, printed)
        return failure("WorkerDied", f"the worker {ending(code)}", 1, printed)

    def _replace(self, member: Member, code: int) -> None:
        loop = asyncio.get_running_loop()
        if member.killed_for == "timeout":
            self._office.note(f"{member.label}: killed, its job took longer than {self.posting.timeout:g} s", "WARNING")
            member.wait(0.0, lambda: self._start(member))
            return
        if member.age > self._tempo.steady:
            member.deaths = 0
        member.deaths += 1
        reason = f"{member.label}: {self._reason(member, code)}"
        if not member.was_ready:
            self._early_deaths.append(loop.time())
            self._office.trouble(
                Trouble(self.posting.sector, self.posting.bot, self._reason(member, code), member.log.last_lines())
            )
            if self._ending:
                member.state = State.ENDED
                return
            if self._is_crash_loop(loop.time()):
                self._give_up(reason)
                return
        delay = restart_delay(self._tempo, member.deaths, was_ready=member.was_ready)
        self._office.note(f"{reason}; restarting {f'in {delay:g} s' if delay else 'at once'}", "WARNING")
        member.wait(delay, lambda: self._start(member))  # even without delay: its job goes to another one first

    def _reason(self, member: Member, code: int) -> str:
        if member.killed_for == "permits":
            return "the worker was ended, something in it had taken the permits for its jobs; they go back"
        if member.broken is None:
            return f"the worker {ending(code)}" + ("" if member.was_ready else " before it was ready")
        error = member.broken
        trace = error["traceback"].rstrip()
        details = f"\n{trace}" if "\n" in trace else ""  # one line alone repeats the message
        return f"cannot be loaded: {error['type']}: {error['message']}{details}"

    def _is_crash_loop(self, now: float) -> bool:
        deaths = self._early_deaths
        return len(deaths) == deaths.maxlen and now - deaths[0] <= self._tempo.loop_window

    def _give_up(self, reason: str) -> None:
        count, window = self._tempo.loop_deaths, self._tempo.loop_window
        self.broken = f"crash loop: {count} deaths before ready within {window:g} s; the last: {reason}"
        self._office.note(f"{self.posting.label}: {self.broken}; stopped", "ERROR")
        for member in self.members:
            if member.state not in (State.READY, State.BUSY):
                member.stop()
                member.kill("end")
                member.state = State.BROKEN


def _storable(text: Any) -> str:
    """Text that UTF-8 can hold: exceptions may quote file names that it cannot."""
    return str(text).encode(errors="backslashreplace").decode()


def crew_status(crew: Crew) -> CrewStatus:
    """What `info` shows of a crew."""
    posting = crew.posting
    return CrewStatus(posting.sector, posting.bot, posting.queue, crew.open, crew.broken)


def worker_statuses(crew: Crew) -> Iterator[WorkerStatus]:
    """What `ps` shows of the members of a crew; one that is ready and gets or wants no jobs is `stopped`."""
    for member in crew.members:
        idle = member.state is State.READY and (member.held or not crew.open)
        yield WorkerStatus(
            sector=crew.posting.sector,
            bot=crew.posting.bot,
            worker=member.number,
            pid=member.pid,
            state="stopped" if idle else member.state.value,
            started_at=member.started_at,
            restarts=max(0, member.restarts),
            done=member.done,
            failed=member.failed,
            in_hand=len(member.hand),
            status=member.said,
        )
