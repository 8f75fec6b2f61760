"""What every verb that changes a stage does: be the only one, wait for the runner, pass on what it says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import delete_folder, disk
from factory_cdk.runner.launch import Launch
from factory_cdk.state.locks import holding, lock_holder, take_lock
from factory_cdk.state.requests import answering
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.status import read_status, runner_pid

LONGEST_END = 30.0
"""Seconds to wait for a runner that was told to end."""


@contextmanager
def changing(folder: StageFolder) -> Iterator[None]:
    """Be the only one who builds, resumes or demolishes the stage. FactoryError when someone else does.

    Of a stage that is not there in the end nothing is left: no lock, and no folder of a factory without stages.
    """
    lock = take_lock(folder.change_lock, wait=0.1)
    if lock is None:
        holder = lock_holder(folder.change_lock)
        raise FactoryError(
            f"{folder.name} is being built, resumed or demolished by another command"
            + (f" (process {holder})" if holder else ""),
            "wait until it has finished",
        )
    with holding(lock):
        try:
            yield
        finally:
            if not folder.path.exists():
                folder.change_lock.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # other stages are in it
                    folder.path.parent.rmdir()


def remove(folder: StageFolder) -> None:
    """Delete the folder of a stage whose runner does not run. FactoryError, also when it does."""
    if (pid := runner_pid(folder)) is not None:
        raise FactoryError(
            f"the folder of {folder.name} is not removed: its runner lives (process {pid})",
            f"kill it, then factory-cdk demolish {folder.options}",
        )
    with disk(folder.path):
        delete_folder(folder.path)


def await_end(folder: StageFolder, seconds: float) -> bool:
    """Wait until no runner holds the stage; False when one still does after `seconds`."""
    deadline = time.monotonic() + seconds
    while runner_pid(folder) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def await_request(folder: StageFolder, request: str, gate: Literal["open", "closed"]) -> None:
    """Wait until the runner has carried `request` out and its gate is as asked. FactoryError when it does not answer,
    or when another command asks for the opposite meanwhile.
    """
    deadline = time.monotonic() + LONGEST_END
    while time.monotonic() < deadline and runner_pid(folder) is not None:
        status = read_status(folder)
        if status and status.request == request and status.gate == gate:
            return
        request = answering(folder, request, gate)
        time.sleep(0.005)
    raise FactoryError(f"the runner of {folder.name} does not answer", f"see {folder.logs / 'runner.log'}")


def await_ready(launch: Launch, folder: StageFolder) -> Mapping[str, Any] | None:
    """Wait until the runner says that all is ready; returns the trouble that it had instead, or None.

    FactoryError when the runner itself is gone.
    """
    for event in launch.events():
        if event["event"] == "ready":
            return None
        if event["event"] == "trouble":
            return event
    raise FactoryError(f"the runner of {folder.name} ended: {launch.last_words() or 'it printed no reason'}")


def said(trouble: Mapping[str, Any]) -> str:
    """A runner's trouble as a message: the bot, the reason, the end of its log."""
    reason = f"bot {trouble['bot']} of {trouble['sector']} {trouble['reason']}"
    return with_log(reason, trouble["log"]) if trouble["log"] else f"{reason}\nits log is empty"


def with_log(reason: str, log: str) -> str:
    """A reason, and the end of the log that goes with it, if anything was printed."""
    lines = "\n".join(f"  | {line}" for line in log.splitlines())
    return f"{reason}\nthe end of its log:\n{lines}" if lines else reason
