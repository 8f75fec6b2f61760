"""The queues of a stage on AWS: jobs go over SQS, a table says what became of them.

Delivery is at least once, as SQS's is. With a table each job has one record, and its first finish wins by a conditional
write: whoever has a job that is somebody else's or done forwards nothing. What a runner awaits is done in threads, so
that its loop goes on whatever the network does.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import SqsLocation
from factory_cdk.queues.port import (
    Capabilities,
    Failed,
    Finished,
    Forward,
    Job,
    Lease,
    Subscription,
    UnstorableError,
    Wanted,
)
from factory_cdk.queues.sqs.bodies import Bodies
from factory_cdk.queues.sqs.calls import Calls
from factory_cdk.queues.sqs.claims import Claims
from factory_cdk.queues.sqs.clients import LONG_POLL, Clients
from factory_cdk.queues.sqs.clock import ServiceClock
from factory_cdk.queues.sqs.delivery import BATCH, LONGEST_LEASE, Delivery, Received
from factory_cdk.queues.sqs.hand import Hand, key_of, token_of
from factory_cdk.queues.sqs.history import SqsHistory
from factory_cdk.queues.sqs.items import INLINE as INLINE_ITEM
from factory_cdk.queues.sqs.jobs import JobState, NotOursError, Places, from_message
from factory_cdk.queues.sqs.messages import INLINE as INLINE_MESSAGE
from factory_cdk.queues.sqs.messages import Messages
from factory_cdk.queues.sqs.parts import Parts
from factory_cdk.queues.sqs.polling import AT_ONCE, Poll, Subscribers
from factory_cdk.queues.sqs.sending import Sending
from factory_cdk.queues.sqs.settling import Settling, encoded, without_lease
from factory_cdk.queues.sqs.table import JobTable, Write
from factory_cdk.queues.values import encode
from factory_cdk.worker.size import LARGEST_PAYLOAD

_THREADS, _BODY_THREADS = 4, 8
"""For what is awaited, and for objects of the bucket that are read and written at once."""

_ROUNDS = 10

_TOLD_EVERY = 300.0
"""Seconds between two times that the trouble of one queue of several is told."""

_MOST_TAGS = 32 * 1024
"""Characters of a job's tags as JSON: they are in its record and in its message."""

_LOOK_EVERY = 1.0
"""Seconds between two looks for the outcomes of a run, each of which reads its records."""

Answer = TypeVar("Answer")


def open_sqs(location: SqsLocation) -> SqsQueues:
    """The queues of `location`, which the stage's templates make: nothing is asked of AWS until they are used."""
    return SqsQueues(location)


def _nothing(_: str) -> None:
    """Where nobody wants to know how far a step is."""


