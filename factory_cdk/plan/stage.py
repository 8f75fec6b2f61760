"""Resolves one stage of a Plan into a StagePlan: everything inherited is filled in."""

from __future__ import annotations

from collections.abc import Iterable

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError
from factory_cdk.plan.findings import did_you_mean
from factory_cdk.plan.model import (
    Plan,
    Position,
    Sector,
    SectorType,
    Stage,
    StageBot,
    StagePlan,
    StageSector,
    Workflow,
)
from factory_cdk.plan.successors import candidates, following, queue_of, successors


def diagnose(plan_file: str, position: Position, code: str, message: str, hint: str | None = None) -> Diagnostic:
    """A diagnostic about a part of a Plan that knows its position."""
    return Diagnostic(code, CODES[code].severity, message, hint, plan_file, position.line, position.column)


def find_stage(plan: Plan, name: str) -> Stage:
    """The stage `name` of `plan`; FactoryError, naming the stages there are, when there is none."""
    if name in plan.stages:
        return plan.stages[name]
    raise FactoryError(f"{plan.file} has no stage `{name}`", did_you_mean(name, plan.stages))


def resolve_stage(plan: Plan, name: str, *, region: str | None = None) -> StagePlan:
    """The stage `name` of `plan` with regions, queues, config, secrets and successors filled in.

    `region` is used by aws sectors that name none. Raises FactoryError for an unknown stage and PlanError
    (F512) when an aws sector has no region at all.
    """
    stage = find_stage(plan, name)
    workflow = plan.workflows.get(stage.workflow or "")
    where = candidates(stage.sectors)
    missing = [
        diagnose(
            plan.file,
            sector.position,
            "F512",
            f"the aws sector `{sector.name}` has no region",
            "give it a `region_name`, or name a default with --region or AWS_REGION",
        )
        for sector in stage.sectors
        if sector.type is SectorType.AWS and not (sector.region_name or region)
    ]
    if missing:
        raise PlanError(missing)
    sectors = tuple(
        StageSector(
            name=sector.name,
            type=sector.type,
            bots=tuple(_stage_bots(plan, stage, sector, workflow, where)),
            platform=sector.platform,
            region=(sector.region_name or region) if sector.type is SectorType.AWS else None,
            alarm=plan.alarms[sector.alarm] if sector.alarm else None,
            parameters=sector.parameters,
            position=sector.position,
        )
        for sector in stage.sectors
    )
    regions = [sector.region for sector in sectors if sector.region]
    return StagePlan(
        factory=plan.name,
        name=name,
        file=plan.file,
        folder=plan.folder,
        sectors=sectors,
        workflow=stage.workflow,
        roots=tuple(root for root in (workflow.roots if workflow else ()) if root in where),
        demolish_order=breadth_first(stage, workflow),
        home_region=(stage.home_region or regions[0]) if regions else None,
        protect=stage.protect,
        demolish_on_failure=plan.demolish_on_failure,
        meta=plan.meta,
        tags=plan.tags,
    )


def _stage_bots(
    plan: Plan,
    stage: Stage,
    sector: Sector,
    workflow: Workflow | None,
    where: dict[str, list],  # type: ignore[type-arg]
) -> Iterable[StageBot]:
    for sector_bot in sector.bots:
        bot = plan.bots[sector_bot.name]
        arguments = sector_bot.arguments
        settings = (
            plan.settings.under(stage.settings).under(sector.settings).under(bot.settings).under(arguments.settings)
        )
        yield StageBot(
            bot=bot,
            sector=sector.name,
            queue=queue_of(sector_bot),
            arguments=arguments,
            config=settings.config,
            secrets=settings.secrets,
            successors=successors(sector_bot, sector, workflow, where),
            python=arguments.python or sector.python,
        )


def breadth_first(stage: Stage, workflow: Workflow | None) -> tuple[str, ...]:
    """The bots of a stage in the order in which they are taken down: breadth-first along the workflow, so that
    no bot ends before those that feed it; bots outside the workflow last, in the order of the plan.
    """
    here = dict.fromkeys(bot.name for sector in stage.sectors for bot in sector.bots)
    feeds: dict[str, list[str]] = {name: [] for name in here}
    for sector in stage.sectors:
        for bot in sector.bots:
            feeds[bot.name] += [
                name for name in following(bot, workflow) if name not in feeds[bot.name] and name in here
            ]
    waiting = {name: sum(name in fed for fed in feeds.values()) for name in here}
    linked = {name for name in here if waiting[name] or feeds[name]}
    order: list[str] = []
    level = [name for name in here if name in linked and not waiting[name]]
    while level:
        order += level
        following_level: list[str] = []
        for name in level:
            for fed in feeds[name]:
                waiting[fed] -= 1
                if not waiting[fed]:
                    following_level.append(fed)
        level = following_level
    return tuple(order + [name for name in here if name not in linked])


def needs_region(stage: Stage) -> bool:
    """Whether an aws sector of the stage names no region, so that a default is needed."""
    return any(sector.type is SectorType.AWS and sector.region_name is None for sector in stage.sectors)
