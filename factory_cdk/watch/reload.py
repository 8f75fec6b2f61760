"""Reloading: a stage that is at work changes to other code, or other arguments, of its bots without a pause.

What is needed is installed beside what runs; then the runner is asked to change to the spec that goes with it
(runner/rolling_update.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.local.build import BuildOptions, install, installations_of, refuse_what_cannot_run, spec_of
from factory_cdk.lifecycle.local.control import Say, changing
from factory_cdk.state.requests import ask_for_spec
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.spec_changes import changed_pools, unsupported_change
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stages import find
from factory_cdk.state.status import UpdateStatus, read_status


@dataclass(frozen=True, slots=True)
class Asked:
    """What a runner was asked to change to: the request's name, and the pool specs whose workers are replaced."""

    request: str
    pool_specs: tuple[PoolSpec, ...]

    @property
    def bots(self) -> tuple[str, ...]:
        """The bots whose workers are replaced."""
        return tuple(dict.fromkeys(pool_spec.bot for pool_spec in self.pool_specs))


def reload(
    design: StageDesign, options: BuildOptions, say: Say, stop: threading.Event, *, pending: bool = False
) -> Asked | None:
    """Install what `design` needs and ask the runner of the stage for it; None when it is what runs and no other change
    is `pending`. `decision` tells what becomes of it.

    FactoryError, and nothing asked, when something cannot be installed or is more than a reload can change; `Stopped`
    when told to `stop`.
    """
    refuse_what_cannot_run(design.stage, design.sectors)
    found = find(options.home, design.factory, design.stage)
    present = found.spec
    if present is None:
        raise FactoryError(
            f"{found.folder.name} has no runner spec that can be read", "demolish it, and build it again"
        )
    installations = installations_of(design, options.home)
    planned = spec_of(design, installations, options)
    wanted = replace(present, pool_specs=planned.pool_specs, end_order=planned.end_order)
    if wanted == present and not pending:
        return None
    if reason := unsupported_change(present, wanted):
        stage = f"--name {design.factory} --stage {design.stage}"
        raise FactoryError(f"a reload cannot change this: {reason}", f"factory-cdk demolish {stage}, then build again")
    changed = list(changed_pools(present, wanted))
    places = {pool_spec.place for pool_spec in changed}
    install([one for one in installations if one.place in places], options.home, say, stop)
    with changing(found.folder):
        request = ask_for_spec(found.folder, wanted)
    return Asked(request, tuple(changed))


def decision(folder: StageFolder, asked: Asked) -> UpdateStatus | None:
    """What became of what was asked for; None as long as that is not decided."""
    status = read_status(folder)
    update = status.update if status else None
    return update if update and update.request == asked.request and update.outcome != "starting" else None
