"""From a plan to the design of one of its stages, with its lock and the bundles that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from factory_cdk.awsconfig import default_region
from factory_cdk.bundle import Bundle
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.pack.lock import Lock, lock_path, read_lock
from factory_cdk.pack.packing import bundles_at_hand, pack
from factory_cdk.pack.report import OnProgress
from factory_cdk.pack.staleness import refuse_stale
from factory_cdk.plan.model import Bot, Plan, StagePlan
from factory_cdk.plan.stage import find_stage, needs_region, resolve_stage


def stage_plan(plan: Plan, stage: str, *, region: str | None = None, lock: Lock | None = None) -> StagePlan:
    """`stage` of `plan`, resolved with what `lock` pins.

    The default region is `region`, else the lock's, else that of the environment or of the AWS profile.
    Raises FactoryError for an unknown stage or region, PlanError when there is no region.
    """
    wanted = region or (lock.default_region if lock else None)
    found = default_region(wanted, needed=needs_region(find_stage(plan, stage)))
    return resolve_stage(plan, stage, region=found, home_region=lock.home_regions.get(stage) if lock else None)


def stage_lock(plan: Plan, stage: str, *, locked: bool) -> Lock | None:
    """The plan.lock beside `plan`, None where there is none; with `locked` a FactoryError, which says bot by
    bot what changed, unless it is there and holds for the bots of `stage`.
    """
    lock = read_lock(lock_path(plan))
    return refuse_stale(lock, plan, stage_bots(plan, stage)) if locked else lock


def stage_bots(plan: Plan, stage: str) -> tuple[Bot, ...]:
    """The bots that the sectors of `stage` run, each once, in the order of the plan."""
    names = dict.fromkeys(bot.name for sector in find_stage(plan, stage).sectors for bot in sector.bots)
    return tuple(plan.bots[name] for name in names)


def design_at_hand(
    plan: Plan, stage: str, *, cache: Path, region: str | None = None, locked: bool = False
) -> StageDesign:
    """The design of `stage` without fetching anything: bundles are those of the lock, the cache and the path
    sources that exist; every other bot is unpacked.
    """
    lock = stage_lock(plan, stage, locked=locked)
    bundles = bundles_at_hand(plan, stage_bots(plan, stage), cache=cache, lock=lock)
    return _design(plan, stage, region, lock, bundles)


def design_packed(
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
    return _design(plan, stage, region, lock, report.bundles)


def pinned_anew(plan: Plan, lock: Lock, *, region: str | None = None) -> tuple[Lock, tuple[str, ...]]:
    """`lock` with the regions and stacks of every stage that has aws sectors, and the stages that are left out
    because an aws sector of theirs has no region.

    What `lock` pins already stays: the queues of a stage stay in their region, a sector in its stack.
    """
    used = any(needs_region(stage) for stage in plan.stages.values())
    found = default_region(region or lock.default_region, needed=used)
    home_regions: dict[str, str] = {}
    stacks: dict[str, dict[str, str]] = {}
    left_out: list[str] = []
    for name, stage in plan.stages.items():
        if needs_region(stage) and found is None:
            left_out.append(name)
            continue
        design = _design(plan, name, found, lock, {})
        if design.home_region is not None:
            home_regions[name] = design.home_region
            stacks[name] = {sector.name: sector.stack for sector in design.sectors if sector.stack is not None}
    pinned = replace(lock, home_regions=home_regions, default_region=found if used else None, stacks=stacks)
    return pinned, tuple(left_out)


def _design(
    plan: Plan, stage: str, region: str | None, lock: Lock | None, bundles: Mapping[str, Bundle]
) -> StageDesign:
    pinned = lock.stacks.get(stage) if lock else None
    return design_stage(stage_plan(plan, stage, region=region, lock=lock), bundles, pinned=pinned)
