"""Jobs in hand are settled: what follows is sent, what became of them is recorded, their messages are deleted.

With a table the order is: the records of the successors, their messages, the record of the job itself (on condition
that its lease is still held: the first finish wins), the deletion of its message. Whoever dies in between leaves a job
that is received again and finds what was done (docs/aws-queues.md has the table of these points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from factory_cdk.queues.port import Failed, Finished, Forward, Outcome
from factory_cdk.queues.sqs.calls import PassingError
from factory_cdk.queues.sqs.delivery import Handle
from factory_cdk.queues.sqs.hand import Token, key_of, token_of
from factory_cdk.queues.sqs.jobs import Body, JobState
from factory_cdk.queues.sqs.messages import Returned
from factory_cdk.queues.sqs.parts import Parts
from factory_cdk.queues.sqs.sending import Sending
from factory_cdk.queues.sqs.table import Key, Write
from factory_cdk.queues.values import encode

_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Encoded:
    """The JSON texts of a job that is settled: of its result, and of the payloads of its forwards."""

    result: str
    payloads: tuple[str, ...]


def encoded(settled: Finished | Failed) -> Encoded:
    """The texts of `settled`. UnstorableError."""
    if isinstance(settled, Failed):
        return Encoded("", ())
    result = encode(settled.result, "result", settled.lease.job.id)
    payloads = tuple(
        result if forward.job.payload is settled.result else encode(forward.job.payload, "payload", forward.job.id)
        for forward in settled.forwards
    )
    return Encoded(result, payloads)


@dataclass
class _One:
    """A job that is being settled. `state` is what it is now; None when its lease is lost."""

    settled: Finished | Failed
    texts: Encoded
    token: Token | None
    state: JobState | None = None
    recorded: JobState | None = None

    @property
    def forwards(self) -> Sequence[Forward]:
        """What to send once its lease is known to be held."""
        return self.settled.forwards if isinstance(self.settled, Finished) and self.state else ()


@dataclass
class _After:
    """What is to be done with the messages of settled jobs."""

    deleted: list[Handle] = field(default_factory=list)
    buried: list[tuple[Handle, JobState]] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)


class Settling:
    """Settles leases."""

    def __init__(self, parts: Parts, sending: Sending) -> None:
        self._messages, self._bodies, self._table, self._hand = parts.messages, parts.bodies, parts.table, parts.hand
        self._clock, self._places, self._point = parts.clock, parts.places, parts.point
        self._sending = sending

    def settle(self, settled: Sequence[Finished | Failed]) -> list[bool]:
        """Whether each lease was held. UnstorableError, and nothing done; FactoryError, and all of it may be settled
        again. What it answers is true until `answered`.
        """
        ones = [_One(one, encoded(one), token_of(one.lease)) for one in settled]
        if not ones:
            return []
        self._look(ones)
        for one in ones:
            if one.state and one.token:
                self._hand.doubt(one.token.secret)
        texts = [text for one in ones if one.state for text in one.texts.payloads]
        if self._table is not None:
            texts += [one.texts.result for one in ones if one.state and one.texts.result]
        bodies = self._bodies.keep(texts)
        self._point("held")
        forwards = [
            (forward, bodies[text])
            for one in ones
            if one.forwards
            for forward, text in zip(one.forwards, one.texts.payloads, strict=True)
        ]
        self._sending.send(forwards)
        self._record(ones, bodies)
        self._point("recorded")
        self._clear(ones)
        return [one.recorded is not None for one in ones]

    def answered(self, settled: Sequence[Finished | Failed]) -> None:
        """Who has asked is told: these leases are held no longer."""
        for one in settled:
            if token := token_of(one.lease):
                self._hand.drop(token.secret)

    def _look(self, ones: Sequence[_One]) -> None:
        """Which leases are held. The table is asked before anything is sent; whoever sends nothing is told by the
        condition of the write.
        """
        table = self._table
        unsure: list[_One] = []
        for one in ones:
            if one.token is None:
                continue
            known = self._hand.get(one.token.secret)
            sends = isinstance(one.settled, Finished) and bool(one.settled.forwards)
            if table is None:
                one.state = known if known is not None and known.due > self._clock() else None
            elif known is None or sends or self._hand.is_doubtful(one.token.secret):
                unsure.append(one)
            else:
                one.state = known
        if table is None or not unsure:
            return
        found = table.read([key_of(one.settled.lease) for one in unsure])
        for one in unsure:
            one.state = self._held(one, found.get(key_of(one.settled.lease)))

    def _held(self, one: _One, now: JobState | None) -> JobState | None:
        """`now`, if the lease of `one` is held by it, or was settled by us and nobody was told."""
        if now is None or one.token is None:
            return None
        secret = one.token.secret
        if now.token == secret:
            return now
        return now if now.settled == secret and self._hand.is_doubtful(secret) else None

    def _record(self, ones: Sequence[_One], bodies: dict[str, Body]) -> None:
        """Record what became of the jobs, on condition that their leases are held."""
        pending = [one for one in ones if one.state]
        for _ in range(_ROUNDS):
            again: list[_One] = []
            writes: list[tuple[_One, Write]] = []
            seen: set[Key] = set()
            for one in pending:
                state = one.state
                if state is None or one.token is None or key_of(one.settled.lease) in seen:
                    continue
                if state.settled == one.token.secret:
                    one.recorded = state
                else:
                    seen.add(key_of(one.settled.lease))
                    writes.append((one, Write(state, self._outcome(one, state, bodies))))
            if self._table is None:
                for one, write in writes:
                    one.recorded = write.new
                return
            for (one, write), written in zip(writes, self._table.write([write for _, write in writes]), strict=True):
                if written.done:
                    one.recorded = write.new
                else:
                    one.state = self._held(one, written.found)
                    again.append(one)
            pending = again
        if any(one.recorded is None and one.state for one in pending):
            raise PassingError("records of jobs in hand are changed by others all the time", "it is tried again")

    def _outcome(self, one: _One, state: JobState, bodies: dict[str, Body]) -> JobState:
        now = self._clock()
        if isinstance(one.settled, Finished):
            result = bodies.get(one.texts.result)
            return state.ended(Outcome.SUCCESS, self._places.next(now), now, result=result)
        failure = state.with_failure(one.settled.failure, self._places.next(now))
        if one.settled.delay is None:
            return state.ended(Outcome.DEAD, self._places.next(now), now, **failure)
        job = state.job._replace(attempt=state.job.attempt + 1)
        due = now + one.settled.delay if one.settled.delay > 0 else 0.0
        return state.changed(job=job, due=due, token=None, settled=state.token, **failure)

    def _clear(self, ones: Sequence[_One]) -> None:
        """Delete the messages of jobs that are final, dead ones once they are buried, and show the others again."""
        after = _After()
        for one in ones:
            if one.recorded is None or one.token is None:
                continue
            handle = one.token.handle
            if isinstance(one.settled, Failed) and one.settled.delay is not None:
                after.returned.append((handle, one.recorded, one.settled.delay))
            else:
                after.deleted.append(handle)
                if one.recorded.outcome is Outcome.DEAD:
                    after.buried.append((handle, one.recorded))
        self._messages.bury(after.buried)
        self._point("buried")
        self._messages.delete(after.deleted)
        self._point("deleted")
        if self._table is None:  # the message has to say which attempt is the next, and why
            self._messages.replace(after.returned)
        else:
            self._messages.show_again(after.returned)
        self._point("shown")


def without_lease(state: JobState) -> JobState:
    """`state` as it is given back: ready, its attempt not counted."""
    return replace(state, due=0.0, token=None, settled=state.token, version=state.version + 1)
