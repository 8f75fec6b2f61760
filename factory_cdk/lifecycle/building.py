"""The verbs that need a plan, once for the command line and for Python: build, update, and what a build would do.

They pack and compile, and let the backend of the place where the sectors run do the rest (backend.py); verbs.py has
what is done with a stage that is built. `say` gets lines of progress. Every verb raises FactoryError, and PlanError for
a plan that is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory_cdk.awsconfig import ANY_REGION, default_region
from factory_cdk.compile import compile_at_hand, compile_stage, stage_bots, stage_lock
from factory_cdk.design.model import StageDesign
from factory_cdk.diagnostics import Diagnostic, FactoryError
from factory_cdk.home import make_private
from factory_cdk.lifecycle.aws_queues import with_aws_queues
from factory_cdk.lifecycle.backend import BACKENDS, Backends, backend_for
from factory_cdk.lifecycle.local.control import with_log
from factory_cdk.lifecycle.local.dry_run import dry_run as local_dry_run
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.packing import Pack, pack_quietly
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.lifecycle.results import Built, Updated
from factory_cdk.lifecycle.verbs import find
from factory_cdk.plan.model import PathSource, Plan, SectorType
from factory_cdk.plan.stage import find_stage

if TYPE_CHECKING:
    from factory_cdk.deploy.account import Account
    from factory_cdk.deploy.record import LifeSigns
    from factory_cdk.lifecycle.aws.deploying import Agree, Deployed
    from factory_cdk.pack import Lock, PackReport


def refuse_build(plan: Plan, stage: str, options: BuildOptions, *, backends: Backends = BACKENDS) -> None:
    """Raise what `build` would raise before it packs anything."""
    backend = backend_for(stage, find_stage(plan, stage).sectors, backends)
    backend.refuse_build(plan.name, stage, options)


def build(
    plan: Plan,
    stage: str,
    options: BuildOptions,
    say: Say = silent,
    *,
    region: str | None = None,
    locked: bool = False,
    pack: Pack = pack_quietly,
    warn: Callable[[Diagnostic], None] | None = None,
    backends: Backends = BACKENDS,
    local_sectors: bool = False,
) -> Built:
    """Pack, install and start the bots of `stage`; returns when every one of them is loaded and takes jobs.

    Nothing is packed when the stage cannot be built, and nothing is left when a bot cannot be loaded, unless the plan
    says `debug: {demolish_on_failure: false}`. `locked` refuses a plan.lock that does not hold; `warn` gets what
    is to be known of the design. With `local_sectors` the local sectors of a stage that has aws sectors, too, are
    built: their queues are those of its stacks, which have to be deployed.
    """
    if local_sectors:
        backends = {**backends, SectorType.AWS: backends[SectorType.LOCAL]}
    refuse_build(plan, stage, options, backends=backends)
    make_private(options.home)
    design = _packed(plan, stage, say, region=region, locked=locked, pack=pack)
    if local_sectors and design.home_region is not None:
        options = with_aws_queues(options, plan, design)
    if warn is not None:
        for found in design.diagnostics:
            warn(found)
    return Built(design, backend_for(stage, design.sectors, backends).build(design, options, say))


def is_on_aws(plan: Plan, stage: str) -> bool:
    """Whether `stage` has aws sectors. PlanError where there is no such stage."""
    return any(sector.type is SectorType.AWS for sector in find_stage(plan, stage).sectors)


def deploy(
    plan: Plan,
    stage: str,
    options: BuildOptions,
    agree: Agree,
    say: Say = silent,
    *,
    region: str | None = None,
    locked: bool = False,
    pack: Pack = pack_quietly,
    account: Account | None = None,
    signs: LifeSigns | None = None,
) -> Deployed | None:
    """Build a stage with aws sectors in every region, or bring it to what `plan` says now: all of it or nothing. None
    when `agree`, which gets what would be done, said no. FactoryError.
    """
    from factory_cdk.deploy.account import Account  # noqa: PLC0415 - with boto3
    from factory_cdk.lifecycle.aws.deploying import build_on_aws  # noqa: PLC0415

    account = account or Account()
    account.identity(default_region(region, needed=True) or ANY_REGION)  # before anything is packed
    make_private(options.home)
    lock = stage_lock(plan, stage, locked=locked)
    report = _pack(plan, stage, lock, say, pack)
    return build_on_aws(
        plan, stage, report.bundles, options, say, agree, region=region, locked=locked, account=account, signs=signs
    )


def dry_run(
    plan: Plan, stage: str, *, home: Path, cache: Path, region: str | None = None, locked: bool = False
) -> dict[str, Any]:
    """What `build` would do, wherever the sectors run. Nothing is fetched, started or written."""
    design = compile_at_hand(plan, stage, cache=cache, region=region, locked=locked)
    folders = {
        bot.name: bot.source.folder / (bot.source.subdirectory or "")
        for bot in stage_bots(plan, stage)
        if isinstance(bot.source, PathSource)
    }
    return local_dry_run(design, folders, home)


def update(
    plan: Plan,
    stage: str,
    options: BuildOptions,
    say: Say = silent,
    *,
    region: str | None = None,
    locked: bool = False,
    pack: Pack = pack_quietly,
    timeout: float | None = None,
    backends: Backends = BACKENDS,
) -> Updated:
    """Bring a stage that is built to what `plan` says now, while it works: code and arguments of its bots.

    Returns when the new workers have taken over. FactoryError, and the stage runs as before, when one of them cannot be
    loaded or when more was changed than an update can do; with exit code 3 when it is not decided within `timeout`
    seconds.
    """
    name = f"{plan.name}/{stage}"
    backend = backend_for(stage, find_stage(plan, stage).sectors, backends)
    find(options.home, plan.name, stage, backends=backends)  # before anything is packed
    design = _packed(plan, stage, say, region=region, locked=locked, pack=pack)
    request = backend.request_update(design, options, say, threading.Event())
    if request is None:
        return Updated(name)
    say(f"loading {', '.join(request.bots)}")
    status = backend.await_update(request, timeout)
    if status.outcome != "done":
        raise FactoryError(f"not updated: {with_log(status.reason, status.log)}", f"{name} runs as before")
    return Updated(name, request.bots, status.in_hand)


def _packed(plan: Plan, stage: str, say: Say, *, region: str | None, locked: bool, pack: Pack) -> StageDesign:
    lock = stage_lock(plan, stage, locked=locked)
    report = _pack(plan, stage, lock, say, pack)
    return compile_stage(plan, stage, bundles=report.bundles, lock=lock, region=region)


def _pack(plan: Plan, stage: str, lock: Lock | None, say: Say, pack: Pack) -> PackReport:
    report = pack(plan, stage_bots(plan, stage), lock)
    for made in report.bots:
        if made.summary is not None:
            say(f"{made.bot}: {made.summary}")
        for note in made.notes:
            say(f"warning: {made.bot}: {note}")
    report.refuse_failures()
    return report
