"""Jobs are recorded and sent, those that the table has seen left alone."""

from __future__ import annotations

from collections.abc import Sequence

from factory_cdk.queues.port import Forward
from factory_cdk.queues.sqs.jobs import Body, JobState
from factory_cdk.queues.sqs.parts import Parts
from factory_cdk.queues.sqs.table import Key, Write


class Sending:
    """Sends jobs. Their records come first: a job that is recorded and was never begun may have been left by somebody
    who died before its message was sent, so its message is sent again; a second one is recognised when it is received.
    """

    def __init__(self, parts: Parts) -> None:
        self._messages, self._table = parts.messages, parts.table
        self._clock, self._places, self._point = parts.clock, parts.places, parts.point

    def send(self, jobs: Sequence[tuple[Forward, Body]], delay: float = 0.0) -> None:
        """Send jobs with their payloads, ready after `delay` seconds. FactoryError."""
        if not jobs:
            return
        now = self._clock()
        due = now + delay if delay > 0 else 0.0
        states = {}
        for forward, body in jobs:
            key = Key(forward.job.run, forward.job.id)
            if key not in states:
                job = forward.job._replace(payload=None, tags=dict(forward.job.tags))
                states[key] = JobState(job, forward.queue, body, self._places.next(now), now, due)
        sent = self._recorded(list(states.values()))
        self._point("jobs recorded")
        for queue in dict.fromkeys(state.queue for state in sent):
            self._messages.send(queue, [state for state in sent if state.queue == queue], delay)
        self._point("jobs sent")

    def _recorded(self, states: Sequence[JobState]) -> list[JobState]:
        """Those of `states` whose messages have to be sent."""
        if self._table is None:
            return list(states)
        sent = []
        for state, written in zip(states, self._table.write([Write(None, state) for state in states]), strict=True):
            if written.done:
                sent.append(state)
            elif written.found is not None and not written.found.was_begun:
                sent.append(written.found)
        return sent
