"""Building a local stage: everything is ready and its gate open, or nothing is left of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory_cdk.bundle import Bundle
from factory_cdk.design.model import SectorDesign, StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import sector_release
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.install.bundles import archive_of, lay_out
from factory_cdk.install.environments import build_all
from factory_cdk.install.pool_specs import pool_spec
from factory_cdk.install.runtime import BotRuntime, bot_runtime
from factory_cdk.launchers.checks import refuse_what_no_launcher_starts
from factory_cdk.lifecycle.local.control import (
    LONGEST_END,
    Say,
    await_end,
    await_ready,
    await_request,
    changing,
    force_end,
    remove,
    said,
)
from factory_cdk.plan.model import Json, Sector, SectorType
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.release import BotRelease, SectorRelease
from factory_cdk.runner.launch import Launch
from factory_cdk.state.files import write_json
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, Timings, spec_as_json
from factory_cdk.state.secrets import Values, resolve_secrets
from factory_cdk.state.spec_changes import unsupported_change
from factory_cdk.state.stage_folder import StageFolder, stage_folder
from factory_cdk.state.stage_queues import queues_trouble
from factory_cdk.state.stages import matches
from factory_cdk.state.status import runner_pid


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What `build` is given besides the design, whose bots are packed: the home; the plan's file (to be shown);
    the variables that secrets come from, and whose HOME; the runner's timings; the folder of queues that outlive
    the stage and that other stages may share (None: the stage has its own).
    """

    home: Path
    plan: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    timings: Timings = field(default_factory=Timings)
    queues: Path | None = None


def build(
    design: StageDesign, options: BuildOptions, say: Say, *, foreground: bool = False, again: bool = False
) -> Launch | None:
    """Install, start and open the stage of `design`; returns when every bot is loaded and takes jobs.

    With `foreground` the runner stays this process's child, and is returned: it ends when this process does. With
    `again` a stage whose runner has ended goes on as `design` says, with the jobs that it had, or stays as it was.
    FactoryError, with the reason and the end of the bot's log, when a bot cannot be installed or loaded; then
    nothing is left, unless the plan says `demolish_on_failure: false`.
    """
    refuse_what_cannot_run(design.stage, design.sectors)
    installations = installations_of(design, options.home)
    references = {one.place: one.bot.secrets for one in installations if one.bot.secrets}
    secrets = resolve_secrets(references, options.environ)
    folder = stage_folder(options.home, design.factory, design.stage)
    with changing(folder):
        before = ended_spec(folder) if again else None
        if before is None:
            _clear_the_place(folder, say)
        install(installations, options.home, say)
        spec = spec_of(design, installations, options)
        if before is not None:
            return _start_again(folder, before, spec, secrets, design, say, foreground=foreground)
        try:
            _write(folder, spec, options.queues)
            return _start(folder, spec, secrets, design, say, foreground=foreground)
        except BaseException:
            if folder.unfinished.exists():
                remove(folder)
            raise


def refuse_what_cannot_run(stage: str, sectors: Iterable[Sector | SectorDesign]) -> None:
    """FactoryError for what a build of `sectors` of `stage` on this machine does not do."""
    given = list(sectors)
    aws = [sector.name for sector in given if sector.type is SectorType.AWS]
    if aws:
        raise FactoryError(
            f"deploying is not there yet: {', '.join(aws)} of stage {stage} would run on AWS",
            "use --dry-run or synth, or build a stage that has local sectors alone",
        )


def refuse_built(folder: StageFolder) -> None:
    """FactoryError when the stage is built already, whether its runner runs or not, or when that cannot be seen."""
    with disk(folder.path):
        if not folder.path.exists() or folder.unfinished.exists():
            return
    pid = runner_pid(folder)
    stage = f"--name {folder.factory} --stage {folder.stage}"
    if pid is None:
        if trouble := queues_trouble(folder):
            raise FactoryError(f"{folder.name} is built already, and {trouble.message}", trouble.remedy)
        raise FactoryError(
            f"{folder.name} is built already, and its runner does not run",
            f"factory-cdk resume {stage}, or factory-cdk demolish {stage}",
        )
    raise FactoryError(
        f"{folder.name} is built already and runs (process {pid})", f"factory-cdk demolish {stage}, then build again"
    )


def ended_spec(folder: StageFolder) -> RunnerSpec | None:
    """The spec of a stage that is built and whose runner has ended or was killed; None of any other."""
    found = matches(folder.path.parents[2], folder.factory, folder.stage)
    return found[0].spec if found and found[0].state in ("ended", "killed") else None


