"""Waiting for jobs in hand: what is waited for is said, and the waiting may take only so long."""

from __future__ import annotations

import time

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import TIMED_OUT
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.logs import stamp
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import open_queues
from factory_cdk.state.status import read_status

MOMENT = 2.0
"""Seconds after which it is said what is waited for, and between two looks whether that has changed."""

AGAIN = 30.0
"""Seconds after which it is said again though nothing has changed."""

NAMED = 3
"""So many of the jobs that are waited for are named."""


class Waiting:
    """Waits for the jobs in hand of a stage, for at most `timeout` seconds."""

    def __init__(self, folder: StageFolder, say: Say, timeout: float | None) -> None:
        self._folder, self._say, self._timeout = folder, say, timeout
        self._began = time.monotonic()
        self._due = self._began + MOMENT
        self._said_at = 0.0
        self._count = 0
        self._said = ""

    def look(self, in_hand: int) -> None:
        """Say what is waited for, if it is time to. FactoryError when the time is over."""
        now = time.monotonic()
        if in_hand and in_hand != self._count:
            self._count = in_hand
            self._say(f"finishing {in_hand} {'job' if in_hand == 1 else 'jobs'} in hand")
        if self._timeout is not None and now - self._began >= self._timeout:
            raise FactoryError(
                f"{self._folder.name} is still busy after {self._timeout:g} s: {self._what()}",
                "give it more time, or put the jobs back with --cold",
                exit_code=TIMED_OUT,
            )
        if now < self._due:
            return
        self._due = now + MOMENT
        what = self._what()
        if what != self._said or now - self._said_at >= AGAIN:
            self._said, self._said_at = what, now
            self._say(f"waiting for {what}")

    def _what(self) -> str:
        """The jobs in hand, by bot, id and the time when they were begun, and what troubles the runner."""
        status = read_status(self._folder)
        busy = [worker for worker in status.workers if worker.in_hand] if status else []
        bots = {worker.bot for worker in status.workers} if status else set()
        found = []
        try:
            with open_queues(self._folder) as queues:
                found = [record for record in queues.history.in_hand() if record.job.bot in bots or not bots]
        except FactoryError as error:
            trouble = error.message
        else:
            trouble = (status.trouble or "") if status else ""
        named = [
            f"bot {record.job.bot}, job {record.job.id}, begun {stamp(record.started or record.enqueued)}"
            for record in found
        ] or [f"bot {worker.bot} of {worker.sector} (process {worker.pid})" for worker in busy]
        more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
        return "; ".join([*named[:NAMED], *more, *([trouble] if trouble else [])]) or "its runner"
