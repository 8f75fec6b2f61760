"""Taking a stage down: its jobs are finished, or put back, and what is left is deleted only when that is agreed to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import DiskFullError
from factory_cdk.lifecycle.local.control import LONGEST_END, changing, remove
from factory_cdk.lifecycle.local.drain import drain as drain_queues
from factory_cdk.lifecycle.local.ending import end_by_signals, end_cold, end_warm
from factory_cdk.lifecycle.local.stop import close_gate
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Demolished, Left
from factory_cdk.state.locks import holding, take_folder
from factory_cdk.state.outdated import outdated
from factory_cdk.state.requests import ask
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import has_queues, has_stored_queues, open_queues
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import runner_pid


def left(factory: Factory) -> Left:
    """What is in the queues of `factory`, and would be deleted with it: nothing when it shares them with others."""
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


def demolish(
    factory: Factory,
    say: Say,
    agree: Callable[[Left], bool],
    *,
    drain: bool = False,
    timeout: float | None = None,
    cold: bool = False,
) -> Demolished:
    """Finish what is in hand, bot after bot along the workflow, end the runner and delete the stage. `drain`: let the
    bots work until their queues are empty first. `cold`: put back what is in hand.

    When anything is left in the queues, `agree` is asked whether it may be deleted; if it may not, the stage goes on as
    before. Nobody can submit between the count and the end. FactoryError, with exit code 3 when jobs are still there
    after `timeout` seconds: the stage goes on then, as it does when this is interrupted. FactoryError, unless it is
    `cold`, for a stage that another version of factory-cdk has built.
    """
    folder = factory.folder
    if factory.state == "outdated":
        if not cold:
            raise outdated(folder)
        return _demolish_outdated(factory, agree)
    began = time.monotonic()
    if drain:
        drain_queues(factory, say, timeout)
    rest = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
    with changing(folder), _reopened_unless_gone(factory, say):
        if runner_pid(folder) is not None:
            if cold:
                end_cold(folder)
            else:
                close_gate(folder, say, rest, demolishing=True)
        with nobody_submitting(folder):
            remaining = left(factory)
            goes = not remaining or agree(remaining)
            if goes:
                end_warm(folder)
                remove(folder)
    return Demolished(folder.name, goes, remaining)


def _demolish_outdated(factory: Factory, agree: Callable[[Left], bool]) -> Demolished:
    """Delete a stage whose jobs only the version that built it could read."""
    folder = factory.folder
    with changing(folder), nobody_submitting(folder):
        remaining = left(factory)
        goes = agree(remaining)
        if goes:
            end_by_signals(folder)
            remove(folder)
    return Demolished(folder.name, goes, remaining)


@contextmanager
def _reopened_unless_gone(factory: Factory, say: Say) -> Iterator[None]:
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
    if goes_on:
        return "it goes on"
    if has_stored_queues(folder):
        return f"its jobs are kept: factory-cdk resume {folder.options}"
    return f"a part of it is removed already: factory-cdk demolish {folder.options}"


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
