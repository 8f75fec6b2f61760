"""Plan + plan.lock + bundles → StageDesign: the one way, which every command, the CDK app and the Python API take.

Nobody else calls `resolve_stage` or `design_stage`, so that what plan.lock pins holds everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from factory_cdk.awsconfig import default_region
from factory_cdk.bundle import Bundle
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import Asset, StageDesign
from factory_cdk.design.naming import DEFAULT_QUALIFIER
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.cache import BundleCache
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
    qualifier: str | None = None,
    generations: Mapping[str, int] | None = None,
) -> StageDesign:
    """The design of `stage` with what `lock` pins: regions, the stacks of sectors and queues, and generations.

    `generations` of sectors go before those of the lock: a sector whose instance is gone (an alarm terminated it, a
    spot instance was interrupted) gets a new one with the next number. `qualifier` is that of `cdk bootstrap`, by
    default what cdk.json in the current folder says.

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
        generations={**(lock.generations.get(stage, {}) if lock else {}), **(generations or {})},
        qualifier=qualifier or bootstrap_qualifier(),
    )


def bootstrap_qualifier() -> str:
    """The qualifier of `cdk bootstrap` in the context of cdk.json in the current folder, else CDK's own."""
    try:
        said = json.loads(Path("cdk.json").read_text(encoding="utf-8"))
        found = said["context"]["@aws-cdk/core:bootstrapQualifier"]
    except FileNotFoundError:
        return DEFAULT_QUALIFIER
    except (OSError, ValueError) as error:
        raise FactoryError(f"cdk.json cannot be read: {error}", "correct it, or run this in another folder") from error
    except (KeyError, TypeError):  # it says nothing of it
        return DEFAULT_QUALIFIER
    if not isinstance(found, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,10}", found):
        message = f"invalid bootstrap qualifier in cdk.json: {found!r}"
        raise FactoryError(message, "write that of your `cdk bootstrap`: at most 10 letters and digits")
    return found


def compile_at_hand(
    plan: Plan,
    stage: str,
    *,
    cache: Path,
    region: str | None = None,
    locked: bool = False,
    qualifier: str | None = None,
    generations: Mapping[str, int] | None = None,
) -> StageDesign:
    """The design of `stage` without fetching anything: bundles are those of the lock, the cache and the path
    sources that exist; every other bot is unpacked.
    """
    lock = stage_lock(plan, stage, locked=locked)
    bundles = bundles_at_hand(plan, stage_bots(plan, stage), cache=cache, lock=lock)
    design = compile_stage(
        plan, stage, bundles=bundles, lock=lock, region=region, qualifier=qualifier, generations=generations
    )
    return with_cached_files(design, cache)


def compile_packed(
    plan: Plan,
    stage: str,
    *,
    cache: Path,
    region: str | None = None,
    locked: bool = False,
    on_progress: OnProgress | None = None,
    qualifier: str | None = None,
    generations: Mapping[str, int] | None = None,
) -> StageDesign:
    """The design of `stage` with every bot packed first; FactoryError, with every failure, when one cannot be."""
    lock = stage_lock(plan, stage, locked=locked)
    report = pack(plan, stage_bots(plan, stage), cache=cache, lock=lock, on_progress=on_progress)
    report.refuse_failures()
    design = compile_stage(
        plan, stage, bundles=report.bundles, lock=lock, region=region, qualifier=qualifier, generations=generations
    )
    return with_cached_files(design, cache)


def with_cached_files(design: StageDesign, cache: Path) -> StageDesign:
    """`design` with the paths of the wheels and builds of Python among its assets that the pack cache `cache` has."""
    kept = BundleCache(cache)

    def found(asset: Asset) -> Asset:
        if asset.path is not None or asset.content is not None or asset.wheel:
            return asset
        file = kept.file(asset.key)
        return replace(asset, path=str(file.absolute())) if file.is_file() else asset

    stacks = tuple(replace(stack, assets=tuple(map(found, stack.assets))) for stack in design.stacks)
    return replace(design, stacks=stacks)


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
