"""Plan + plan.lock + bundles → StageDesign: the one way, which every command, the CDK app and the Python API take.

Nobody else calls `resolve_stage` or `design_stage`, so that what plan.lock pins holds everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from factory_cdk.awsconfig import default_region
from factory_cdk.bundle import Bundle
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.pack.lockfile import Lock, lock_path, read_lock
from factory_cdk.pack.packing import bundles_at_hand, pack
from factory_cdk.pack.report import OnProgress
from factory_cdk.pack.staleness import refuse_stale
from factory_cdk.plan.model import Bot, Plan
from factory_cdk.plan.stage import find_stage, needs_region, resolve_stage


def compile_stage(
    plan: Plan,
    stage: str,
    *,
    bundles: Mapping[str, Bundle] | None = None,
    lock: Lock | None,
    region: str | None = None,
) -> StageDesign:
    """The design of `stage` with what `lock` pins: regions, and the stacks of sectors and queues.

    `bundles` are by bot name; a bot without one is unpacked. The default region is `region`, else the lock's, else
    that of the environment or of the AWS profile. Raises FactoryError for an unknown region or an AWS configuration
    that cannot be used, PlanError for an unknown stage, a missing region, or what is over a limit of AWS.
    """
    wanted = region or (lock.default_region if lock else None)
    found = default_region(wanted, needed=needs_region(find_stage(plan, stage)))
    home_region = lock.home_regions.get(stage) if lock else None
    return design_stage(
        resolve_stage(plan, stage, region=found, home_region=home_region),
        bundles,
        pinned=lock.stacks.get(stage) if lock else None,
        pinned_queues=lock.queue_stacks.get(stage) if lock else None,
    )


def compile_at_hand(
    plan: Plan, stage: str, *, cache: Path, region: str | None = None, locked: bool = False
) -> StageDesign:
    """The design of `stage` without fetching anything: bundles are those of the lock, the cache and the path
    sources that exist; every other bot is unpacked.
    """
    lock = stage_lock(plan, stage, locked=locked)
    bundles = bundles_at_hand(plan, stage_bots(plan, stage), cache=cache, lock=lock)
    return compile_stage(plan, stage, bundles=bundles, lock=lock, region=region)


def compile_packed(
    plan: Plan,
    stage: str,
    *,
    cache: Path,
    region: str | None = None,
    locked: bool = False,
    on_progress: OnProgress | None = None,
) -> StageDesign:
    """The design of `stage` with every bot packed first; FactoryError, with every failure, when one cannot be."""
    lock = stage_lock(plan, stage, locked=locked)
    report = pack(plan, stage_bots(plan, stage), cache=cache, lock=lock, on_progress=on_progress)
    report.refuse_failures()
    return compile_stage(plan, stage, bundles=report.bundles, lock=lock, region=region)


def stage_lock(plan: Plan, stage: str, *, locked: bool = False) -> Lock | None:
    """The plan.lock beside `plan`, None where there is none; with `locked` a FactoryError, which says bot by
    bot what changed, unless it is there and holds for the bots of `stage`.
    """
    lock = read_lock(lock_path(plan))
    return refuse_stale(lock, plan, stage_bots(plan, stage)) if locked else lock


def stage_bots(plan: Plan, stage: str) -> tuple[Bot, ...]:
    """The bots that the sectors of `stage` run, each once, in the order of the plan."""
    names = dict.fromkeys(bot.name for sector in find_stage(plan, stage).sectors for bot in sector.bots)
    return tuple(plan.bots[name] for name in names)


def pinned_anew(
    plan: Plan, lock: Lock, *, bundles: Mapping[str, Bundle] | None = None, region: str | None = None
) -> tuple[Lock, tuple[str, ...]]:
    """`lock` with the regions and stacks of every stage that has aws sectors, and the stages that cannot be pinned
    now because an aws sector of theirs has no region.

    What `lock` pins already stays: the queues of a stage stay in their region, a queue and a sector in its stack.
    `bundles` are those of all bots: their description counts towards the size of a stack.
    """
    used = any(needs_region(stage) for stage in plan.stages.values())
    found = default_region(region or lock.default_region, needed=used)
    left_out = tuple(name for name, stage in plan.stages.items() if found is None and needs_region(stage))
    # Their pins stay, too: without them, queues would move once there is a region again.
    home_regions = {name: region for name, region in lock.home_regions.items() if name in left_out}
    stacks = {name: pins for name, pins in lock.stacks.items() if name in left_out}
    queue_stacks = {name: pins for name, pins in lock.queue_stacks.items() if name in left_out}
    for name in (name for name in plan.stages if name not in left_out):
        design = compile_stage(plan, name, bundles=bundles, lock=lock, region=found)
        if design.home_region is not None:
            home_regions[name] = design.home_region
            stacks[name] = {sector.name: sector.stack for sector in design.sectors if sector.stack is not None}
            queue_stacks[name] = {queue.name: queue.stack for queue in design.queues if queue.stack is not None}
    default = found if used else None
    pinned = replace(lock, home_regions=home_regions, default_region=default, stacks=stacks, queue_stacks=queue_stacks)
    return pinned, left_out
