"""Resuming a stage: its gate is opened, and its runner started first when it does not run."""

from __future__ import annotations

from collections.abc import Mapping

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle.local.control import LONGEST_END, await_end, await_ready, await_request, changing, said
from factory_cdk.lifecycle.local.preconditions import refuse_unfinished, spec_of_built
from factory_cdk.lifecycle.progress import Say
from factory_cdk.lifecycle.results import Resumed
from factory_cdk.runner.launch import Launch
from factory_cdk.state.requests import ask
from factory_cdk.state.secrets import resolve_secrets
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import runner_pid


def resume(factory: Factory, say: Say, environ: Mapping[str, str]) -> Resumed:
    """Open the gate, bots with `stop: true` included; start the runner first when it does not run.

    A runner that is started gets the values of its secrets anew, from `environ` as the plan says. FactoryError,
    which names the secrets that have no value.
    """
    folder, spec = factory.folder, spec_of_built(factory)
    refuse_unfinished(factory)
    with changing(folder):
        if folder.starting.exists():
            await_end(folder, LONGEST_END)
        if _reopened(folder):
            return Resumed(folder.name, started=False)
        values = resolve_secrets(spec.secrets, environ)
        say(f"starting the runner of {folder.name}")
        ask(folder, gate="open", keep_stopped=False)
        launch = Launch(folder, spec, values, detach=True)
        trouble = await_ready(launch, folder)
        launch.keep()
        if trouble:
            raise FactoryError(said(trouble), "the other bots run; correct this one, then resume again")
    return Resumed(folder.name, started=True)


def _reopened(folder: StageFolder) -> bool:
    """Open the gate of a runner that runs; False when none does, or not any more."""
    if runner_pid(folder) is None:
        return False
    try:
        await_request(folder, ask(folder, gate="open", keep_stopped=False), "open")
    except FactoryError:
        if runner_pid(folder) is not None:
            raise
        return False
    return True
