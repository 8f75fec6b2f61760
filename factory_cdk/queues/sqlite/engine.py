"""The embedded queue engine: all queues of one local factory in one SQLite file, durable and shared.

Any number of processes may have the file open. Submitting returns when the jobs are on disk; what workers
settle is atomic and survives any process's death at once, and a power loss from the next sync on (what was
not synced is then done again, never lost). Not for network file systems: their locks and shared memory do
not hold what SQLite's write-ahead log needs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Self, TypeVar

from factory_cdk.doorbell import Doorbell, Ringer, bell_path
from factory_cdk.queues.port import Capabilities, Failed, Finished, Forward, Job, Lease, UnstorableError, Wanted
from factory_cdk.queues.sqlite.bodies import Sync
from factory_cdk.queues.sqlite.boot_clock import Clock
from factory_cdk.queues.sqlite.file import QueueFile
from factory_cdk.queues.sqlite.history import SqliteHistory
from factory_cdk.queues.sqlite.missing import refuse_missing
from factory_cdk.queues.sqlite.steps import Encoding, Steps
from factory_cdk.worker.size import LARGEST_PAYLOAD

_CHUNK = 500
"""Jobs per transaction of a long submission, so that workers get the lock in between."""

_HELD_UP = 0.05
"""Seconds on the engine's clock after which it is worth a look whether leases may have ended meanwhile."""

Answer = TypeVar("Answer")


def open_sqlite(path: Path, *, shared: bool, create: bool) -> SqliteQueues:
    """The queues in the database at `path`; DamagedError without `create` when it is not there."""
    if not create:
        refuse_missing(path)
    return SqliteQueues(path, shared=shared)


