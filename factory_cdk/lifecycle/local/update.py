"""Updating a stage that is at work: it changes to other code, or other arguments, of its bots without a pause.

What is needed is installed beside what runs; then the runner is asked to change to the spec that goes with it
(runner/rolling_update.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.jobs.submit import RUNNER_GONE, TIMED_OUT
from factory_cdk.lifecycle.local.control import LONGEST_END, changing
from factory_cdk.lifecycle.local.installation import (
    Installation,
    install,
    installations_of,
    make_working_folders,
    spec_of,
)
from factory_cdk.lifecycle.local.preconditions import need_runner, spec_of_built
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.requests import ask_for_spec
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.spec_changes import changed_pools, unsupported_change
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stages import Factory, find
from factory_cdk.state.status import UpdateStatus, read_status, runner_pid

LOOK_EVERY = 0.02
"""Seconds between two looks whether an update is decided."""


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """What the runner of a stage was asked to change to: the request's id, and the pool specs whose workers are
    replaced.
    """

    folder: StageFolder
    request: str
    pool_specs: tuple[PoolSpec, ...]

    @property
    def bots(self) -> tuple[str, ...]:
        """The bots whose workers are replaced."""
        return tuple(dict.fromkeys(pool_spec.bot for pool_spec in self.pool_specs))


def request_update(
    design: StageDesign, options: BuildOptions, say: Say, stop: threading.Event, *, pending: bool = False
) -> UpdateRequest | None:
    """Install what `design` needs and ask the runner of the stage for it; None when it is what runs and no other update
    is `pending`. `decision` tells what becomes of it.

    FactoryError, and nothing asked, when something cannot be installed or is more than an update can change; `Stopped`
    (pack/command.py) when told to `stop`.
    """
    factory = find(options.home, design.factory, design.stage)
    installations = installations_of(design, options.home)
    present, wanted = _specs(factory, design, installations, options)
    need_runner(factory)
    if wanted == present and not pending:
        return None
    if reason := unsupported_change(present, wanted):
        raise FactoryError(
            f"an update cannot change this: {reason}",
            f"factory-cdk demolish {factory.folder.options}, then build it again",
        )
    changed = tuple(changed_pools(present, wanted))
    places = {pool_spec.place for pool_spec in changed}
    install([one for one in installations if one.place in places], options.home, say, stop)
    with changing(factory.folder):
        make_working_folders(changed)
        request = ask_for_spec(factory.folder, wanted)
    return UpdateRequest(factory.folder, request, changed)


def differs(design: StageDesign, options: BuildOptions) -> bool:
    """Whether the stage that is built runs anything but `design`. FactoryError."""
    factory = find(options.home, design.factory, design.stage)
    present, wanted = _specs(factory, design, installations_of(design, options.home), options)
    return wanted != present


def _specs(
    factory: Factory, design: StageDesign, installations: Sequence[Installation], options: BuildOptions
) -> tuple[RunnerSpec, RunnerSpec]:
    """What the runner of a stage runs, and what it would for `design`."""
    present, planned = spec_of_built(factory), spec_of(design, installations, options)
    return present, replace(present, pool_specs=planned.pool_specs, end_order=planned.end_order)


def decision(request: UpdateRequest) -> UpdateStatus | None:
    """What became of what was asked for; None as long as that is not decided."""
    update = _update(request)
    return update if update and update.request == request.request and update.outcome != "starting" else None


def await_update(request: UpdateRequest, timeout: float | None = None) -> UpdateStatus:
    """What became of what was asked for, once that is decided. FactoryError: with exit code 3 after `timeout` seconds,
    4 when the runner has ended, else when another update took the place of this one.
    """
    folder = request.folder
    deadline = None if timeout is None else time.monotonic() + timeout
    known = time.monotonic()
    while (found := decision(request)) is None:
        now = time.monotonic()
        if runner_pid(folder) is None:
            raise FactoryError(
                f"the runner of {folder.name} has ended before it was updated",
                f"factory-cdk resume {folder.options}, then update again",
                exit_code=RUNNER_GONE,
            )
        if deadline is not None and now >= deadline:
            raise FactoryError(
                f"{folder.name} is not updated after {timeout:g} s: {', '.join(request.bots)} not loaded yet",
                f"it goes on: see factory-cdk logs {folder.options}",
                exit_code=TIMED_OUT,
            )
        if _is_known(request):
            known = now
        elif now - known > LONGEST_END:  # between taking a request and telling of it a runner knows it alone
            raise FactoryError(f"another command updates {folder.name}, too", "wait until it has finished, then again")
        time.sleep(LOOK_EVERY)
    return found


def _is_known(request: UpdateRequest) -> bool:
    """Whether the runner has yet to take the request, or is carrying it out."""
    update = _update(request)
    return request.folder.next_spec.exists() or (update is not None and update.request == request.request)


def _update(request: UpdateRequest) -> UpdateStatus | None:
    status = read_status(request.folder)
    return status.update if status else None
