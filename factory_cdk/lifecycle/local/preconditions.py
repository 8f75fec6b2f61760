"""What a stage must be like before a verb begins, and what helps when it is not."""

from __future__ import annotations

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk
from factory_cdk.state.outdated import outdated
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import queues_trouble
from factory_cdk.state.stages import Factory, matches
from factory_cdk.state.status import runner_pid


def refuse_built(folder: StageFolder) -> None:
    """FactoryError when the stage is built already, whether its runner runs or not, by whatever version, or when that
    cannot be seen.
    """
    with disk(folder.path):
        if not folder.path.exists():
            return
        if matches(folder.path.parents[2], folder.factory, folder.stage)[0].state == "outdated":
            raise outdated(folder)
        if folder.unfinished.exists():
            return
    pid = runner_pid(folder)
    if pid is None:
        if trouble := queues_trouble(folder):
            raise FactoryError(f"{folder.name} is built already, and {trouble.message}", trouble.remedy)
        raise FactoryError(
            f"{folder.name} is built already, and its runner does not run",
            f"factory-cdk resume {folder.options}, or factory-cdk demolish {folder.options}",
        )
    raise FactoryError(
        f"{folder.name} is built already and runs (process {pid})",
        f"factory-cdk demolish {folder.options}, then build it again",
    )


def ended_spec(folder: StageFolder) -> RunnerSpec | None:
    """The spec of a stage that is built and whose runner has ended or was killed; None of any other."""
    found = matches(folder.path.parents[2], folder.factory, folder.stage)
    return found[0].spec if found and found[0].state in ("ended", "killed") else None


def spec_of_built(factory: Factory) -> RunnerSpec:
    """The spec of a stage that is built here. FactoryError when it has none that can be read."""
    folder = factory.folder
    if factory.state == "damaged":
        raise FactoryError(
            f"{folder.name} is damaged: {folder.spec} cannot be read",
            f"factory-cdk demolish {folder.options}, then build it again",
        )
    if factory.spec is None:
        raise _unfinished(factory)
    return factory.spec


def refuse_unfinished(factory: Factory) -> None:
    """FactoryError when the build of the stage has not come to its end."""
    if factory.folder.unfinished.exists():
        raise _unfinished(factory)


def _unfinished(factory: Factory) -> FactoryError:
    folder = factory.folder
    if factory.state == "building":
        return FactoryError(f"{folder.name} is being built by another command", "wait until it has finished")
    return FactoryError(
        f"the build of {folder.name} did not finish", f"build it again, or factory-cdk demolish {folder.options}"
    )


def need_runner(factory: Factory) -> None:
    """FactoryError when the runner of the stage does not run."""
    if factory.pid is None:
        if trouble := queues_trouble(factory.folder):
            raise trouble
        raise FactoryError(
            f"the runner of {factory.folder.name} does not run ({factory.state})",
            f"factory-cdk resume {factory.folder.options}",
        )