def _clear_the_place(folder: StageFolder, say: Say) -> None:
    """Remove what a killed build left; FactoryError when the stage is built already, or a runner is still there."""
    refuse_built(folder)
    if not folder.path.exists():
        return
    if not await_end(folder, LONGEST_END):  # the runner of a killed build ends itself
        raise FactoryError(f"the runner of a build that was killed does not end ({runner_pid(folder)})", "kill it")
    say("removing what a build that was killed left behind")
    remove(folder)


@dataclass(frozen=True, slots=True)
class Installation:
    """A bot of a local sector's `release`, its bundle, the values of its config, and what it runs with."""

    release: SectorRelease
    bot: BotRelease
    bundle: Bundle
    config: Mapping[str, Json]
    runtime: BotRuntime

    @property
    def place(self) -> tuple[str, str]:
        """The bot on its sector, as a key."""
        return self.release.sector, self.bot.name


def installations_of(design: StageDesign, home: Path) -> list[Installation]:
    """The bots of the local sectors, and what each runs with; nothing is made yet. FactoryError when a bundle is not
    here, or for what no launcher starts.
    """
    names = Names(design.factory, design.stage)
    sectors = [sector for sector in design.sectors if sector.type is SectorType.LOCAL]
    releases = [sector_release(names, sector.name, sector.bots, aws=False) for sector in sectors]
    refuse_what_no_launcher_starts(releases)
    return [
        Installation(
            release,
            bot,
            designed.bundle,
            designed.config,
            bot_runtime(home, bot, archive_of(designed.bundle), designed.bundle.requirements),
        )
        for sector, release in zip(sectors, releases, strict=True)
        for designed, bot in zip(sector.bots, release.bots, strict=True)
    ]


def install(installations: Sequence[Installation], home: Path, say: Say, stop: threading.Event | None = None) -> None:
    """Lay out the bundles and build the environments that are not there yet, until told to `stop`. FactoryError."""
    for one in installations:
        lay_out(home, one.bundle)
    build_all([one.runtime.environment for one in installations], say, stop)


def spec_of(design: StageDesign, installations: Sequence[Installation], options: BuildOptions) -> RunnerSpec:
    """The spec of a stage whose bots are installed."""
    bytecode = options.home / "cache" / "bytecode"
    return RunnerSpec(
        factory=design.factory,
        stage=design.stage,
        pool_specs=tuple(pool_spec(one.release, one.bot, one.runtime, one.config, bytecode) for one in installations),
        end_order=design.demolish_order,
        plan=str(Path(options.plan).absolute()) if options.plan else "",
        built_at=time.time(),
        timings=options.timings,
    )


def _write(folder: StageFolder, spec: RunnerSpec, queues: Path | None) -> None:
    make_private(folder.path)
    with disk(folder.path):
        folder.unfinished.touch()
        if queues is not None:
            folder.database.symlink_to(make_private(queues), target_is_directory=True)
    write_json(folder.spec, spec_as_json(spec))
    with SqliteQueues(folder.database / "queues.sqlite3"):
        pass  # the database exists before anybody can submit
    ask(folder, gate="closed")


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
            f"factory-cdk demolish --name {folder.factory} --stage {folder.stage}, then build again",
        )
    if trouble := queues_trouble(folder):
        raise trouble
    ask(folder, gate="closed")
    write_json(folder.spec, spec_as_json(spec))
    try:
        return _start(folder, spec, secrets, replace(design, demolish_on_failure=True), say, foreground=foreground)
    except BaseException:
        write_json(folder.spec, spec_as_json(before))
        raise


def _start(
    folder: StageFolder, spec: RunnerSpec, secrets: Values, design: StageDesign, say: Say, *, foreground: bool
) -> Launch | None:
    processes = sum(pool_spec.processes for pool_spec in spec.pool_specs)
    say(f"starting {processes} {'process' if processes == 1 else 'processes'}")
    launch = Launch(folder, spec, secrets, detach=not foreground)
    try:
        trouble = await_ready(launch, folder)
        if trouble is None:
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
        raise FactoryError(said(trouble), "everything that was started has been taken down")
    else:
        folder.unfinished.unlink()
        launch.keep()
        stage = f"--name {folder.factory} --stage {folder.stage}"
        raise FactoryError(
            said(trouble),
            f"demolish_on_failure is false, so the rest runs with its gate closed: look with `factory-cdk ps {stage}` "
            f"and `factory-cdk logs {stage}`, clean up with `factory-cdk demolish {stage}`",
        )
    if foreground:
        return launch
    launch.keep()
    return None
