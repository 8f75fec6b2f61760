"""Ending the runner of a stage: in order, at once, or by force.

On a full disk a request cannot be written down, so the runner is ended by signals (SIGTERM: warm; two: cold).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import DiskFullError
from factory_cdk.lifecycle.local.control import LONGEST_END, await_end
from factory_cdk.state.requests import ask
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.status import runner_pid


def end_warm(folder: StageFolder) -> None:
    """End a runner that has nothing in hand. FactoryError when it does not end."""
    if runner_pid(folder) is None:
        return
    try:
        ask(folder, gate="closed", end="warm")
    except DiskFullError:
        signal_end(folder, cold=False)
    if not await_end(folder, LONGEST_END):
        end_cold(folder)


def end_cold(folder: StageFolder, patience: float = LONGEST_END) -> None:
    """End the runner at once: jobs in hand go back. One that does not answer within `patience` seconds is killed.
    FactoryError when it lives on.
    """
    try:
        ask(folder, gate="closed", end="cold")
    except DiskFullError:
        signal_end(folder, cold=True)
    if not await_end(folder, patience):
        _kill(folder)


def end_by_signals(folder: StageFolder) -> None:
    """End a runner, of whatever version, cold: signals are the one thing that every version understands. FactoryError
    when it lives on.
    """
    signal_end(folder, cold=True)
    if not await_end(folder, LONGEST_END):
        _kill(folder)


def _kill(folder: StageFolder) -> None:
    """Kill the runner. FactoryError when it lives on."""
    _send(folder, signal.SIGKILL)  # its guardian ends the workers
    if not await_end(folder, LONGEST_END):
        raise FactoryError(
            f"the runner of {folder.name} does not end (process {runner_pid(folder)})", "kill it, then try again"
        )


def force_end(folder: StageFolder, patience: float = LONGEST_END) -> None:
    """End the runner, which was left to end by itself, cold after `patience` seconds. FactoryError when it lives on."""
    if not await_end(folder, patience):
        end_cold(folder, patience)


def signal_end(folder: StageFolder, *, cold: bool) -> None:
    """End the runner by signals. Any second one makes it cold; two of one kind could be delivered as one."""
    _send(folder, signal.SIGTERM)
    if cold:
        _send(folder, signal.SIGINT)


def _send(folder: StageFolder, number: signal.Signals) -> None:
    pid = runner_pid(folder)  # the lock's holder, so it is no other process
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