class SqliteQueues:
    """The queues of the database at `path`, made if need be; `port.RunnerQueues` and `client.ClientQueues` say what
    each method promises.

    What a runner awaits is done at once where nothing is in the way, without suspending: a commit waits for no disk.
    While another process writes, and for values that go into files, it is done in a thread, one step at a time; so are
    checkpoints, for which a commit would wait.

    `shared` says that more than one runner may have it open. `clock` counts for leases and delays and `wall` stamps
    the history (seconds since the epoch); `sync` makes an open file durable. FactoryError when the file cannot be
    opened or is of a newer version.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        shared: bool = False,
        clock: Clock | None = None,
        wall: Clock | None = None,
        sync: Sync | None = None,
    ) -> None:
        self._file = QueueFile(Path(path), clock=clock, wall=wall, sync=sync)
        self._steps = Steps(self._file)
        self._ringer = Ringer(self._file.paths.bells)
        self._subscriptions: set[Bells] = set()
        self._idle: concurrent.futures.Future[None] | None = None
        self.history = SqliteHistory(self._file, self._ringer)
        self.capabilities = Capabilities(
            atomic=True,
            ordered=True,
            exact_depths=True,
            exclusive_runner=not shared,
            history=True,
            expires=False,
            look_every=0.05,
            longest_lease=None,
            longest_delay=None,
            largest_payload=LARGEST_PAYLOAD,
        )

    def send(self, queue: str, jobs: Sequence[Job], *, delay: float = 0.0) -> None:
        """Make `jobs` durable, ready after `delay` seconds; those whose ids are known are left alone."""
        remaining = iter(jobs)
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            due = self._file.clock() + delay if delay > 0 else 0.0
            wall = self._file.wall()
            encoding = Encoding(self._file.bodies)
            columns = [encoding.columns(queue, job) for job in chunk]
            with encoding, self._file.writing():
                self._steps.send(columns, due, wall)
            self._ringer.ring((queue,))
            if self._file.is_checkpoint_due(len(chunk)):
                self._file.checkpoint()
        self._file.make_durable()

    async def settle_and_claim(
        self, settled: Sequence[Finished | Failed], wanted: Sequence[Wanted]
    ) -> tuple[list[bool], list[Lease]]:
        """Settle, forward and claim in one transaction."""
        encoding = Encoding(self._file.bodies)
        prepared = [encoding.prepare(one) for one in settled]
        asked = self._file.clock()
        held_up = False

        def step() -> tuple[list[bool], list[Lease]]:
            nonlocal held_up
            now = self._file.clock()
            if now - asked > _HELD_UP:
                held_up = any(now - asked > want.lease / 4 for want in wanted)
            return self._steps.settle_and_claim(prepared, () if held_up else wanted, now, self._file.wall())

        held, leases = await self._write(step, encoding)
        self._ring_for(settled, held, leases)
        if held_up:
            for bells in list(self._subscriptions):
                bells.notify()
        return held, leases

    def unstorable(self, settled: Finished | Failed) -> str | None:
        """Why `settled` can never be stored, in words; None when it can be."""
        try:
            Encoding(self._file.bodies).prepare(settled)
        except UnstorableError as error:
            return error.message
        return None

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Move the deadlines of `leases` to `seconds` from now; one that was lost is not in the answer."""

        def extend() -> list[Lease]:
            deadline = self._file.clock() + seconds
            return [lease._replace(deadline=deadline) for lease in leases if self._steps.extend(lease, deadline)]

        return await self._write(extend)

    async def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Put jobs back at their places, ready at once, the attempts not counted."""
        held = await self._write(lambda: [self._steps.release(lease) for lease in leases])
        self._ringer.ring({lease.queue for lease, done in zip(leases, held, strict=True) if done} - self._heard)
        return held

    async def reclaim(self) -> int:
        """End every lease; answers how many there were."""
        return await self._write(self._steps.reclaim)

    def subscribe(self, queues: Iterable[str], notify: Callable[[], None]) -> Bells:
        """Call `notify` when a bell of `queues` rings, on the running loop. What this engine settles and forwards
        itself does not ring it.
        """
        bells = Bells(self._file.paths.bells, queues, notify, self._subscriptions)
        self._subscriptions.add(bells)
        return bells

    def close(self) -> None:
        """Let go of the file, once what is done in a thread is; leases stay until their deadlines."""
        if self._idle is not None:
            self._idle.result()
        self._ringer.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _write(self, step: Callable[[], Answer], encoding: Encoding | None = None) -> Answer:
        """What `step` answers, in a write transaction: here and at once, or in a thread where it would have to wait."""
        while self._idle is not None and not self._idle.done():
            await asyncio.wait((asyncio.wrap_future(self._idle),))  # of this loop, whichever began it
        writing = self._file.writing()
        if not (encoding and encoding.beside) and writing.begin_at_once():
            try:
                with writing:
                    answer = step()
            except BaseException:
                self._steps.forget()
                raise
            if self._file.is_checkpoint_due(0):
                self._start(self._file.checkpoint)
            return answer

        def wait_and_write() -> Answer:
            try:
                with encoding or Encoding(self._file.bodies), writing:
                    return step()
            except BaseException:
                self._steps.forget()
                raise

        # who is cancelled does not end the step
        return await asyncio.shield(asyncio.wrap_future(self._start(wait_and_write)))

    def _start(self, work: Callable[[], Answer]) -> concurrent.futures.Future[Answer]:
        """What `work` will answer in a thread of its own, or here and now when this user may start no thread more: an
        executor would keep such work, and do it once more, later.
        """
        done: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        idle = self._idle = concurrent.futures.Future[None]()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
            idle.set_result(None)  # for who only waits: what was raised is told to who has asked for it alone

        try:
            threading.Thread(target=run, name="queues").start()
        except RuntimeError:
            run()
        return done

    @property
    def _heard(self) -> set[str]:
        """The queues of whose jobs our own caller knows without a bell."""
        return {queue for bells in self._subscriptions for queue in bells.queues}

    def _ring_for(self, settled: Sequence[Finished | Failed], held: list[bool], leases: list[Lease]) -> None:
        """Ring where jobs were left for others."""
        heard = self._heard
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


class Bells:
    """The bells of some `queues`, each of which calls `notify` on the running loop; among `others` while it is open."""

    def __init__(self, folder: Path, queues: Iterable[str], notify: Callable[[], None], others: set[Bells]) -> None:
        self.queues, self.notify = frozenset(queues), notify
        self._others = others
        self._loop = asyncio.get_running_loop()
        self._open: list[Doorbell] = []
        try:
            for queue in self.queues:
                bell = Doorbell(bell_path(folder, queue))
                self._open.append(bell)
                self._loop.add_reader(bell, self._hear, bell)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hear nothing any more; closing twice is allowed."""
        self._others.discard(self)
        while self._open:
            bell = self._open.pop()
            self._loop.remove_reader(bell)
            bell.close()

    def _hear(self, bell: Doorbell) -> None:
        bell.drain()
        self.notify()
