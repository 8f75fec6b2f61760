"""Permits: which of the jobs that a worker was handed it may still begin, when its runner may have taken them back.

A worker whose jobs are quick is handed some ahead, and one of them may turn out to take hours. For each job that it
hands over the runner first puts one byte into a pipe that both sides can read: the job's number. The worker takes the
byte when it begins the job; a runner that takes it first has the job back. The kernel gives every byte to one of them
alone, whatever the bot is at, even when it holds the interpreter's lock.

A worker says how many jobs it passed over. When these are more than its runner has taken back, something else has read
from the pipe, such as a bot that reads from every descriptor it finds: the runner then ends the worker, and the jobs
that it was handed go back.
"""

from __future__ import annotations

import os

NUMBERS = 256
"""Jobs are numbered in the order in which they are handed over, modulo this: it is more than a worker can have in hand
and have yet to pass over, which is twice what its runner hands it ahead (runner/slot.py) and its batch.
"""


class Permits:
    """The worker's end of the pipe `descriptor`; None: there is none, and every job may be begun."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._number = 0
        self._taken = -1

    def take(self) -> bool:
        """Whether the next job, in the order in which they were handed over, may be begun; False: it was taken back."""
        if self._descriptor is None:
            return True
        number = self._number
        self._number = (number + 1) % NUMBERS
        if self._taken < 0:
            try:
                byte = os.read(self._descriptor, 1)
            except BlockingIOError:
                return False
            if not byte:  # the runner is gone
                return False
            self._taken = byte[0]
        if self._taken != number:  # the permit of a later job
            return False
        self._taken = -1
        return True
