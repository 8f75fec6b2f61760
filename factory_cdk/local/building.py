"""Building a local stage: everything is ready and its gate open, or nothing is left of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.local.bundles import lay_out
from factory_cdk.local.control import (
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
from factory_cdk.local.desired import ask
from factory_cdk.local.environments import build_all
from factory_cdk.local.launch import Launch
from factory_cdk.local.postings import Equipment, equipment, local_sectors, posting
from factory_cdk.local.qalx import refuse_mixtures
from factory_cdk.local.relief import misfit
from factory_cdk.local.roster import Roster, Tempo, roster_as_json
from factory_cdk.local.secrets import Values, resolve_secrets
from factory_cdk.local.stagequeues import queues_trouble
from factory_cdk.local.standing import matches
from factory_cdk.local.state import StageState, stage_state, write_json
from factory_cdk.local.status import runner_pid
from factory_cdk.plan.model import Sector, SectorType
from factory_cdk.queues.sqlite import SqliteQueues


@dataclass(frozen=True, slots=True)
class Order:
    """What `build` is given besides the design, whose bots are packed: the home; the plan's file (to be shown);
    the variables that secrets come from, and whose HOME; the runner's tempo; the folder of queues that outlive
    the stage and that other stages may share (None: the stage has its own).
    """

    home: Path
    plan: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    tempo: Tempo = field(default_factory=Tempo)
    queues: Path | None = None


def build(
    design: StageDesign, order: Order, say: Say, *, foreground: bool = False, again: bool = False
) -> Launch | None:
    """Install, start and open the stage of `design`; returns when every bot is loaded and takes jobs.

    With `foreground` the runner stays this process's child, and is returned: it ends when this process does. With
    `again` a stage whose runner has ended goes on as `design` says, with the jobs that it had, or stays as it was.
    FactoryError, with the reason and the end of the bot's log, when a bot cannot be installed or loaded; then
    nothing is left, unless the plan says `demolish_on_failure: false`.
    """
    refuse_what_cannot_run(design.stage, design.sectors)
    refuse_mixtures(design.sectors)
    cast = cast_of(design, order.home)
    references = {(sector.name, bot.name): bot.secrets for sector, bot, _ in cast if bot.secrets}
    secrets = resolve_secrets(references, order.environ)
    state = stage_state(order.home, design.factory, design.stage)
    with changing(state):
        before = ended_roster(state) if again else None
        if before is None:
            _clear_the_place(state, say)
        install(cast, order.home, say)
        roster = roster_of(design, cast, order)
        if before is not None:
            return _start_again(state, before, roster, secrets, design, say, foreground=foreground)
        try:
            _write(state, roster, order.queues)
            return _start(state, roster, secrets, design, say, foreground=foreground)
        except BaseException:
            if state.unfinished.exists():
                remove(state)
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


def refuse_built(state: StageState) -> None:
    """FactoryError when the stage is built already, whether its runner runs or not, or when that cannot be seen."""
    with disk(state.folder):
        if not state.folder.exists() or state.unfinished.exists():
            return
    pid = runner_pid(state)
    stage = f"--name {state.factory} --stage {state.stage}"
    if pid is None:
        if trouble := queues_trouble(state):
            raise FactoryError(f"{state.name} is built already, and {trouble.message}", trouble.remedy)
        raise FactoryError(
            f"{state.name} is built already, and its runner does not run",
            f"factory-cdk resume {stage}, or factory-cdk demolish {stage}",
        )
    raise FactoryError(
        f"{state.name} is built already and runs (process {pid})", f"factory-cdk demolish {stage}, then build again"
    )


def ended_roster(state: StageState) -> Roster | None:
    """The roster of a stage that is built and whose runner has ended or was killed; None of any other."""
    found = matches(state.folder.parents[2], state.factory, state.stage)
    return found[0].roster if found and found[0].standing in ("ended", "killed") else None


def _clear_the_place(state: StageState, say: Say) -> None:
    """Remove what a killed build left; FactoryError when the stage is built already, or a runner is still there."""
    refuse_built(state)
    if not state.folder.exists():
        return
    if not await_end(state, LONGEST_END):  # the runner of a killed build ends itself
        raise FactoryError(f"the runner of a build that was killed does not end ({runner_pid(state)})", "kill it")
    say("removing what a build that was killed left behind")
    remove(state)


Cast = list[tuple[SectorDesign, BotDesign, Equipment]]
"""The bots of the local sectors, and what each runs with."""


def cast_of(design: StageDesign, home: Path) -> Cast:
    """The cast of a stage; nothing is made yet. FactoryError when a bundle is not here."""
    return [(sector, bot, equipment(home, bot)) for sector in local_sectors(design) for bot in sector.bots]


def install(cast: Cast, home: Path, say: Say, stop: threading.Event | None = None) -> None:
    """Lay out the bundles and build the environments that are not there yet, until told to `stop`. FactoryError."""
    for _, bot, _ in cast:
        lay_out(home, bot.bundle)
    build_all([given.environment for *_, given in cast], say, stop)


def roster_of(design: StageDesign, cast: Cast, order: Order) -> Roster:
    """The roster of a stage whose cast is installed."""
    bytecode = order.home / "cache" / "bytecode"
    return Roster(
        factory=design.factory,
        stage=design.stage,
        postings=tuple(posting(design, sector, bot, given, bytecode) for sector, bot, given in cast),
        end_order=design.demolish_order,
        plan=str(Path(order.plan).absolute()) if order.plan else "",
        built_at=time.time(),
        tempo=order.tempo,
    )


def _write(state: StageState, roster: Roster, queues: Path | None) -> None:
    make_private(state.folder)
    with disk(state.folder):
        state.unfinished.touch()
        if queues is not None:
            state.database.symlink_to(make_private(queues), target_is_directory=True)
    write_json(state.roster, roster_as_json(roster))
    with SqliteQueues(state.database / "queues.sqlite3"):
        pass  # the database exists before anybody can submit
    ask(state, gate="closed")


def _start_again(
    state: StageState,
    before: Roster,
    roster: Roster,
    secrets: Values,
    design: StageDesign,
    say: Say,
    *,
    foreground: bool,
) -> Launch | None:
    """Start an ended stage with another roster; the one from before is put back when that cannot be loaded."""
    if reason := misfit(before, roster):
        raise FactoryError(
            f"{state.name} is built already, and this is more than code that changed: {reason}",
            f"factory-cdk demolish --name {state.factory} --stage {state.stage}, then build again",
        )
    if trouble := queues_trouble(state):
        raise trouble
    ask(state, gate="closed")
    write_json(state.roster, roster_as_json(roster))
    try:
        return _start(state, roster, secrets, replace(design, demolish_on_failure=True), say, foreground=foreground)
    except BaseException:
        write_json(state.roster, roster_as_json(before))
        raise


def _start(
    state: StageState, roster: Roster, secrets: Values, design: StageDesign, say: Say, *, foreground: bool
) -> Launch | None:
    processes = sum(posting.processes for posting in roster.postings)
    say(f"starting {processes} {'process' if processes == 1 else 'processes'}")
    launch = Launch(state, roster, secrets, detach=not foreground)
    try:
        trouble = await_ready(launch, state)
        if trouble is None:
            await_request(state, ask(state, gate="open"), "open")
    except BaseException:
        launch.hang_up()
        force_end(state)
        raise
    if trouble is None:
        state.unfinished.unlink(missing_ok=True)
    elif design.demolish_on_failure:
        launch.hang_up()
        force_end(state)
        raise FactoryError(said(trouble), "everything that was started has been taken down")
    else:
        state.unfinished.unlink()
        launch.keep()
        stage = f"--name {state.factory} --stage {state.stage}"
        raise FactoryError(
            said(trouble),
            f"demolish_on_failure is false, so the rest runs with its gate closed: look with `factory-cdk ps {stage}` "
            f"and `factory-cdk logs {stage}`, clean up with `factory-cdk demolish {stage}`",
        )
    if foreground:
        return launch
    launch.keep()
    return None
