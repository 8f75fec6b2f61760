"""Stopping a stage and taking it down: jobs in hand are finished, or go back, and nobody waits without being told why.

On a full disk a request cannot be written down, so the runner is told by signals (SIGTERM: warm; two: cold).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import DiskFullError
from factory_cdk.jobs.submit import TIMED_OUT
from factory_cdk.lifecycle.local.control import LONGEST_END, Say, await_end, changing, remove
from factory_cdk.state.locks import holding, take_folder
from factory_cdk.state.logs import stamp
from factory_cdk.state.outdated import outdated
from factory_cdk.state.requests import answering, ask
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import has_queues, open_queues
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import read_status, runner_pid

MOMENT = 2.0
"""Seconds after which one who waits is told for what, and between two looks whether that has changed."""

AGAIN = 30.0
"""Seconds after which it is said again though nothing has changed."""

NAMED = 3
"""So many of the jobs that are waited for are named."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is in the queues of a stage: jobs to be done, and dead letters; or why they cannot be read."""

    jobs: int
    dead: int
    unread: str | None = None

    def __bool__(self) -> bool:
        return bool(self.jobs or self.dead or self.unread)

    def __str__(self) -> str:
        if self.unread:
            return f"jobs that cannot be counted ({self.unread})"
        jobs = f"{self.jobs} {'job' if self.jobs == 1 else 'jobs'}"
        return f"{jobs} and {self.dead} dead {'letter' if self.dead == 1 else 'letters'}"


def left(factory: Factory) -> Left:
    """What is in the queues of `factory`, and would be gone with it: nothing when it shares them, they outlive it."""
    if factory.folder.shares_queues or not has_queues(factory.folder):
        return Left(0, 0)
    if factory.state == "outdated":
        return Left(0, 0, "another version of factory-cdk has stored them")
    try:
        with open_queues(factory.folder) as queues:
            depths = queues.history.depths().values()
    except FactoryError as error:
        return Left(0, 0, error.message)
    return Left(
        sum(depth.ready + depth.delayed + depth.leased for depth in depths), sum(depth.dead for depth in depths)
    )


def stop(factory: Factory, say: Say, *, timeout: float | None = None, cold: bool = False) -> None:
    """Close the gate, bot after bot along the workflow; returns when nothing is in hand any more. `cold`: put back
    what is in hand and end the runner, at once.

    FactoryError with exit code 3 when that takes longer than `timeout` seconds; the stage goes on stopping.
    """
    folder = factory.folder
    if cold:
        _end_cold(folder)
        return
    resume = f"factory-cdk resume --name {folder.factory} --stage {folder.stage}"
    try:
        _close_gate(folder, say, timeout)
    except FactoryError as error:
        if error.exit_code == TIMED_OUT:
            error.remedy = f"stop again to wait on, stop --cold to put them back, or {resume}"
        raise
    except KeyboardInterrupt:
        say(f"{folder.name} goes on stopping: what is in hand is finished, nothing is begun; {resume} lets it go on")
        raise


def demolish(
    factory: Factory,
    say: Say,
    discard: Callable[[Left], bool],
    *,
    timeout: float | None = None,
    cold: bool = False,
) -> bool:
    """Finish what is in hand, bot after bot along the workflow, end the runner and delete the stage. `cold`: put back
    what is in hand.

    When anything is left in the queues, `discard` is asked; if it says no, the stage goes on as before and the
    answer is False. Nobody can submit between the count and the end. FactoryError, with exit code 3 when jobs are
    still in hand after `timeout` seconds: the stage goes on then, as it does when it is interrupted. FactoryError,
    unless it is `cold`, for a stage that another version of factory-cdk has built.
    """
    folder = factory.folder
    if factory.state == "outdated":
        if not cold:
            raise outdated(folder)
        return _demolish_outdated(factory, discard)
    with changing(folder), _going_on_unless_gone(factory, say):
        if runner_pid(folder) is not None:
            if cold:
                _end_cold(folder)
            else:
                _close_gate(folder, say, timeout, demolishing=True)
        with nobody_submitting(folder):
            remaining = left(factory)
            goes = not remaining or discard(remaining)
            if goes:
                _end_runner(folder)
                remove(folder)
    return goes


def _demolish_outdated(factory: Factory, discard: Callable[[Left], bool]) -> bool:
    """End the runner of another version by signals, the one thing that every version understands, and delete the stage,
    whose jobs only that version could read.
    """
    folder = factory.folder
    with changing(folder), nobody_submitting(folder):
        goes = discard(left(factory))
        if goes:
            if runner_pid(folder) is not None:
                _signal_end(folder, cold=True)
            if not await_end(folder, LONGEST_END):
                _kill(folder)
            remove(folder)
    return goes


