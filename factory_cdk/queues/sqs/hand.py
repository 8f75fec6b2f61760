"""What an engine has in hand: leases, their tokens, and the jobs as they were when they were leased."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

from factory_cdk.queues.port import Lease
from factory_cdk.queues.sqs.delivery import Handle
from factory_cdk.queues.sqs.jobs import JobState
from factory_cdk.queues.sqs.table import Key


class Token(NamedTuple):
    """What a lease's token says: the `secret` that the job's record has while the lease is held, and where the message
    is. All of it is in the text, so that a lease outlives the engine that gave it.
    """

    secret: str
    handle: Handle

    def text(self) -> str:
        """The token as a lease has it."""
        _, receipt, receives, at = self.handle
        return f"{self.secret}:{receives}:{at!r}:{receipt}"


def new_secret() -> str:
    """A secret that nobody has had."""
    return secrets.token_hex(8)


def token_of(lease: Lease) -> Token | None:
    """The token of `lease`; None when no engine of ours has made it."""
    try:
        secret, receives, at, receipt = lease.token.split(":", 3)
        return Token(secret, Handle(lease.queue, receipt, int(receives), float(at)))
    except ValueError:
        return None


def key_of(lease: Lease) -> Key:
    """Where the job of `lease` is in the table."""
    return Key(lease.job.run, lease.job.id)


@dataclass
class Hand:
    """The jobs in hand by the secrets of their leases, for all threads of an engine. `doubtful` are the secrets of
    leases whose settlement was begun and has not been answered: what the table says of them may be our own doing.
    """

    jobs: dict[str, JobState] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, secret: str, state: JobState) -> None:
        """A job was leased, or changed while it is."""
        with self._lock:
            self.jobs[secret] = state

    def change(self, secret: str, state: JobState) -> None:
        """A job was changed, which may have been settled meanwhile."""
        with self._lock:
            if secret in self.jobs:
                self.jobs[secret] = state

    def get(self, secret: str) -> JobState | None:
        """The job of a lease, if it was leased here and is not settled."""
        with self._lock:
            return self.jobs.get(secret)

    def drop(self, secret: str) -> None:
        """A lease is settled, or lost."""
        with self._lock:
            self.jobs.pop(secret, None)
            self.doubtful.discard(secret)

    def doubt(self, secret: str) -> None:
        """The settlement of a lease begins."""
        with self._lock:
            self.doubtful.add(secret)

    def is_doubtful(self, secret: str) -> bool:
        """Whether the settlement of a lease has begun here, and was not answered."""
        with self._lock:
            return secret in self.doubtful
