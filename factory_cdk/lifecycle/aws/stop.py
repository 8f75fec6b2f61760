"""Stopping a stage on AWS: its gate is closed in every region, and its local sectors are stopped meanwhile.

One gate is for all instances, so all sectors stop at once; within each, bot after bot, as on this machine. Nothing is
lost by the difference: what a bot passes on waits in the queue of the next one.
"""

from __future__ import annotations

import time

from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import TIMED_OUT
from factory_cdk.lifecycle.aws.answers import Answers
from factory_cdk.lifecycle.aws.gate import gate_of
from factory_cdk.lifecycle.aws.preconditions import need_instances
from factory_cdk.lifecycle.local import stop as local
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Stopped
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import runner_pid


def stop(factory: Factory, say: Say, *, timeout: float | None = None, cold: bool = False) -> Stopped:
    """Close the gate of a stage with instances; returns when no runner that answers has a job in hand. `cold`: jobs in
    hand go back, and the workers end.

    FactoryError with exit code 3 when that takes longer than `timeout` seconds; the stage goes on stopping.
    """
    instances = need_instances(factory)
    folder, gate, began = factory.folder, gate_of(factory, writes=True), time.monotonic()
    request = gate.write("stop", **({"end": "cold"} if cold else {}))
    resume = f"factory-cdk resume {folder.options}"
    try:
        say(f"the gate is closed in {', '.join(gate.regions)}; instances read it within 20 s")
        if factory.local and factory.pid is not None:
            local.stop(factory, say, timeout=timeout, cold=cold)
        elif factory.local:
            say(f"the runner on this machine does not run ({factory.state})")
        if instances.table is None:
            say(f"{folder.name} has no table (history: false), so whether jobs are in hand is not known")
            return Stopped(folder.name, runner_pid(folder), on_instances=True)
        Answers(factory, request, "closed", say, timeout, began).wait()
    except FactoryError as error:
        if error.exit_code == TIMED_OUT:
            error.remedy = f"stop again to wait longer, stop --cold to put them back, or {resume}"
        raise
    except KeyboardInterrupt:
        say(f"{folder.name} goes on stopping: jobs in hand are finished, none is begun; {resume} starts it again")
        raise
    return Stopped(folder.name, runner_pid(folder), on_instances=True)
