"""A plan's file as a side of a review: designed as `synth` designs it, with nothing fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory_cdk.bundle import Bundle
from factory_cdk.canonical_json import json_digest
from factory_cdk.compile import compile_stage, stage_bots, stage_lock
from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity
from factory_cdk.pack.lockfile import NAME as LOCK
from factory_cdk.pack.packing import bundles_at_hand
from factory_cdk.plan.load import Loaded, load_plan
from factory_cdk.plan.model import Bot, PathSource, Plan
from factory_cdk.plan.yaml.nodes import Node
from factory_cdk.review.sides.of_design import files_of_folder, side_of_design
from factory_cdk.review.sides.side import PlanSide, StageSide


def side_of_plan(file: str, *, cache: Path, region: str | None = None, inside: Path | None = None) -> PlanSide:
    """The plan in `file`; `region` is for aws sectors that name none, `inside` as for `plan_side`. PlanError when it is
    refused; with `inside` FactoryError for a plan or plan.lock that is a link: messages show lines of both, and a plan
    under review may point at any file.
    """
    for one in (Path(file), Path(file).with_name(LOCK)) if inside is not None else ():
        if one.is_symlink():
            raise FactoryError(
                f"{one} is a symbolic link, which a review does not follow", "name the file that it points at"
            )
    loaded = load_plan(file)
    if loaded.plan is None:
        raise PlanError(loaded.diagnostics)
    return plan_side(loaded.plan, file, cache=cache, region=region, root=loaded.root, inside=inside)


def plan_side(
    plan: Plan,
    label: str,
    *,
    cache: Path,
    region: str | None = None,
    root: Node | None = None,
    inside: Path | None = None,
    problems: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> PlanSide:
    """`plan` as a side, its stages read when they are asked for; `root` is its text as a tree. With `inside`, path
    sources outside of that folder are not read: git does not have them, and a plan under review may name any folder.
    """
    outside = {bot.name for bot in plan.bots.values() if inside is not None and _is_outside(bot, inside)}

    def stage(name: str) -> StageSide:
        if not problems:
            return designed(name)
        try:
            return designed(name)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # it uses what is wrong in the plan
            raise FactoryError(f"it uses what is not valid in the plan ({error})") from error

    def designed(name: str) -> StageSide:
        lock = stage_lock(plan, name)
        read = [bot for bot in stage_bots(plan, name) if bot.name not in outside]
        found = bundles_at_hand(plan, read, cache=cache, lock=lock)
        bundles = {bot: _bundle(plan.bots[bot], bundle) for bot, bundle in found.items()}
        return side_of_design(plan, compile_stage(plan, name, bundles=bundles, lock=lock, region=region), root, outside)

    not_read = tuple(f"the code of {name} is outside of the repository, and not compared" for name in sorted(outside))
    return PlanSide(label, plan.name, tuple(plan.stages), stage, problems=problems, notes=(*notes, *not_read))


def _is_outside(bot: Bot, folder: Path) -> bool:
    return isinstance(bot.source, PathSource) and not bot.source.folder.resolve().is_relative_to(folder.resolve())


def _bundle(bot: Bot, bundle: Bundle) -> Bundle:
    """`bundle`, or, for a folder whose requirements nobody has locked yet, one that is named by the folder's files:
    what the plan says of a folder stays the same when its files change.
    """
    if bundle.packed or not isinstance(bot.source, PathSource):
        return bundle
    files = files_of_folder(bot)
    return bundle if files is None else replace(bundle, digest=json_digest(files))


def lines_of(loaded: Loaded, shown: str) -> tuple[str, ...]:
    """The errors of a plan, one line each, with `shown` in the place of its file."""
    return tuple(_line(one, shown) for one in loaded.diagnostics if one.severity is Severity.ERROR)


def _line(found: Diagnostic, shown: str) -> str:
    return f"{shown}:{found.line}:{found.column}: {found.code} {found.message}"
