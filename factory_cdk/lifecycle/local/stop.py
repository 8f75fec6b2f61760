"""Stopping a stage: no job is begun any more, and those in hand are finished, or go back to their queues."""

from __future__ import annotations

import time

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import DiskFullError
from factory_cdk.jobs.submit import TIMED_OUT
from factory_cdk.lifecycle.local.ending import end_cold, signal_end
from factory_cdk.lifecycle.local.preconditions import need_runner
from factory_cdk.lifecycle.local.waiting import Waiting
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Stopped
from factory_cdk.state.requests import answering, ask
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import read_status, runner_pid


def stop(factory: Factory, say: Say, *, timeout: float | None = None, cold: bool = False) -> Stopped:
    """Close the gate of a stage whose runner runs, bot after bot along the workflow; returns when nothing is in hand
    any more. `cold`: put back what is in hand and end the runner, at once.

    FactoryError with exit code 3 when that takes longer than `timeout` seconds; the stage goes on stopping.
    """
    folder = factory.folder
    need_runner(factory)
    if cold:
        end_cold(folder)
        return Stopped(folder.name, runner_pid(folder))
    resume = f"factory-cdk resume {folder.options}"
    try:
        close_gate(folder, say, timeout)
    except FactoryError as error:
        if error.exit_code == TIMED_OUT:
            error.remedy = f"stop again to wait longer, stop --cold to put them back, or {resume}"
        raise
    except KeyboardInterrupt:
        say(f"{folder.name} goes on stopping: jobs in hand are finished, none is begun; {resume} starts it again")
        raise
    return Stopped(folder.name, runner_pid(folder))


def close_gate(folder: StageFolder, say: Say, timeout: float | None, *, demolishing: bool = False) -> None:
    """Wait until nothing is in hand, or the runner is gone. FactoryError when that takes longer than `timeout`, or when
    another command opens the gate meanwhile.
    """
    try:
        request = ask(folder, gate="closed")
    except DiskFullError as error:
        if demolishing:
            say(f"{error.message}: jobs in hand cannot be finished, and go back to their queues")
            signal_end(folder, cold=True)
        else:
            say(f"{error.message}: so the runner is stopped by a signal; it ends when the jobs in hand are done")
            signal_end(folder, cold=False)
        request = ""
    waiting = Waiting(folder, say, timeout)
    while runner_pid(folder) is not None:
        status = read_status(folder)
        if request and status and status.request == request and status.gate == "closed":
            return
        request = request and answering(folder, request, "closed")
        waiting.look(sum(worker.in_hand for worker in status.workers) if status else 0)
        time.sleep(0.02)
