"""The lifecycle of stages on this machine, as lifecycle/backend.py wants it of every place.

What installs is imported when it is used: it takes as long to import as everything else together.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from factory_cdk.lifecycle.local.control import await_request
from factory_cdk.lifecycle.local.demolish import demolish, left
from factory_cdk.lifecycle.local.preconditions import ended_spec, refuse_built
from factory_cdk.lifecycle.local.resume import resume
from factory_cdk.lifecycle.local.stop import stop
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.requests import ask
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.stages import Factory, list_factories, matches
from factory_cdk.state.status import UpdateStatus

if TYPE_CHECKING:
    from factory_cdk.design.model import StageDesign
    from factory_cdk.lifecycle.local.update import UpdateRequest
    from factory_cdk.lifecycle.options import BuildOptions
    from factory_cdk.runner.launch import Launch

__all__ = ["await_update", "build", "built", "demolish", "left", "refuse_build", "request_update", "resume", "stop"]


def refuse_build(factory: str, stage: str, options: BuildOptions) -> None:
    """FactoryError when the stage is built already, unless its runner has ended and is to be restarted."""
    folder = stage_folder(options.home, factory, stage)
    if not options.restart or ended_spec(folder) is None:
        refuse_built(folder)


def build(design: StageDesign, options: BuildOptions, say: Say) -> Launch | None:
    """See build.py."""
    from factory_cdk.lifecycle.local import build as building  # noqa: PLC0415

    return building.build(design, options, say)


def request_update(
    design: StageDesign, options: BuildOptions, say: Say, stop: threading.Event, *, pending: bool = False
) -> UpdateRequest | None:
    """See update.py."""
    from factory_cdk.lifecycle.local import update  # noqa: PLC0415

    return update.request_update(design, options, say, stop, pending=pending)


def await_update(request: UpdateRequest, timeout: float | None = None) -> UpdateStatus:
    """See update.py."""
    from factory_cdk.lifecycle.local import update  # noqa: PLC0415

    return update.await_update(request, timeout)


def differs(design: StageDesign, options: BuildOptions) -> bool:
    """See update.py."""
    from factory_cdk.lifecycle.local import update  # noqa: PLC0415

    return update.differs(design, options)


def open_gate(factory: Factory) -> None:
    """Let a stage take jobs that was built `held`; bots with `stop: true` wait. FactoryError."""
    await_request(factory.folder, ask(factory.folder, gate="open"), "open")


def built(home: Path, name: str | None = None) -> list[Factory]:
    """The stages that are built under `home`, of the factory `name` if given."""
    return list_factories(home) if name is None else matches(home, name)
