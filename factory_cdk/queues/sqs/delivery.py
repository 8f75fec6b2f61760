"""SQS itself: messages sent, received, made visible and deleted, in batches of ten and 1 MiB."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import QueueNames
from factory_cdk.queues.sqs.calls import PassingError, refused
from factory_cdk.queues.sqs.chunks import chunks, chunks_within
from factory_cdk.queues.sqs.clients import Clients

BATCH = 10
LARGEST_BATCH = 1024 * 1024
"""Messages and bytes that a call may have, and a message too
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)."""

LONGEST_DELAY = 900
LONGEST_LEASE = 12 * 3600
"""Seconds for which SQS delays a new message, and for which it hides one from when it was received."""

REASON = "Reason"
"""The attribute of a dead letter that says why it is one."""

_ATTRIBUTE_BYTES = 300


class Message(NamedTuple):
    """A message to send, seen after `delay` seconds; `reason` is for dead letters."""

    text: str
    delay: float = 0.0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A message in hand: `at` is when it was received and `until` when SQS shows it to others again, both in seconds
    since the epoch; `receives` is how many times it was received.
    """

    queue: str
    text: str
    receipt: str
    receives: int
    at: float
    until: float
    reason: str | None = None

    @property
    def handle(self) -> Handle:
        """Where it is."""
        return Handle(self.queue, self.receipt, self.receives, self.at)


class Handle(NamedTuple):
    """Where a received message is: its queue and receipt; how many times and when it was received."""

    queue: str
    receipt: str
    receives: int
    at: float


