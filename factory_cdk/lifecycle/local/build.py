"""Building a local stage: everything is ready and its gate open, or nothing is left of it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from factory_cdk.bundle import told_as_missed, told_as_not_installed
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import sector_release
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.install.bundles import archive_of
from factory_cdk.install.pool_specs import remote_pool_specs
from factory_cdk.lifecycle.local.control import (
    LONGEST_END,
    await_end,
    await_ready,
    await_request,
    changing,
    remove,
    said,
)
from factory_cdk.lifecycle.local.ending import force_end
from factory_cdk.lifecycle.local.installation import install, installations_of, make_working_folders, spec_of
from factory_cdk.lifecycle.local.preconditions import ended_spec, refuse_built
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.plan.model import SectorType
from factory_cdk.queues.opening import SqsLocation, open_queues
from factory_cdk.runner.launch import Launch
from factory_cdk.state.files import write_json
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json
from factory_cdk.state.secrets import Values, resolve_secrets
from factory_cdk.state.spec_changes import unsupported_change
from factory_cdk.state.stage_folder import StageFolder, stage_folder
from factory_cdk.state.stage_instances import RemoteSector, StageInstances, keep_instances
from factory_cdk.state.stage_queues import keep_on_aws, queues_location, queues_trouble
from factory_cdk.state.status import runner_pid


def build(design: StageDesign, options: BuildOptions, say: Say) -> Launch | None:
    """Install, start and open the stage of `design`, whose bots are packed; returns when every bot is loaded and takes
    jobs: the runner, which is this process's child, when `options` ask for the foreground.

    FactoryError, with the reason and the end of the bot's log, when a bot cannot be installed or loaded; then
    nothing is left, unless the plan says `demolish_on_failure: false`; a stage that was to be restarted is as before.
    """
    installations = installations_of(design, options.home)
    references = {one.place: one.bot.secrets for one in installations if one.bot.secrets}
    secrets = resolve_secrets(references, options.environ)
    folder = stage_folder(options.home, design.factory, design.stage)
    with changing(folder):
        before = ended_spec(folder) if options.restart else None
        if before is None:
            _remove_unfinished(folder, say)
        install(installations, options.home, say)
        spec = spec_of(design, installations, options)
        if before is not None:
            return _start_again(folder, before, spec, secrets, design, say, foreground=options.foreground)
        try:
            _write(folder, spec, design, options)
            return _start(folder, spec, secrets, design, say, foreground=options.foreground, held=options.held)
        except BaseException:
            if folder.unfinished.exists():
                remove(folder)
            raise


def _remove_unfinished(folder: StageFolder, say: Say) -> None:
    """Remove what a killed build left; FactoryError when the stage is built already, or a runner is still there."""
    refuse_built(folder)
    if not folder.path.exists():
        return
    if not await_end(folder, LONGEST_END):  # the runner of a killed build ends itself
        raise FactoryError(
            f"the runner of a build that was killed does not end ({runner_pid(folder)})", "kill it, then try again"
        )
    say("removing what a build that was killed left behind")
    remove(folder)


def _write(folder: StageFolder, spec: RunnerSpec, design: StageDesign, options: BuildOptions) -> None:
    make_private(folder.path)
    with disk(folder.path):
        folder.unfinished.touch()
        if options.queues is not None:
            folder.database.symlink_to(make_private(options.queues), target_is_directory=True)
    if options.aws_queues is not None:
        keep_on_aws(folder, options.aws_queues)
        keep_instances(folder, _instances(design, options.aws_queues))
    make_working_folders(spec.pool_specs)
    write_json(folder.spec, spec_as_json(spec))
    with open_queues(queues_location(folder)) as queues:  # a database exists before anybody can submit
        if options.aws_queues is not None:
            queues.history.depths(options.aws_queues.queues)  # what is not there is told now
    ask(folder, gate="closed")


def _instances(design: StageDesign, queues: SqsLocation) -> StageInstances:
    on_aws = [sector for sector in design.sectors if sector.type is SectorType.AWS]
    names = Names(design.factory, design.stage)
    placed = [(one, one.place or one.name) for one in on_aws]
    releases = [sector_release(names, one.name, one.bots, aws=True, place=place) for one, place in placed]
    return StageInstances(
        region=queues.region,
        table=queues.table,
        sectors=tuple(RemoteSector(one.name, one.region or "", names.path(place)) for one, place in placed),
        pool_specs=tuple(pool_spec for release in releases for pool_spec in remote_pool_specs(release)),
    )


def _start_again(
    folder: StageFolder,
    before: RunnerSpec,
    spec: RunnerSpec,
    secrets: Values,
    design: StageDesign,
    say: Say,
    *,
    foreground: bool,
) -> Launch | None:
    """Start an ended stage with another spec; the one from before is put back when that cannot be loaded."""
    if reason := unsupported_change(before, spec):
        raise FactoryError(
            f"{folder.name} is built already, and this is more than code that changed: {reason}",
            f"factory-cdk demolish {folder.options}, then build it again",
        )
    if trouble := queues_trouble(folder):
        raise trouble
    make_working_folders(spec.pool_specs)
    ask(folder, gate="closed")
    write_json(folder.spec, spec_as_json(spec))
    try:
        return _start(folder, spec, secrets, replace(design, demolish_on_failure=True), say, foreground=foreground)
    except BaseException:
        write_json(folder.spec, spec_as_json(before))
        raise


def _start(
    folder: StageFolder,
    spec: RunnerSpec,
    secrets: Values,
    design: StageDesign,
    say: Say,
    *,
    foreground: bool,
    held: bool = False,
) -> Launch | None:
    processes = sum(pool_spec.processes for pool_spec in spec.pool_specs)
    say(f"starting {processes} {'process' if processes == 1 else 'processes'}")
    launch = Launch(folder, spec, secrets, detach=not foreground)
    try:
        trouble = await_ready(launch, folder)
        if trouble is None and not held:
            await_request(folder, ask(folder, gate="open"), "open")
    except BaseException:
        launch.hang_up()
        force_end(folder)
        raise
    if trouble is None:
        folder.unfinished.unlink(missing_ok=True)
    elif design.demolish_on_failure:
        launch.hang_up()
        force_end(folder)
        raise FactoryError(said(trouble), f"{_missed(design, trouble)}everything that was started has been taken down")
    else:
        folder.unfinished.unlink()
        launch.keep()
        stage = folder.options
        raise FactoryError(
            said(trouble),
            f"{_missed(design, trouble)}demolish_on_failure is false, so the rest runs with its gate closed: look with "
            f"`factory-cdk ps {stage}` "
            f"and `factory-cdk logs {stage}`, clean up with `factory-cdk demolish {stage}`",
        )
    if foreground:
        return launch
    launch.keep()
    return None


def _missed(design: StageDesign, trouble: Mapping[str, Any]) -> str:
    """The beginning of a remedy where what a bot misses is what an ignore file left out of its bundle, or what the
    build of its project does not install.
    """
    bundles = [bot.bundle for sector in design.sectors for bot in sector.bots if bot.name == trouble["bot"]]
    for bundle in bundles:
        message = f"{trouble['reason']}\n{trouble['log']}"
        if why := told_as_missed(bundle.bot, bundle.left_out, message):
            return f"{why}; "
        with zipfile.ZipFile(archive_of(bundle)) as archive:
            if why := told_as_not_installed(bundle, archive.namelist(), message):
                return f"{why}; "
    return ""
