"""A worker at work: it runs jobs one after the other and heeds what its runner, or its own bot, wants of it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque

from . import lifeline
from .depth import DEEPEST, check_depth
from .errors import BotError, describe
from .frames import HEADER, LONGEST_STATUS, encode
from .job import Job
from .life import tolerantly
from .size import TooLargeError, check_size

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .frames import Channel, Message
    from .life import Life
    from .marking import MarkedStream
    from .permits import Permits

FIRST_WAIT, SECOND_WAIT, LONGEST_WAIT = 0.1, 1.0, 60.0
"""Seconds without a job before `onwait` is called, and before it is called again; doubling from the second on."""


class Worker:
    """The worker `bot` at its runner's `channel`: `begin` first, then `work`. `streams` tell whose output is whose.

    `held`: it takes no jobs until resumed; `leaving`: it asked its runner to be told to stop. Both give back what
    they were handed and did not begin.
    """

    def __init__(self, channel: Channel, bot: str, streams: Sequence[MarkedStream], permits: Permits) -> None:
        self._channel = channel
        self._permits = permits
        self._streams = streams
        self._pid = os.getpid()
        self._sending = threading.Lock()  # a bot's threads may publish
        self._life: Life
        self._idle = self._last = Job(bot=bot, attempt=0, worker=self)
        self._jobs: deque[list[Any]] = deque()
        self._held = False
        self._leaving = False

    def begin(self, life: Life) -> None:
        """Call what comes before the first job. Raises what that raises."""
        self._life = life
        if life.initialise is not None:
            life.initialise()
        if life.begin is not None:
            life.begin(self._idle)

    def work(self) -> None:
        """Run jobs as they come until the runner says stop; does not return when the runner is gone."""
        while True:
            if self._jobs and (self._held or self._leaving):
                self._give_back()
            if self._jobs and not self._channel.waiting():
                job = self._jobs.popleft()
                if self._permits.take():
                    self._run(job)
                else:
                    self._tell({"kind": "passed", "count": 1})
                continue
            message = self._receive()
            if message is None:
                lifeline.end_group()
                return
            if message["kind"] == "jobs":
                self._jobs.extend(message["jobs"])
            elif message["kind"] == "resume":
                self._held = False
            else:
                break
        self._give_back()
        if self._life.end is not None:
            tolerantly(self._life.end, self._last, "ontermination")

    # What a job asks for

    def publish(self, status: str) -> None:
        """Tell the runner what the worker is at, in one short line."""
        self._tell({"kind": "status", "status": " ".join(str(status).split())[:LONGEST_STATUS]})

    def hold(self) -> None:
        """Take no more jobs until resumed."""
        self._held = True
        self._tell({"kind": "held"})

    def resume(self) -> None:
        """Take jobs again."""
        self._held = False
        self._tell({"kind": "resumed"})

    def leave(self) -> None:
        """Ask to be told to stop: what the runner hands over until then is given back."""
        if not self._leaving:
            self._leaving = True
            self._tell({"kind": "leaving"})

    def _tell(self, message: Message) -> None:
        self._send(encode(message))

    def _send(self, frame: bytes) -> None:
        if os.getpid() != self._pid:  # a bot forked and let the child go on: only one may speak for the worker
            os._exit(0)
        with self._sending:
            self._channel.send_frame(frame)

    def _receive(self) -> Message | None:
        """The next message; `onwait` is called while there is none."""
        if self._life.wait is not None:
            pause = FIRST_WAIT
            while not self._channel.waiting(pause):
                tolerantly(self._life.wait, self._idle, "onwait")
                pause = SECOND_WAIT if pause < SECOND_WAIT else min(LONGEST_WAIT, 2 * pause)
        return self._channel.receive()

    def _give_back(self) -> None:
        ids = [job_id for job_id, *_ in self._jobs if self._permits.take()]
        passed = len(self._jobs) - len(ids)
        self._jobs.clear()
        if passed:
            self._tell({"kind": "passed", "count": passed})
        if ids:
            self._tell({"kind": "returned", "ids": ids})

    def _run(self, message: list[Any]) -> None:
        job_id, bot, payload, run, parent, attempt, tags = message
        context = dict(self._idle.context)
        self._last = job = Job(
            payload,
            id=job_id,
            bot=bot,
            attempt=attempt,
            tags=tags,
            parent=parent,
            run=run,
            context=context,
            worker=self,
        )
        for stream in self._streams:
            stream.job = job_id
        frame = self._frame(job, job_id, attempt)
        for stream in self._streams:
            stream.job = None
        for output in (*self._streams, sys.stdout):  # a bot may have put another in its place, closed it or set None
            if output is not None:
                with contextlib.suppress(BaseException):  # sys.exit() in a bot's own stream, too
                    output.flush()
        self._send(frame)

    def _frame(self, job: Job, job_id: str, attempt: int) -> bytes:
        """Run one job; the frame that says how it went. Nothing that a bot raises passes, nor what it did to `job`."""
        try:
            result = self._life.process(job)
            if job._quit:
                raise BotError("Terminated", "its bot ended the worker in the middle of it, and gave it up")
            if job.last_step_result is False:
                raise BotError("StepFailed", f"its step `{job._step}` said that it did not succeed")
            done: Message = {"kind": "done", "id": job_id, "result": result}
            if not job.do_workflow:
                done["onward"] = False
            try:
                frame = encode(done)
                check_size(len(frame) - HEADER.size)
                if len(frame) > DEEPEST:  # it takes a byte to go a level down
                    check_depth(result, frame[HEADER.size :].decode())
                return frame
            except TooLargeError as error:
                raise BotError("ResultTooLarge", f"what {job.bot} returned is not passed on: {error}") from None
            except (TypeError, ValueError, RecursionError) as error:
                raise BotError(
                    "ResultNotJson", f"what {job.bot} returned, a {type(result).__name__}, is not JSON: {error}"
                ) from None
        except BaseException as error:  # sys.exit() in a bot fails the attempt, not the worker
            if job._quit == "requeue":
                return encode({"kind": "returned", "ids": [job_id]})
            failed: Message = {"kind": "failed", "id": job_id, "error": describe(error, attempt)}
            if job._quit:
                failed["final"] = True
            return encode(failed)
