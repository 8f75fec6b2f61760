"""Long polls: a thread for each queue of which jobs are wanted, which waits for messages and says that there are some.

A thread lives as long as more messages are wanted than it has received. Messages that came and are not wanted any more
are given back at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.sqs.delivery import Received

AT_ONCE = 0.1
"""Seconds that a claim waits for the first answer of a poll: as long as one takes that finds something."""

Receive = Callable[[str, int, float], Sequence[Received]]
GiveBack = Callable[[Sequence[Received]], None]


class Poll:
    """The long polls of one queue: `receive` waits for messages, `give_back` shows them to others again, `notify` is
    called in the thread when there is something to take. `clock` is that of the messages.
    """

    def __init__(
        self, queue: str, receive: Receive, give_back: GiveBack, notify: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._queue, self._receive, self._give_back = queue, receive, give_back
        self._notify, self._clock = notify, clock
        self._changed = threading.Condition()
        self._received: list[Received] = []
        self._wanted, self._lease = 0, 0.0
        self._polls = False
        self._error: FactoryError | None = None

    def take(self, n: int, lease: float, wait: float = AT_ONCE) -> list[Received]:
        """Up to `n` messages; those still wanted are polled for. FactoryError while the last poll has failed."""
        with self._changed:
            taken = self._take(n)
            self._wanted, self._lease = n - len(taken), lease
            if self._wanted and not taken and not self._polls:
                self._start()
                deadline = time.monotonic() + wait
                while self._polls and not self._received and (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
                taken = self._take(n)
                self._wanted = n - len(taken)
            elif self._wanted and not self._polls:
                self._start()
            if self._error and not taken:
                raise self._error
            return taken

    def want_none(self) -> None:
        """Nothing is wanted (any more): what has come is given back."""
        with self._changed:
            self._wanted = 0
            back, self._received = self._received, []
        if back:
            self._give_back(back)

    def _take(self, n: int) -> list[Received]:
        """Up to `n` messages that came and have not waited here for long: others are left to come again."""
        now = self._clock()
        fresh = [one for one in self._received if one.until - now > (one.until - one.at) * 3 / 4]
        taken, self._received = fresh[:n], fresh[n:]
        return taken

    def _start(self) -> None:
        self._polls = True
        threading.Thread(target=self._poll, name=f"poll {self._queue}", daemon=True).start()

    def _poll(self) -> None:
        while True:
            with self._changed:
                n, lease = self._wanted, self._lease
                if n <= 0:
                    self._polls = False
                    self._changed.notify_all()
                    return
            try:
                received = self._receive(self._queue, n, lease)
            except FactoryError as error:
                self._end(error)
                return
            self._hand_over(list(received))

    def _hand_over(self, received: list[Received]) -> None:
        with self._changed:
            back: list[Received] = []
            if self._wanted <= 0:
                back, received = received, []
            self._received += received
            self._wanted -= len(received)
            self._error = None
            self._changed.notify_all()
        if received:
            self._notify()
        if back:
            try:
                self._give_back(back)
            except FactoryError as error:  # they come again when their time is up
                self._end(error)

    def _end(self, error: FactoryError) -> None:
        with self._changed:
            self._polls, self._error = False, error
            self._changed.notify_all()
        self._notify()


class Subscribers:
    """Who is to be woken, by queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[PollSubscription] = set()

    def add(self, queues: Iterable[str], notify: Callable[[], None]) -> PollSubscription:
        """Another one, on the running loop."""
        subscription = PollSubscription(self, frozenset(queues), notify, asyncio.get_running_loop())
        with self._lock:
            self._all.add(subscription)
        return subscription

    def remove(self, subscription: PollSubscription) -> None:
        """One wants no wake-ups any more."""
        with self._lock:
            self._all.discard(subscription)

    def have(self, queue: str) -> bool:
        """Whether somebody is to be woken for `queue`."""
        with self._lock:
            return any(queue in one.queues for one in self._all)

    def wake(self, queue: str) -> None:
        """Wake who is to be woken for `queue`, from whatever thread."""
        with self._lock:
            woken = [one for one in self._all if queue in one.queues]
        for one in woken:
            one.wake()


class PollSubscription:
    """Wake-ups for `queues` until it is closed."""

    def __init__(
        self,
        subscribers: Subscribers,
        queues: frozenset[str],
        notify: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.queues = queues
        self._subscribers, self._notify, self._loop = subscribers, notify, loop

    def wake(self) -> None:
        """Have the loop call what is to be called."""
        try:
            self._loop.call_soon_threadsafe(self._call)
        except RuntimeError:  # the loop is closed
            self.close()

    def close(self) -> None:
        """No more wake-ups; closing twice is allowed."""
        self._subscribers.remove(self)

    def _call(self) -> None:
        with self._subscribers._lock:
            is_open = self in self._subscribers._all
        if is_open:
            self._notify()
