"""The embedded queue engine: all queues of one local factory in one SQLite file, durable and shared.

Any number of processes may have the file open. Submitting returns when the jobs are on disk; what workers
settle is atomic and survives any process's death at once, and a power loss from the next sync on (what was
not synced is then done again, never lost). Not for network file systems: their locks and shared memory do
not hold what SQLite's write-ahead log needs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from factory_cdk.doorbell import POLL_SECONDS, Doorbell, Ringer, bell_path
from factory_cdk.plan.model import Json
from factory_cdk.queues.port import (
    DeadLetter,
    Depth,
    Failed,
    Failure,
    Finished,
    Forward,
    Job,
    Lease,
    Wanted,
)
from factory_cdk.queues.sqlite.bodies import Sync, UnstorableError
from factory_cdk.queues.sqlite.boot_clock import Clock
from factory_cdk.queues.sqlite.file import QueueFile
from factory_cdk.queues.sqlite.history import History
from factory_cdk.queues.sqlite.steps import Encoding, Steps

_CHUNK = 500
"""Jobs per transaction of a long submission, so that workers get the lock in between."""


class SqliteQueues:
    """The Queues of the database at `path`, made if need be; see `port.Queues` for what each method promises.

    For one thread. Every call is quick but `send`, which waits for the disk, and `receive` with `wait`.
    `clock` counts for leases and delays and `wall` stamps the history (seconds since the epoch); `sync` makes
    an open file durable. Raises FactoryError when the file cannot be opened or is of a newer version.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Clock | None = None,
        wall: Clock | None = None,
        sync: Sync | None = None,
    ) -> None:
        self._file = QueueFile(Path(path), clock=clock, wall=wall, sync=sync)
        self._steps = Steps(self._file)
        self._ringer = Ringer(self._file.paths.bells)
        self._bells: dict[str, Doorbell] = {}
        self.history = History(self._file, self._ringer)

    def now(self) -> float:
        """The engine's clock, in which `Lease.deadline` is counted: steady seconds since the epoch."""
        return self._file.clock()

    def doorbell(self, queue: str) -> Doorbell:
        """The bell of `queue`, to watch with an event loop; close it when done. What this engine settles and
        forwards itself does not ring it: its caller knows, and can ask for it in the same `exchange`.
        """
        bell = Doorbell(bell_path(self._file.paths.bells, queue))
        self._bells[queue] = bell
        return bell

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Make `jobs` durable, ready after `delay` seconds; those whose ids are known are left alone. When it
        raises, some of many jobs may have been taken: sending all of them again is safe.
        """
        remaining = iter(jobs)
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            due = self._file.clock() + delay if delay > 0 else 0.0
            wall = self._file.wall()
            with Encoding(self._file.bodies) as encoding:
                columns = [encoding.columns(queue, job) for job in chunk]
                with self._file.writing():
                    self._steps.send(columns, due, wall)
            self._ringer.ring((queue,))
        self._file.make_durable()

    def receive(self, queue: str, n: int, *, lease: float, wait: float = 0.0) -> list[Lease]:
        """Up to `n` ready jobs, oldest first; without `wait` it answers at once."""
        wanted = (Wanted(queue, n, lease),)
        leases = self.exchange((), wanted)[1]
        if leases or wait <= 0 or n < 1:
            return leases
        deadline = time.monotonic() + wait
        with Doorbell(bell_path(self._file.paths.bells, queue)) as bell:
            while True:
                leases = self.exchange((), wanted)[1]
                left = deadline - time.monotonic()
                if leases or left <= 0:
                    return leases
                until_due = self.next_due((queue,))
                pause = POLL_SECONDS if until_due is None else max(0.001, until_due - self.now())
                bell.wait(min(left, POLL_SECONDS, pause))

    def next_due(self, queues: Iterable[str]) -> float | None:
        """When, on the engine's clock, the next delay or lease of `queues` ends; None if there is none."""
        run = self._file.connection.execute
        first = "SELECT min(due) FROM jobs WHERE queue = ? AND due > 0"
        found = self._file.reading(lambda: [run(first, (queue,)).fetchone()[0] for queue in queues])
        return min((due for due in found if due is not None), default=None)

    def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of `leases` to `seconds` from now; one that was lost is not in the answer."""
        deadline = self._file.clock() + seconds
        with self._file.writing():
            held = [lease for lease in leases if self._steps.extend(lease, deadline)]
        return [Lease(lease.job, lease.queue, lease.token, deadline) for lease in held]

    def finish(self, lease: Lease, forwards: Sequence[Forward], result: Json = None) -> bool:
        """Acknowledge and forward in one transaction; False, and nothing sent, when the lease was lost."""
        return self.exchange((Finished(lease, forwards, result),), ())[0][0]

    def fail(self, lease: Lease, failure: Failure, *, delay: float | None) -> bool:
        """Record the failure: the next attempt after `delay` seconds, or a dead letter if it is None."""
        return self.exchange((Failed(lease, failure, delay),), ())[0][0]

    def exchange(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle, forward and claim in one transaction: what a runner calls once per turn of its loop."""
        now, wall = self._file.clock(), self._file.wall()
        with Encoding(self._file.bodies) as encoding:
            prepared = [encoding.prepare(one) for one in settled]
            with self._file.writing():
                held, leases = self._steps.exchange(prepared, wanted, now, wall)
        self._ring_for(settled, held, leases)
        return held, leases

    def unstorable(self, settled: Finished | Failed) -> str | None:
        """Why `settled` can never be stored (its result is not JSON, or too large), in words; None when it can be.
        FactoryError when the disk refuses.
        """
        with Encoding(self._file.bodies) as encoding:
            try:
                encoding.prepare(settled)
            except UnstorableError as error:
                return error.message
        return None

    def release(self, lease: Lease) -> bool:
        """Put the job back at its place, ready at once, the attempt not counted."""
        with self._file.writing():
            held = self._steps.release(lease)
        if held:
            self._ringer.ring({lease.queue} - self._heard())
        return held

    def reclaim(self) -> int:
        """Make every leased job ready at once, the attempt counted as failed; answers how many there were.

        For a runner that starts, and for it alone: it holds the lock that every other runner of these queues
        would have to hold, so whoever leased these jobs is dead, and nobody need wait for the leases to end. A
        holder that lived after all loses its leases as if they had ended.
        """
        with self._file.writing():
            return self._steps.reclaim()

    def dead_letters(self, queue: str, n: int) -> list[DeadLetter]:
        """Up to `n` dead letters of `queue`, the first to die first."""
        return [DeadLetter(dead.job, queue, dead.failures) for dead in self.history.dead(queue, n)]

    def depth(self, queue: str) -> Depth:
        """How many jobs are in `queue`, exactly. What is due counts as ready."""
        return self.history.depths((queue,))[queue]

    def close(self) -> None:
        """Let go of the file; leases stay until their deadlines."""
        self._ringer.close()
        self._file.close()

    def __enter__(self) -> SqliteQueues:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ring_for(self, settled: Sequence[Finished | Failed], held: list[bool], leases: list[Lease]) -> None:
        """Ring where jobs were left for others."""
        heard = self._heard()
        queues: set[str] = set()
        sent: list[Forward] = []
        for one, done in zip(settled, held, strict=True):
            if not done:
                continue
            if isinstance(one, Failed):
                queues.add(one.lease.queue)
            else:
                sent += [forward for forward in one.forwards if forward.queue not in heard]
        if sent:
            taken = {lease.job.id for lease in leases}
            queues.update(forward.queue for forward in sent if forward.job.id not in taken)
        self._ringer.ring(queues - heard)

    def _heard(self) -> set[str]:
        """The queues whose bells our own caller hears: it knows without."""
        return {queue for queue, bell in self._bells.items() if not bell.closed}