class Delivery:
    """The queues of a stage in SQS, by their names in the plan."""

    def __init__(self, clients: Clients, names: Mapping[str, QueueNames], clock: Callable[[], float]) -> None:
        self._clients, self.names, self._clock = clients, names, clock
        self._lock = threading.Lock()
        self._urls: dict[str, str] = {}

    def send(self, queue: str, messages: Sequence[Message]) -> None:
        """Send `messages` to `queue`. FactoryError; some may have been sent."""
        self._send(self._name(queue), messages)

    def bury(self, queue: str, messages: Sequence[Message]) -> None:
        """Send `messages` to the dead-letter queue of `queue`. FactoryError."""
        self._send(self._grave(queue), messages)

    def receive(self, queue: str, n: int, lease: float, wait: int = 0) -> list[Received]:
        """Up to `n` messages, ten at most, hidden from others for `lease` seconds; waited for up to `wait` seconds."""
        return self._receive(queue, self._name(queue), n, lease, wait)

    def receive_dead(self, queue: str, n: int, lease: float) -> list[Received]:
        """Up to `n` dead letters, ten at most, as `receive` does."""
        return self._receive(queue, self._grave(queue), n, lease, 0)

    def hide(self, messages: Sequence[tuple[Handle, float]]) -> list[bool]:
        """Hide each message from others for so many seconds from now, 0 shows it at once; whether SQS took that. 12
        hours after it was received none can be hidden any longer.
        """
        now = self._clock()
        handles = [handle for handle, _ in messages]
        hidden = [
            {"VisibilityTimeout": min(math.ceil(seconds), max(0, math.floor(handle.at + LONGEST_LEASE - now)))}
            for handle, seconds in messages
        ]
        return self._batches(handles, "change_message_visibility_batch", hidden)

    def delete(self, handles: Sequence[Handle]) -> None:
        """Delete messages. One that SQS does not know any more is deleted."""
        self._batches(handles, "delete_message_batch")

    def delete_dead(self, handles: Sequence[Handle]) -> None:
        """Delete dead letters."""
        self._batches(handles, "delete_message_batch", dead=True)

    def hide_dead(self, handles: Sequence[Handle], seconds: float) -> None:
        """Hide dead letters, as `hide` does."""
        hidden = [{"VisibilityTimeout": int(seconds)} for _ in handles]
        self._batches(handles, "change_message_visibility_batch", hidden, dead=True)

    def counts(self, queue: str) -> tuple[int, int, int]:
        """About how many messages of `queue` are ready, delayed and hidden. FactoryError."""
        return self._counts(self._name(queue))

    def dead_count(self, queue: str) -> int:
        """About how many dead letters there are of `queue`. FactoryError."""
        return sum(self._counts(self._grave(queue)))

    def _name(self, queue: str) -> str:
        names = self.names.get(queue)
        if names is None:
            raise FactoryError(f"this stage has no queue {queue}", "the plan names its bots' queues")
        return names.queue

    def _grave(self, queue: str) -> str:
        self._name(queue)
        dead_letters = self.names[queue].dead_letters
        if dead_letters is None:
            raise FactoryError(f"queue {queue} is only sent to from here", "its own sector knows its dead letters")
        return dead_letters

    def _url(self, name: str) -> str:
        with self._lock:
            url = self._urls.get(name)
        if url is None:
            ask = self._clients.call("sqs", f"queue {name}", lambda client: client.get_queue_url(QueueName=name))
            url = str(ask["QueueUrl"])
            with self._lock:
                self._urls[name] = url
        return url

    def _call(self, name: str, do: Callable[[Any, str], Any]) -> Any:
        url = self._url(name)
        return self._clients.call("sqs", f"queue {name}", lambda client: do(client, url))

    def _send(self, name: str, messages: Sequence[Message]) -> None:
        sized = [(message, len(message.text) + _ATTRIBUTE_BYTES) for message in messages]
        for batch in chunks_within(sized, BATCH, LARGEST_BATCH):
            self._send_batch(name, batch)

    def _send_batch(self, name: str, batch: Sequence[Message]) -> None:
        left = {str(number): _entry(str(number), message) for number, message in enumerate(batch)}

        def attempt(client: Any, url: str) -> None:
            answer = client.send_message_batch(QueueUrl=url, Entries=list(left.values()))
            for sent in answer.get("Successful", ()):
                left.pop(sent["Id"], None)
            for failed in answer.get("Failed", ()):
                raise refused(
                    f"queue {name}", failed["Code"], 0 if failed["SenderFault"] else 500, failed.get("Message", "")
                )

        self._call(name, attempt)

    def _receive(self, queue: str, name: str, n: int, lease: float, wait: int) -> list[Received]:
        hidden = min(max(1, math.ceil(lease)), LONGEST_LEASE)
        answer = self._call(
            name,
            lambda client, url: client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(n, BATCH),
                VisibilityTimeout=hidden,
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=[REASON],
            ),
        )
        at = self._clock()
        return [
            Received(
                queue,
                message["Body"],
                message["ReceiptHandle"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
                at,
                at + lease,
                message.get("MessageAttributes", {}).get(REASON, {}).get("StringValue"),
            )
            for message in answer.get("Messages", ())
        ]

    def _batches(
        self, handles: Sequence[Handle], operation: str, more: Sequence[Mapping[str, Any]] = (), *, dead: bool = False
    ) -> list[bool]:
        """Do `operation` to every message; whether SQS took it."""
        taken = [False] * len(handles)
        by_queue: dict[str, list[int]] = {}
        for number, handle in enumerate(handles):
            by_queue.setdefault(handle.queue, []).append(number)
        for queue, numbers in by_queue.items():
            for chunk in chunks(numbers, BATCH):
                entries = {
                    str(number): {
                        "Id": str(number),
                        "ReceiptHandle": handles[number].receipt,
                        **(more[number] if more else {}),
                    }
                    for number in chunk
                }
                for number in self._batch(self._grave(queue) if dead else self._name(queue), operation, entries):
                    taken[number] = True
        return taken

    def _batch(self, name: str, operation: str, left: dict[str, dict[str, Any]]) -> Iterable[int]:
        """The numbers of the entries that SQS took. A receipt that it does not know is no error: it is done."""
        taken: list[int] = []

        def attempt(client: Any, url: str) -> None:
            answer = getattr(client, operation)(QueueUrl=url, Entries=list(left.values()))
            for done in answer.get("Successful", ()):
                if left.pop(done["Id"], None):
                    taken.append(int(done["Id"]))
            again = False
            for failed in answer.get("Failed", ()):
                if failed["SenderFault"]:
                    left.pop(failed["Id"], None)
                else:
                    again = True
            if again:
                raise PassingError(f"queue {name} is not available", "it is tried again")

        if left:
            self._call(name, attempt)
        return taken

    def _counts(self, name: str) -> tuple[int, int, int]:
        wanted = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        found = self._call(
            name, lambda client, url: client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        )
        ready, delayed, hidden = (int(found[one]) for one in wanted)
        return ready, delayed, hidden


def _entry(number: str, message: Message) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": number, "MessageBody": message.text}
    if message.delay > 0:
        entry["DelaySeconds"] = min(math.ceil(message.delay), LONGEST_DELAY)
    if message.reason is not None:
        reason = ascii(message.reason)[1:-1][: _ATTRIBUTE_BYTES - 50] or "unknown"  # SQS refuses control characters
        entry["MessageAttributes"] = {REASON: {"DataType": "String", "StringValue": reason}}
    return entry
