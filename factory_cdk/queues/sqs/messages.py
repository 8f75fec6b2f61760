"""Messages on their ways: shown again, sent anew, buried as dead letters, set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from factory_cdk.queues.sqs.bodies import SET_ASIDE, Bodies
from factory_cdk.queues.sqs.delivery import LARGEST_BATCH, Delivery, Handle, Message, Received
from factory_cdk.queues.sqs.jobs import JobState, to_message

INLINE = 48 * 1024
"""Characters of a payload that are sent in the message: SQS charges for every 64 KB of it as for a call."""

MOST_RECEIVES = 3
"""After so many receives a message that goes back is sent anew: those that count towards the queue's redrive are to be
deaths of an instance, not jobs given back.
"""

Returned = tuple[Handle, JobState, float]


class Messages:
    """What becomes of messages in `delivery`. `point` is told which point of the protocol is reached."""

    def __init__(self, delivery: Delivery, bodies: Bodies, point: Callable[[str], None]) -> None:
        self._delivery, self._bodies, self._point = delivery, bodies, point

    def send(self, queue: str, states: Sequence[JobState], delay: float = 0.0) -> None:
        """Send jobs. FactoryError; some may have been sent."""
        self._delivery.send(queue, [Message(to_message(state, INLINE), delay) for state in states])

    def show_again(self, returned: Sequence[Returned]) -> None:
        """Let messages be received again after so many seconds each."""
        self._delivery.hide([(handle, delay) for handle, _, delay in returned if handle.receives < MOST_RECEIVES])
        worn = [one for one in returned if one[0].receives >= MOST_RECEIVES]
        self.replace(worn)

    def replace(self, returned: Sequence[Returned]) -> None:
        """Send jobs anew, each after so many seconds, and delete the messages that they came with."""
        for queue in dict.fromkeys(handle.queue for handle, _, _ in returned):
            ours = [(state, delay) for handle, state, delay in returned if handle.queue == queue]
            self._delivery.send(queue, [Message(to_message(state, INLINE), delay) for state, delay in ours])
        if returned:
            self._point("sent anew")
        self._delivery.delete([handle for handle, _, _ in returned])

    def bury(self, dead: Sequence[tuple[Handle, JobState]]) -> None:
        """Send dead jobs to the dead-letter queues, with their failures."""
        for queue in dict.fromkeys(handle.queue for handle, _ in dead):
            ours = [state for handle, state in dead if handle.queue == queue]
            self._delivery.bury(queue, [Message(to_message(state, INLINE), reason=_reason(state)) for state in ours])

    def delete(self, handles: Sequence[Handle]) -> None:
        """Delete messages."""
        self._delivery.delete(handles)

    def set_aside(self, received: Received, reason: str) -> None:
        """Move a message that is not ours to the dead-letter queue, as it is, with the reason."""
        text = received.text
        if len(text.encode(errors="surrogatepass")) > LARGEST_BATCH - 1024:
            key = f"{SET_ASIDE}{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
            self._bodies.put(key, text)
            text = f"object {key}"
        self._delivery.bury(received.queue, [Message(text, reason=f"set aside: {reason}")])
        self._point("set aside")
        self._delivery.delete([received.handle])


def _reason(state: JobState) -> str:
    return str(state.failures[-1]) if state.failures else "no failure is on record"