@contextmanager
def _going_on_unless_gone(factory: Factory, say: Say) -> Iterator[None]:
    """Open the gate again, if it was open, of a stage that is not demolished; say how one is left that should be."""
    folder = factory.folder
    was_open = factory.status is not None and factory.status.gate == "open"
    try:
        yield
    except BaseException:
        say(f"{folder.name} is not demolished; {_left_as(folder, goes_on=_reopen(folder, was_open=was_open))}")
        raise
    _reopen(folder, was_open=was_open)


def _reopen(folder: StageFolder, *, was_open: bool) -> bool:
    """Open the gate of a runner that lives; whether it could be done."""
    if not was_open or runner_pid(folder) is None:
        return False
    try:
        ask(folder, gate="open")
    except DiskFullError:  # it was told to end by a signal
        return False
    return True


def _left_as(folder: StageFolder, *, goes_on: bool) -> str:
    command = f"--name {folder.factory} --stage {folder.stage}"
    if goes_on:
        return "it goes on"
    if folder.database.exists():
        return f"its jobs are kept: factory-cdk resume {command} lets it go on"
    return f"it is removed in part: factory-cdk demolish {command}"


@contextmanager
def nobody_submitting(folder: StageFolder) -> Iterator[None]:
    """Wait for those who submit, and keep all others from it, so that no job is acknowledged and then deleted."""
    try:
        lock = take_folder(folder.path, shared=False, wait=LONGEST_END)
    except FileNotFoundError:
        raise FactoryError(f"{folder.name} is not built here any more", "see `factory-cdk list`") from None
    if lock is None:
        raise FactoryError(
            f"jobs are being submitted to {folder.name} all the time", "end what submits them, then try again"
        )
    with holding(lock):
        yield


def _close_gate(folder: StageFolder, say: Say, timeout: float | None, *, demolishing: bool = False) -> None:
    """Wait until nothing is in hand, or the runner is gone. FactoryError when that takes longer than `timeout`, or when
    another command opens the gate meanwhile.
    """
    try:
        request = ask(folder, gate="closed")
    except DiskFullError as error:
        if demolishing:
            say(f"{error.message}: what is in hand cannot be finished, and goes back")
            _signal_end(folder, cold=True)
        else:
            say(f"{error.message}: the runner is told by a signal; it ends when the jobs in hand are done")
            _signal_end(folder, cold=False)
        request = ""
    waiting = _Waiting(folder, say, timeout)
    while runner_pid(folder) is not None:
        status = read_status(folder)
        if request and status and status.request == request and status.gate == "closed":
            return
        request = request and answering(folder, request, "closed")
        waiting.look(sum(worker.in_hand for worker in status.workers) if status else 0)
        time.sleep(0.02)


class _Waiting:
    """One who waits for the jobs in hand, for at most `timeout` seconds."""

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


def _end_runner(folder: StageFolder) -> None:
    """End a runner that has nothing in hand. FactoryError when it does not end."""
    if runner_pid(folder) is None:
        return
    try:
        ask(folder, gate="closed", end="warm")
    except DiskFullError:
        _signal_end(folder, cold=False)
    if not await_end(folder, LONGEST_END):
        _end_cold(folder)


def _end_cold(folder: StageFolder) -> None:
    """End the runner at once: jobs in hand go back. One that does not hear is killed. FactoryError when it lives on."""
    try:
        ask(folder, gate="closed", end="cold")
    except DiskFullError:
        _signal_end(folder, cold=True)
    if not await_end(folder, LONGEST_END):
        _kill(folder)


def _kill(folder: StageFolder) -> None:
    """Kill the runner. FactoryError when it lives on."""
    _send(folder, signal.SIGKILL)  # its guardian ends the workers
    if not await_end(folder, LONGEST_END):
        raise FactoryError(
            f"the runner of {folder.name} does not end (process {runner_pid(folder)})", "kill it, try again"
        )


def _signal_end(folder: StageFolder, *, cold: bool) -> None:
    """End the runner by signals. Any second one makes it cold; two of one kind could melt into one."""
    _send(folder, signal.SIGTERM)
    if cold:
        _send(folder, signal.SIGINT)


def _send(folder: StageFolder, number: signal.Signals) -> None:
    pid = runner_pid(folder)  # the lock's holder, so it is no other process
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
