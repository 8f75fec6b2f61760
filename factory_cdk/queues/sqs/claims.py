"""Received messages become leases, where their jobs are nobody else's and not done.

The table decides: a job is leased by a conditional write, which one of several runners with messages of the same job
gets done. Without a table what a message says is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from factory_cdk.queues.port import Failure, Lease, Outcome
from factory_cdk.queues.sqs.bodies import GoneError
from factory_cdk.queues.sqs.delivery import Handle, Received
from factory_cdk.queues.sqs.hand import Token, new_secret
from factory_cdk.queues.sqs.jobs import JobState, NotOursError, from_message
from factory_cdk.queues.sqs.messages import Returned
from factory_cdk.queues.sqs.parts import Parts
from factory_cdk.queues.sqs.table import Key, Write

_ROUNDS = 10
"""How often a job that somebody else changes all the time is tried: its message comes again."""


@dataclass
class _Sorted:
    """What is to be done with the messages of one claim."""

    leased: list[tuple[Received, JobState]] = field(default_factory=list)
    early: list[Returned] = field(default_factory=list)
    buried: list[tuple[Handle, JobState]] = field(default_factory=list)
    done: list[Handle] = field(default_factory=list)


class Claims:
    """Leases what messages carry."""

    def __init__(self, parts: Parts) -> None:
        self._messages, self._bodies, self._table, self._hand = parts.messages, parts.bodies, parts.table, parts.hand
        self._clock, self._places, self._point = parts.clock, parts.places, parts.point

    def claim(self, received: Sequence[Received]) -> list[Lease]:
        """The leases of those of `received` that can be leased; what the others ask for is done. FactoryError."""
        if not received:
            return []
        self._point("received")
        found = _Sorted()
        pending = self._ours(received)
        for _ in range(_ROUNDS):
            if not pending:
                break
            pending = self._take(pending, found)
        self._point("claimed")
        leases = self._leases(found)
        self._messages.bury(found.buried)
        self._messages.delete([*found.done, *(handle for handle, _ in found.buried)])
        self._messages.show_again(found.early)
        return leases

    def _ours(self, received: Sequence[Received]) -> list[tuple[Received, JobState, bool]]:
        """Each message with its job, and whether that is in the table as far as is known; others are set aside."""
        ours = []
        for one in received:
            try:
                state = from_message(one.text)
            except NotOursError as error:
                self._messages.set_aside(one, str(error))
                continue
            ours.append((one, state if self._table else _counted(state, one), True))
        return ours

    def _take(
        self, pending: Sequence[tuple[Received, JobState, bool]], found: _Sorted
    ) -> list[tuple[Received, JobState, bool]]:
        """Lease what can be leased; answers what has to be looked at once more, as it is now."""
        now = self._clock()
        tried: list[tuple[Received, Write]] = []
        again: list[tuple[Received, JobState, bool]] = []
        keys: set[Key] = set()
        for one, state, is_known in pending:
            if state.is_final:
                if state.outcome is Outcome.DEAD:
                    found.buried.append((one.handle, state))
                else:
                    found.done.append(one.handle)
            elif state.is_held_back(now):
                found.early.append((one.handle, state, max(1.0, state.due - now)))
            elif (key := Key(state.job.run, state.job.id)) in keys:
                again.append((one, state, is_known))  # two messages of one job
            else:
                keys.add(key)
                tried.append((one, Write(state if is_known else None, self._leased(state, one, now))))
        if self._table is None:
            found.leased += [(one, write.new) for one, write in tried]
            return again
        for (one, write), written in zip(tried, self._table.write([write for _, write in tried]), strict=True):
            if written.done:
                found.leased.append((one, write.new))
            elif written.found is not None:
                again.append((one, written.found, True))
            else:  # the table has forgotten it, or was made anew
                again.append((one, from_message(one.text), False))
        return again

    def _leased(self, state: JobState, received: Received, now: float) -> JobState:
        """`state`, leased; the attempt before it has failed if its lease has ended."""
        changes = {"token": new_secret(), "due": received.until, "started": now, "unsent": False}
        changes["first_started"] = now if state.first_started is None else state.first_started
        if state.token is None:
            return state.changed(**changes)
        gone = "the worker or its runner went away before the job was done"
        failed = state.with_failure(Failure("LeaseExpired", gone, "", state.job.attempt), self._places.next(now))
        job = state.job._replace(attempt=state.job.attempt + 1)
        return state.changed(job=job, **failed, **changes)

    def _leases(self, found: _Sorted) -> list[Lease]:
        """The leases of what was leased; a job whose payload is gone is dead."""
        values = self._bodies.values([state.payload for _, state in found.leased])
        leases = []
        for (one, state), value in zip(found.leased, values, strict=True):
            secret = state.token or ""
            if isinstance(value, GoneError):
                self._end_without_payload(one, state, value, found)
                continue
            self._hand.put(secret, state)
            token = Token(secret, one.handle).text()
            leases.append(Lease(state.job._replace(payload=value), one.queue, token, one.until))
        return leases

    def _end_without_payload(self, one: Received, state: JobState, error: GoneError, found: _Sorted) -> None:
        now = self._clock()
        failure = Failure("PayloadGone", error.message, "", state.job.attempt)
        dead = state.ended(
            Outcome.DEAD, self._places.next(now), now, **state.with_failure(failure, self._places.next(now))
        )
        if self._table is None or self._table.write([Write(state, dead)])[0].done:
            found.buried.append((one.handle, dead))


def _counted(state: JobState, received: Received) -> JobState:
    """`state` with the attempts that were begun since its message was sent, of which no table tells."""
    lost = received.receives - 1
    if not lost:
        return state
    gone = "the worker or its runner went away before the job was done"
    attempt = state.job.attempt + lost
    failed = state.with_failure(Failure("LeaseExpired", gone, "", attempt - 1), int(received.at * 1e6))
    return state.changed(job=state.job._replace(attempt=attempt), **failed)