class SqsQueues:
    """The queues of `location`; `port.RunnerQueues` and `client.ClientQueues` say what each method promises.

    `clock` (seconds since the epoch) is that of AWS if none is given. `calls` bounds how long a call is tried. `point`
    is told by name where a step of the protocol is done: tests end the process there.
    """

    def __init__(
        self,
        location: SqsLocation,
        *,
        clock: Callable[[], float] | None = None,
        calls: Calls | None = None,
        point: Callable[[str], None] = _nothing,
        long_poll: int = LONG_POLL,
    ) -> None:
        service_clock = ServiceClock()
        self._clock = clock or service_clock
        self._clients = clients = Clients(location.region, calls or Calls(), service_clock.hear)
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, "queues")
        self._body_threads = concurrent.futures.ThreadPoolExecutor(_BODY_THREADS, "bodies")
        self._delivery = delivery = Delivery(clients, location.queues, self._clock)
        self._table = table = JobTable(clients, location.table, location.keep, self._clock) if location.table else None
        self._bodies = Bodies(clients, location.bucket, INLINE_ITEM if table else INLINE_MESSAGE, self._together)
        self._messages = Messages(delivery, self._bodies, point)
        self._hand = Hand()
        parts = Parts(delivery, self._messages, self._bodies, table, self._hand, self._clock, Places(), point)
        self._claims, self._sending = Claims(parts), Sending(parts)
        self._settling = Settling(parts, self._sending)
        self._subscribers = Subscribers()
        self._polls: dict[str, Poll] = {}
        self._told: dict[str, float] = {}
        self._point, self._long_poll = point, long_poll
        self.history = SqsHistory(location, parts)
        self.capabilities = Capabilities(
            atomic=False,
            ordered=False,
            exact_depths=False,
            exclusive_runner=False,
            history=table is not None,
            expires=True,
            look_every=_LOOK_EVERY,
            longest_lease=float(LONGEST_LEASE),
            longest_delay=None,
            largest_payload=LARGEST_PAYLOAD,
        )

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Record `jobs` and send them, ready after `delay` seconds; those whose ids are known are left alone."""
        texts = [encode(job.payload, "payload", job.id) for job in jobs]
        for job in jobs:
            if len(json.dumps(dict(job.tags))) > _MOST_TAGS:
                raise UnstorableError(
                    f"the tags of job {job.id} are not kept: they have more than {_MOST_TAGS >> 10} KiB"
                )
        bodies = self._bodies.keep(texts)
        self._sending.send([(Forward(queue, job), bodies[text]) for job, text in zip(jobs, texts, strict=True)], delay)

    async def settle_and_claim(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle and forward, then lease what is there, or comes within a tenth of a second."""
        return await self._in_thread(lambda: self._settle_and_claim(settled, wanted))

    def unstorable(self, settled: Finished | Failed) -> str | None:
        """Why `settled` can never be stored, in words; None when it can be."""
        try:
            encoded(settled)
        except UnstorableError as error:
            return error.message
        return None

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of `leases` to `seconds` from now, up to 12 hours after their messages were received."""
        return await self._in_thread(lambda: self._extend(leases, seconds))

    async def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Put jobs back, ready at once, the attempts not counted."""
        return await self._in_thread(lambda: self._release(leases))

    async def reclaim(self) -> int:
        """Nothing: other runners may have these queues, and their leases end by themselves."""
        return 0

    def subscribe(self, queues: Iterable[str], notify: Callable[[], None]) -> Subscription:
        """Call `notify` on the running loop when jobs have come that were wanted and not there."""
        return self._subscribers.add(queues, notify)

    def close(self) -> None:
        """Give back what was received and not leased, and wait for nothing more."""
        self._clients.close()
        for poll in self._polls.values():
            try:
                poll.want_none()
            except FactoryError:  # they come again when their time is up
                continue
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._body_threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        """What `work` answers in a thread; who is cancelled does not end it."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, work))

    def _together(self, call: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        """What `call` answers for each of `values`, many at once where there are several."""
        if len(values) < 2:
            return [call(value) for value in values]
        return list(self._body_threads.map(call, values))

    def _settle_and_claim(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        held = self._settling.settle(settled)
        named = {want.queue: want for want in wanted if want.n > 0}
        for queue, poll in self._polls.items():
            if queue not in named:
                poll.want_none()
        leases: list[Lease] = []
        errors: list[FactoryError] = []
        asked = [want for queue, want in named.items() if queue in self._delivery.names]
        for want in asked:
            try:
                leases += self._claim(want)
            except FactoryError as error:
                errors.append(error)
        if errors and not leases and not settled and self._is_to_be_told(errors[0], all_fail=len(errors) == len(asked)):
            raise errors[0]
        self._settling.answered(settled)
        return held, leases

    def _is_to_be_told(self, error: FactoryError, *, all_fail: bool) -> bool:
        """Whether the caller is told that a queue cannot be received from: while others can, only now and then, since
        each time that all is well in between is taken for the end of the trouble.
        """
        now = time.monotonic()
        if not all_fail and now - self._told.get(error.message, -_TOLD_EVERY) < _TOLD_EVERY:
            return False
        self._told[error.message] = now
        return True

    def _claim(self, want: Wanted) -> list[Lease]:
        """Lease up to as many jobs as are wanted: what a poll has brought, or what is received now."""
        if self._subscribers.have(want.queue):
            return self._claim_polled(want)
        leases: list[Lease] = []
        while len(leases) < want.n:
            received = self._delivery.receive(want.queue, min(BATCH, want.n - len(leases)), want.lease)
            if not received:
                break
            leases += self._claims.claim(received)
        return leases

    def _claim_polled(self, want: Wanted) -> list[Lease]:
        """Lease what a poll has brought. Not every message becomes a lease (of a job that is done there may be a second
        one), so it goes on until there is nothing to take: what is still wanted is then polled for.
        """
        poll = self._polls.get(want.queue) or self._polls.setdefault(want.queue, self._new_poll(want.queue))
        leases: list[Lease] = []
        while len(leases) < want.n:
            try:
                taken = poll.take(want.n - len(leases), want.lease, 0.0 if leases else AT_ONCE)
                if not taken:
                    break
                leases += self._claims.claim(taken)
            except FactoryError:  # comes again with the next claim
                if not leases:
                    raise
                break
        return leases

    def _new_poll(self, queue: str) -> Poll:
        def receive(queue: str, n: int, lease: float) -> Sequence[Received]:
            return self._delivery.receive(queue, n, lease, self._long_poll)

        return Poll(queue, receive, self._give_back, lambda: self._subscribers.wake(queue), self._clock)

    def _give_back(self, received: Sequence[Received]) -> None:
        """Show messages that were not leased to others."""
        returned = []
        for one in received:
            try:
                returned.append((one.handle, from_message(one.text), 0.0))
            except NotOursError as error:
                self._messages.set_aside(one, str(error))
        self._messages.show_again(returned)

    def _extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        now = self._clock()
        renewed, hidden = [], []
        for lease, state in self._changed(leases, lambda state, until: state.changed(due=until), now, seconds):
            token = token_of(lease)
            if token is None:
                continue
            deadline = _deadline(token.handle.at, now, seconds)
            self._hand.change(token.secret, state)
            renewed.append(lease._replace(deadline=deadline))
            hidden.append((token.handle, deadline - now))
        self._delivery.hide(hidden)
        return renewed

    def _release(self, leases: Sequence[Lease]) -> list[bool]:
        now = self._clock()
        released = self._changed(leases, lambda state, _: without_lease(state), now, 0.0)
        self._point("given back")
        returned = []
        for lease, state in released:
            if token := token_of(lease):
                self._hand.drop(token.secret)
                returned.append((token.handle, state, 0.0))
        if self._table is None:  # a receive counts as an attempt there
            self._messages.replace(returned)
        else:
            self._messages.show_again(returned)
        held = {lease.token for lease, _ in released}
        return [lease.token in held for lease in leases]

    def _changed(
        self, leases: Sequence[Lease], change: Callable[[JobState, float], JobState], now: float, seconds: float
    ) -> list[tuple[Lease, JobState]]:
        """Those of `leases` that are held, and their jobs, changed; `change` is given the deadline `seconds` ahead."""
        pending: list[tuple[Lease, JobState]] = []
        unknown: list[Lease] = []
        for lease in leases:
            token = token_of(lease)
            state = self._hand.get(token.secret) if token else None
            if state:
                pending.append((lease, state))
            elif token:
                unknown.append(lease)
        if self._table is None:
            return [(lease, change(state, _until(lease, now, seconds))) for lease, state in pending if state.due > now]
        if unknown:
            found = self._table.read([key_of(lease) for lease in unknown])
            pending += [(lease, found[key_of(lease)]) for lease in unknown if key_of(lease) in found]
        changed: dict[str, JobState] = {}
        for _ in range(_ROUNDS):
            held = [(lease, state) for lease, state in pending if _holds(lease, state)]
            if not held:
                break
            writes = [Write(state, change(state, _until(lease, now, seconds))) for lease, state in held]
            pending = []
            for (lease, _), write, written in zip(held, writes, self._table.write(writes), strict=True):
                if written.done:
                    changed[lease.token] = write.new
                elif written.found is not None:
                    pending.append((lease, written.found))
        return [(lease, changed[lease.token]) for lease in leases if lease.token in changed]


def _holds(lease: Lease, state: JobState) -> bool:
    token = token_of(lease)
    return token is not None and state.token == token.secret


def _deadline(received: float, now: float, seconds: float) -> float:
    """`seconds` from now, but 12 hours after the message was `received` at the latest: so long does SQS hide it."""
    return min(now + seconds, received + LONGEST_LEASE)


def _until(lease: Lease, now: float, seconds: float) -> float:
    token = token_of(lease)
    return _deadline(token.handle.at if token else now, now, seconds)
