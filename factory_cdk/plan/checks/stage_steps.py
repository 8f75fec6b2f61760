"""Checks which stages can run the workflows of steps: their bots, their pools, and where they run."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.launchers import LAUNCHERS, name_of
from factory_cdk.launchers.base import FACTORY_QUEUES
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Plan, SectorType, Stage, StepsWorkflow, Workflow
from factory_cdk.plan.yaml.nodes import Path

MAX_SHOWN = 5


def check_steps(plan: Plan, findings: Findings) -> None:
    """Add every problem between workflows of steps and the stages that are to run them."""
    for workflow in plan.workflows.values():
        if workflow.steps is None:
            continue
        path: Path = ("factory", "workflows", workflow.name)
        told = [stage for stage in plan.stages.values() if stage.workflow == workflow.name]
        for stage in told:
            for why in reasons(plan, stage, workflow.steps):
                message = f"the stage `{stage.name}` cannot run the workflow `{workflow.name}`: {why}"
                findings.at_value(("factory", "stages", stage.name, "workflow"), "F319", message, _HINT)
        able = [stage for stage in plan.stages.values() if can_run(plan, stage, workflow.steps)]
        if not able and not told and plan.stages and not _is_unseen(findings, path):
            shown = [f"`{one.name}`: {next(reasons(plan, one, workflow.steps))}" for one in plan.stages.values()]
            more = f"; and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
            message = f"no stage can run the workflow `{workflow.name}`: {'; '.join(shown[:MAX_SHOWN])}{more}"
            findings.at_key(path, "F319", message, _HINT)
        for stage in able:
            _check_pools(stage, workflow, workflow.steps, findings)


_HINT = "a stage can run a workflow of steps when all its bots are in local sectors of the stage"


def can_run(plan: Plan, stage: Stage, workflow: StepsWorkflow) -> bool:
    """Whether `stage` has all that the steps of `workflow` need, pools apart."""
    return next(reasons(plan, stage, workflow), None) is None


def step_workflows(plan: Plan, stage: Stage) -> dict[str, StepsWorkflow]:
    """The workflows of steps that `stage` can run, by their names."""
    found = {name: workflow.steps for name, workflow in plan.workflows.items() if workflow.steps is not None}
    return {name: steps for name, steps in found.items() if can_run(plan, stage, steps)}


def reasons(plan: Plan, stage: Stage, workflow: StepsWorkflow) -> Iterator[str]:
    """Why `stage` cannot run `workflow`, in words."""
    if any(sector.type is SectorType.AWS for sector in stage.sectors):
        yield "it has sectors on AWS, where runs of steps are not supported"
    where = {(sector.name, bot.name): bot for sector in stage.sectors for bot in sector.bots}
    bots = {bot for _, bot in where}
    sectors = {sector.name for sector in stage.sectors}
    for path, work in workflow.work.items():
        if work.bot not in plan.bots:
            continue  # that is reported already
        if work.bot not in bots:
            yield f"it has no bot `{work.bot}`, which is the step `{path}`"
        elif work.sector is not None and work.sector not in sectors:
            yield f"it has no sector `{work.sector}`, in which the step `{path}` runs"
        elif work.sector is not None and (work.sector, work.bot) not in where:
            yield f"its sector `{work.sector}` has no bot `{work.bot}`, which is the step `{path}`"
        else:
            there = next(
                bot for (sector, name), bot in where.items() if name == work.bot and work.sector in (None, sector)
            )
            bot = plan.bots.get(work.bot)
            launcher = LAUNCHERS.get(name_of(there.arguments.launcher, bot.command if bot else None))
            if launcher is not None and launcher.transport != FACTORY_QUEUES:
                yield f"its bot `{work.bot}`, which is the step `{path}`, gets its jobs from {launcher.transport}"


def _check_pools(stage: Stage, workflow: Workflow, steps: StepsWorkflow, findings: Findings) -> None:
    for path, placed in steps.graph.placed.items():
        for pool, amount in placed.step.acquire:
            spot = (*steps.places[path], "acquire", pool)
            if pool not in stage.pools:
                message = f"`{path}` acquires {amount} of the pool `{pool}`, and the stage `{stage.name}` has none"
                hint = findings.suggest(pool, stage.pools) or f"add `pools: {{{pool}: {amount}}}` to the stage"
                findings.at_key(spot, "F320", message, hint)
            elif amount > stage.pools[pool]:
                has = f"which has {stage.pools[pool]} in the stage `{stage.name}`"
                message = f"`{path}` acquires {amount} of the pool `{pool}`, {has}: it could never start"
                findings.at_value(spot, "F320", message, "acquire less, or make the pool larger")


def _is_unseen(findings: Findings, path: Path) -> bool:
    partial = findings.is_partial(("factory", "stages")) or findings.is_partial(path)
    return partial or findings.is_misspelled("bots") or findings.is_misspelled("steps")
