"""Two sides of a stage → its StageReport. Pure, but for files and commits that are read to be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from factory_cdk.review.access import access_report
from factory_cdk.review.code import bot_reports
from factory_cdk.review.cost import cost_report, with_costs
from factory_cdk.review.history import History
from factory_cdk.review.jobs import queue_reports, worker_reports
from factory_cdk.review.limits import limit_reports
from factory_cdk.review.model import Difference, ResourceChange, SectorReport, StageReport, Verdict
from factory_cdk.review.resources import name_conflicts, resource_changes
from factory_cdk.review.sectors import sector_report
from factory_cdk.review.security import security_reports
from factory_cdk.review.sides.side import StageSide
from factory_cdk.review.workflow import workflow_report


def compared(name: str, before: StageSide | None, after: StageSide | None, history: History) -> StageReport:
    """What differs in the stage `name`, which at least one of the two sides has (None: that has it not)."""
    if before is not None and after is not None and not (before.whole and after.whole):
        before, after = _on_aws(before), _on_aws(after)
    changes = resource_changes(before.stacks if before else {}, after.stacks if after else {})
    by_sector: dict[str, list[ResourceChange]] = {}
    for change in changes:
        by_sector.setdefault(change.sector or "", []).append(change)
    names = dict.fromkeys((*(after.sectors if after else ()), *(before.sectors if before else ())))
    sectors = with_costs((sector_report(one, before, after, by_sector.get(one, ())) for one in names), before, after)
    queues = queue_reports(before, after)
    bots = bot_reports(before, after, history)
    settings = tuple(_settings(before, after))
    verdicts = [one.verdict for one in sectors] + [one.verdict for one in queues] + [one.verdict for one in bots]
    security = security_reports(before, after)
    same = all(one is Verdict.UNCHANGED for one in verdicts) and not changes and not settings and not security
    return StageReport(
        name=name,
        verdict=_verdict(before, after, same=same),
        sectors=sectors,
        queues=queues,
        workers=worker_reports(before, after, sectors),
        bots=bots,
        access=tuple(found for one in names if (found := access_report(one, before, after))),
        security=security,
        limits=limit_reports(before, after),
        workflow=workflow_report(before, after),
        cost=cost_report(sectors, before, after),
        settings=settings,
        resources=changes,
        hazards=tuple(_hazards(before, after, sectors, changes)),
        versions=(before.version, after.version) if before and after and before.version != after.version else None,
    )


def _on_aws(side: StageSide) -> StageSide:
    """`side` without what a cloud assembly does not have: local sectors, their bots and their order."""
    sectors = {name: one for name, one in side.sectors.items() if one.type == "aws"}
    bots = {bot for one in sectors.values() for bot in one.bots}
    edges = tuple((source, target) for source, target in side.edges if source in bots)
    code = {name: one for name, one in side.code.items() if name in bots}
    return replace(side, sectors=sectors, edges=edges, code=code, roots=(), demolish_on_failure=True)


def _verdict(before: StageSide | None, after: StageSide | None, *, same: bool) -> Verdict:
    if before is None:
        return Verdict.ADDED
    if after is None:
        return Verdict.REMOVED
    return Verdict.UNCHANGED if same else Verdict.CHANGED


def _settings(before: StageSide | None, after: StageSide | None) -> Iterator[Difference]:
    """What differs in the stage itself and in no sector."""
    if before is None or after is None:
        return
    if before.factory != after.factory:
        why = "every name on AWS is made of it: all stacks are new, and the old ones stay until they are taken down"
        yield Difference("factory", before.factory, after.factory, why=why)
    if before.roots != after.roots:
        yield Difference("workflow starts", list(before.roots), list(after.roots), why="where jobs are submitted")
    if before.demolish_on_failure != after.demolish_on_failure:
        values = before.demolish_on_failure, after.demolish_on_failure
        yield Difference("debug.demolish_on_failure", *values, why="what a build that fails leaves behind")
    for name, stack in after.stacks.items():
        old = before.stacks.get(name)
        if old is not None and old.protect != stack.protect:
            yield Difference(f"{name}.protect", old.protect, stack.protect, why="termination protection of the stack")


def _hazards(
    before: StageSide | None,
    after: StageSide | None,
    sectors: tuple[SectorReport, ...],
    changes: tuple[ResourceChange, ...],
) -> Iterator[str]:
    """What will make the deployment fail, or leaves something behind."""
    if before is None:
        return
    if after is None:
        yield from map(_left_behind, before.stacks)
        if any(one.type == "local" for one in before.sectors.values()):
            yield (
                "what is built of it on this machine stays until it is taken down: "
                f"`factory-cdk demolish --name {before.factory} --stage {before.name}`"
            )
        return
    conflicts: dict[tuple[str, str], list[str]] = {}
    for name, wanted, owner in name_conflicts(before.stacks, after.stacks, changes):
        conflicts.setdefault((wanted, owner), []).append(name)
    for (wanted, owner), names in conflicts.items():
        unique = list(dict.fromkeys(names))
        more = f" and {len(unique) - 3} more names" if len(unique) > 3 else ""
        where = "another resource of the same stack" if wanted == owner else f"the stack {owner}"
        yield f"{wanted} cannot be deployed while {where} has {', '.join(unique[:3])}{more}"
    for name in before.stacks:
        if name not in after.stacks:
            yield _left_behind(name)
    for one in sectors:
        old, new = before.sectors.get(one.name), after.sectors.get(one.name)
        if "local" in (old.type if old else "", new.type if new else "") and (reason := _no_update(one)):
            yield (
                f"a stage that is built on this machine cannot be updated to this ({reason}): "
                "demolish it, then build it again"
            )
            return


def _left_behind(stack: str) -> str:
    return f"`cdk deploy` leaves the stack {stack} behind, which is not needed any more: `cdk destroy {stack}`"


def _no_update(sector: SectorReport) -> str | None:
    """Why a runner that is at work cannot change to a sector as it is now, as state/spec_changes.py has it."""
    if sector.verdict in (Verdict.ADDED, Verdict.REMOVED, Verdict.REPLACED):
        return f"sector {sector.name} is {sector.verdict}"
    for one in sector.why:
        parts = one.what.split(".")
        if parts[0] == "secrets" or (
            parts[0] == "bots" and (len(parts) == 2 or parts[2] in ("queue", "queue-region", "successors"))
        ):
            return f"{one.what} differs"
    return None
