"""The dead-letter queues beside the table: what SQS has moved there is recorded, what is retried is taken out."""

from __future__ import annotations

from collections.abc import Iterable

from factory_cdk.queues.port import Failure, Outcome
from factory_cdk.queues.sqs.delivery import BATCH, Received
from factory_cdk.queues.sqs.jobs import JobState, NotOursError, from_message
from factory_cdk.queues.sqs.parts import Parts
from factory_cdk.queues.sqs.table import Key, Write

_MOST_ROUNDS = 100
_HIDDEN = 60.0
"""Up to how many batches of dead letters are looked at, and for how many seconds others do not see them meanwhile."""


class Letters:
    """The dead letters of a stage's queues."""

    def __init__(self, parts: Parts) -> None:
        self._delivery, self._messages, self._table = parts.delivery, parts.messages, parts.table
        self._clock, self._places, self._point = parts.clock, parts.places, parts.point

    def look(self, queue: str, n: int) -> list[JobState]:
        """Up to `n` dead letters of `queue`, the first to be sent first; they stay there. FactoryError."""
        found: dict[str, Received] = {}
        while len(found) < n:
            received = self._delivery.receive_dead(queue, min(BATCH, n - len(found)), _HIDDEN)
            if not received:
                break
            found |= {one.receipt: one for one in received}
        self._delivery.hide_dead([one.handle for one in found.values()], 0)
        return sorted((state for one in found.values() if (state := _job(one))), key=lambda state: state.sent)

    def put_in_order(self, queues: Iterable[str]) -> int:
        """Record as dead the jobs that SQS has moved to the dead-letter queues of `queues`, and take out the letters of
        jobs that are not dead (any more); answers how many were recorded. FactoryError.
        """
        return sum(self._put_in_order(queue) for queue in queues)

    def _put_in_order(self, queue: str) -> int:
        recorded = 0
        kept: list[Received] = []
        for _ in range(_MOST_ROUNDS):
            received = self._delivery.receive_dead(queue, BATCH, _HIDDEN)
            if not received:
                break
            jobs = {one.receipt: state for one in received if (state := _job(one))}
            found = self._table.read([_key(state) for state in jobs.values()]) if self._table else {}
            done: list[Received] = []
            for one in received:
                job = jobs.get(one.receipt)
                now = found.get(_key(job)) if job else None
                if job and one.reason is None:
                    recorded += self._record(queue, one, now or job)
                    done.append(one)
                elif now and now.outcome is not Outcome.DEAD:
                    done.append(one)
                else:
                    kept.append(one)
            self._delivery.delete_dead([one.handle for one in done])
        self._delivery.hide_dead([one.handle for one in kept], 0)
        return recorded

    def _record(self, queue: str, one: Received, state: JobState) -> bool:
        """Record the death of a job that SQS has moved, and write its letter anew, with the reason."""
        now = self._clock()
        if state.is_final and state.outcome is not Outcome.DEAD:
            return False
        dead = state
        if not state.is_final:
            gone = "its message was received again and again and the job never ended: it may kill what runs it"
            failure = state.with_failure(Failure("Redriven", gone, "", state.job.attempt), self._places.next(now))
            dead = state.ended(Outcome.DEAD, self._places.next(now), now, **failure)
            if self._table and not self._table.write([Write(state, dead)])[0].done:
                return False
        self._point("death recorded")
        self._messages.bury([(one.handle, dead)])
        self._point("buried anew")
        return True


def _job(one: Received) -> JobState | None:
    try:
        return from_message(one.text)
    except NotOursError:
        return None


def _key(state: JobState) -> Key:
    return Key(state.job.run, state.job.id)
