"""Resolves one stage of a Plan into a StagePlan: everything inherited is filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError
from factory_cdk.plan.checks.stage_steps import step_workflows
from factory_cdk.plan.facts import partitions
from factory_cdk.plan.findings import shortened
from factory_cdk.plan.model import (
    Json,
    Plan,
    Position,
    Sector,
    SectorType,
    Stage,
    StageBot,
    StagePlan,
    StageSector,
    StepsWorkflow,
)
from factory_cdk.plan.order import breadth_first
from factory_cdk.plan.regional import regional_values
from factory_cdk.plan.spelling import did_you_mean
from factory_cdk.plan.successors import Candidates, Feeds, candidates, feeds, following, queue_of, successors
from factory_cdk.runs.definition import Definition, to_json


def diagnose(plan_file: str, position: Position, code: str, message: str, hint: str | None = None) -> Diagnostic:
    """A diagnostic about a part of a Plan that knows its position."""
    return Diagnostic(code, CODES[code].severity, message, hint, plan_file, position.line, position.column)


def find_stage(plan: Plan, name: str) -> Stage:
    """The stage `name` of `plan`; PlanError (F113), naming the stages there are, when there is none."""
    if name in plan.stages:
        return plan.stages[name]
    hint = did_you_mean(name, plan.stages)
    raise PlanError([diagnose(plan.file, plan.position, "F113", f"unknown stage `{name}`", hint)])


def resolve_stage(plan: Plan, name: str, *, region: str | None = None, home_region: str | None = None) -> StagePlan:
    """The stage `name` of `plan` with regions, queues, config, secrets and successors filled in.

    `region` is used by aws sectors that name none; `home_region` (plan.lock's) holds the queues unless the plan
    names another, else the first aws sector's region does. Raises PlanError for an unknown stage (F113), when an aws
    sector has no region at all (F512), or when `region` lies in another partition than the stage (F506);
    FactoryError when an aws sector would use a `region` that does not exist, or `home_region` is none for the stage.
    """
    stage = find_stage(plan, name)
    workflow = plan.workflows.get(stage.workflow or "")
    edges = feeds(workflow)
    where = candidates(stage.sectors)
    missing = [
        diagnose(
            plan.file,
            sector.position,
            "F512",
            f"the aws sector `{sector.name}` has no region",
            "add `region_name`, or set a default with --region or AWS_REGION",
        )
        for sector in stage.sectors
        if sector.type is SectorType.AWS and not (sector.region_name or region)
    ]
    if missing:
        raise PlanError(missing)
    if region is not None and needs_region(stage):
        _check_default_region(plan, stage, region)
        _check_regional(plan, stage, region)
    if home_region is not None and stage.home_region is None:
        _check_locked_home(stage, home_region, region)
    sectors = tuple(
        StageSector(
            name=sector.name,
            type=sector.type,
            bots=tuple(_stage_bots(plan, stage, sector, edges, where)),
            platform=sector.platform,
            region=(sector.region_name or region) if sector.type is SectorType.AWS else None,
            alarm=plan.alarms[sector.alarm] if sector.alarm else None,
            parameters=sector.parameters,
            options=sector.options,
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
        demolish_order=_end_order(stage, edges),
        home_region=(stage.home_region or home_region or regions[0]) if regions else None,
        protect=stage.protect,
        demolish_on_failure=plan.demolish_on_failure,
        jobs=stage.jobs,
        meta=plan.meta,
        tags=plan.tags,
        runs={name: run_definition(steps, where) for name, steps in step_workflows(plan, stage).items()},
        pools=stage.pools,
    )


def run_definition(workflow: StepsWorkflow, where: Candidates) -> Json:
    """What a run of `workflow` is made of, on a stage whose bots are `where`."""
    work = {}
    for path, one in workflow.work.items():
        places = where[one.bot]
        place = places.by_sector[one.sector] if one.sector else next(iter(places.by_sector.values()))
        work[path] = {"bot": one.bot, "queue": place.queue, "given": one.given}
    return json.loads(to_json(Definition(workflow.graph, work, workflow.items)))


def _check_default_region(plan: Plan, stage: Stage, region: str) -> None:
    known = partitions()
    if region not in known:
        remedy = did_you_mean(region, known) or "check --region, AWS_REGION and the AWS profile"
        raise FactoryError(f"unknown default region `{region}` for aws sectors without a `region_name`", remedy)
    named = [sector for sector in stage.sectors if sector.region_name]
    others = [sector for sector in named if known.get(sector.region_name or "") != known[region]]
    if others:
        message = f"`{others[0].region_name}` and the default region `{region}` are in different AWS partitions"
        hint = "add `region_name` to every aws sector of the stage"
        raise PlanError([diagnose(plan.file, others[0].position, "F506", message, hint)])


def _check_regional(plan: Plan, stage: Stage, region: str) -> None:
    """Refuse ARNs and zones of another region in sectors that use the default `region`; those of other sectors, and
    ids, are checked with the plan.
    """
    found = []
    for sector in stage.sectors:
        if sector.type is SectorType.AWS and sector.region_name is None:
            alarm = plan.alarms.get(sector.alarm or "")
            for one in (
                *regional_values(sector.parameters),
                *(regional_values(alarm.properties) if alarm is not None else ()),
            ):
                misfit = one.misfit(region)
                if misfit is not None:
                    message = f"`{shortened(one.text, 120)}` {misfit}, the default region of the sector `{sector.name}`"
                    hint = "add `region_name` to the sector, or use another default region"
                    found.append(diagnose(plan.file, sector.position, "F516", message, hint))
    if found:
        raise PlanError(found)


def _check_locked_home(stage: Stage, home: str, region: str | None) -> None:
    known = partitions()
    kept = f"plan.lock keeps the queues of stage `{stage.name}` in `{home}`"
    remedy = "restore plan.lock from version control, or add `home_region` to the stage"
    if home not in known:
        raise FactoryError(f"{kept}, which is not a known region", remedy)
    regions = [one.region_name or region for one in stage.sectors if one.type is SectorType.AWS]
    others = [one for one in regions if known.get(one or "") != known[home]]
    if others:
        raise FactoryError(f"{kept}, in another AWS partition than `{others[0]}`", remedy)


def _stage_bots(plan: Plan, stage: Stage, sector: Sector, edges: Feeds, where: Candidates) -> Iterable[StageBot]:
    # From far to near. Settings of a bot are nearer than those of a stage or sector: they are about that
    # bot alone. The nearest are those of the bot in one sector.
    shared = plan.settings.under(stage.settings).under(sector.settings)
    for sector_bot in sector.bots:
        bot = plan.bots[sector_bot.name]
        arguments = sector_bot.arguments
        settings = shared.under(bot.settings).under(arguments.settings)
        yield StageBot(
            bot=bot,
            sector=sector.name,
            queue=queue_of(sector_bot),
            arguments=arguments,
            config=settings.config,
            secrets=settings.secrets,
            successors=successors(sector_bot, sector, edges, where),
            python=arguments.python or sector.python,
        )


def _end_order(stage: Stage, edges: Feeds) -> tuple[str, ...]:
    """The bots of a stage in the order in which they are taken down: breadth-first along the workflow, so that
    no bot ends before those that feed it; bots outside the workflow last, in the order of the plan.
    """
    fed_by: dict[str, dict[str, None]] = {bot.name: {} for sector in stage.sectors for bot in sector.bots}
    for bot in {(bot.name, bot.arguments.workflow): bot for sector in stage.sectors for bot in sector.bots}.values():
        fed_by[bot.name] |= dict.fromkeys(name for name in following(bot, edges) if name in fed_by)
    return breadth_first(fed_by)


def needs_region(stage: Stage) -> bool:
    """Whether an aws sector of the stage names no region, so that a default is needed."""
    return any(sector.type is SectorType.AWS and sector.region_name is None for sector in stage.sectors)
