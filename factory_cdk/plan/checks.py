"""Checks that relate two places of a plan: references, queues, names on AWS, and what would surprise."""

from __future__ import annotations

import re
from collections.abc import Iterable

from factory_cdk.plan.facts import partitions
from factory_cdk.plan.findings import Findings, did_you_mean
from factory_cdk.plan.model import GitSource, Plan, PypiSource, Sector, SectorType, Stage
from factory_cdk.plan.names import hyphenated, logical
from factory_cdk.plan.nodes import Path
from factory_cdk.plan.successors import Candidates, candidates, choose, following, queue_of
from factory_cdk.plan.workflows import closing_edges


def check_references(plan: Plan, bot_names: Iterable[str], findings: Findings, *, locked: bool) -> None:
    """Add every problem between the parts of `plan`. `bot_names` are all names under `bots`, also of refused
    ones; `locked` says that a plan.lock stands beside the plan.
    """
    known = list(bot_names)
    used: set[str] = set()
    for stage in plan.stages.values():
        path: Path = ("factory", "stages", stage.name)
        used |= {bot.name for sector in stage.sectors for bot in sector.bots}
        _check_sectors(stage, plan, known, path, findings)
        _check_queues(stage, path, findings)
        _check_stage_workflow(stage, plan, path, findings)
        _check_alike([sector.name for sector in stage.sectors], path, "sectors", findings)
        _check_partitions(stage, path, findings)
    _check_alike(plan.stages, ("factory", "stages"), "stages", findings)
    _check_alike(known, ("factory", "bots"), "bots", findings)
    for name in known:
        if name not in used and plan.stages:
            findings.at_key(("factory", "bots", name), "F311", f"no stage uses the bot `{name}`")
    _check_unused(plan, findings)
    if not locked:
        _check_pins(plan, findings)


def _check_sectors(stage: Stage, plan: Plan, known: list[str], path: Path, findings: Findings) -> None:
    for sector in stage.sectors:
        for bot in sector.bots:
            spot = (*path, sector.name, "bots", bot.name)
            if bot.name not in known:
                message = f"the sector `{sector.name}` runs the bot `{bot.name}`, which `bots` does not define"
                findings.at_key(spot, "F201", message, did_you_mean(bot.name, known))
            for name in bot.arguments.workflow or ():
                if name not in known:
                    message = f"the workflow of `{bot.name}` names the bot `{name}`, which `bots` does not define"
                    findings.at_key(spot, "F201", message, did_you_mean(name, known))
        if sector.alarm is not None and sector.alarm not in plan.alarms:
            message = f"the sector `{sector.name}` names the alarm `{sector.alarm}`, which `alarms` does not define"
            findings.at_value((*path, sector.name, "alarm"), "F203", message, did_you_mean(sector.alarm, plan.alarms))


def _check_queues(stage: Stage, path: Path, findings: Findings) -> None:
    readers: dict[str, tuple[str, str]] = {}
    for sector in stage.sectors:
        for bot in sector.bots:
            queue = queue_of(bot)
            reader, where = readers.setdefault(queue, (bot.name, sector.name))
            if reader != bot.name:
                message = f"the queue `{queue}` is read by `{bot.name}` and, on `{where}`, by `{reader}`"
                hint = "each would take jobs meant for the other: give one of them another `queue-name`"
                findings.at_key((*path, sector.name, "bots", bot.name), "F308", message, hint)


def _check_stage_workflow(stage: Stage, plan: Plan, path: Path, findings: Findings) -> None:
    where = candidates(stage.sectors)
    if stage.workflow is None:
        own = any(bot.arguments.workflow for sector in stage.sectors for bot in sector.bots)
        if len(where) > 1 and not own:
            message = f"the stage `{stage.name}` has {len(where)} bots and no `workflow`"
            findings.at_key(path, "F309", message, "jobs end at the bot that they are submitted to")
    elif stage.workflow not in plan.workflows:
        message = f"the stage `{stage.name}` names the workflow `{stage.workflow}`, which `workflows` does not define"
        hint = did_you_mean(stage.workflow, plan.workflows)
        findings.at_value((*path, "workflow"), "F202", message, hint)
        return
    else:
        _check_edges_left(stage, plan, where, path, findings)
    workflow = plan.workflows.get(stage.workflow or "")
    pairs: dict[tuple[str, str], Path] = {}
    for sector in stage.sectors:
        for bot in sector.bots:
            spot = (*path, sector.name, "bots", bot.name)
            names = following(bot, workflow)
            if len(set(names)) < len(names):
                findings.at_key(spot, "F303", f"the workflow of `{bot.name}` names a bot twice")
            for name in names:
                pairs.setdefault((bot.name, name), spot)
                _check_ambiguous(sector, bot.name, name, where, spot, findings)
    if any(bot.arguments.workflow is not None for sector in stage.sectors for bot in sector.bots):
        for parent, child in closing_edges((), pairs):
            message = f"on the stage `{stage.name}` jobs go round in a circle: `{parent}` feeds `{child}`"
            findings.at_key(pairs[parent, child], "F302", message, "a workflow ends somewhere: remove a reference")


def _check_edges_left(stage: Stage, plan: Plan, where: Candidates, path: Path, findings: Findings) -> None:
    workflow = plan.workflows[stage.workflow or ""]
    here = set(where)
    spot = (*path, "workflow")
    left = [edge for edge in workflow.edges if edge.parent in here and edge.child in here]
    if workflow.edges and not left:
        message = f"no step of the workflow `{workflow.name}` is left on the stage `{stage.name}`"
        hint = "put both bots of a step on the stage, or remove the stage's `workflow`"
        findings.at_value(spot, "F304", message, hint)
        return
    for bot in dict.fromkeys(name for edge in workflow.edges for name in (edge.parent, edge.child)):
        if bot in here:
            continue
        parents = [f"`{edge.parent}`" for edge in workflow.edges if edge.child == bot and edge.parent in here]
        end = f"the chain ends at {' and '.join(parents)}" if parents else "what it feeds gets nothing from it"
        message = f"`{bot}` of the workflow `{workflow.name}` is not on the stage `{stage.name}`: {end}"
        findings.at_value(spot, "F305", message)


def _check_ambiguous(
    sector: Sector, parent: str, child: str, where: Candidates, spot: Path, findings: Findings
) -> None:
    found = where.get(child, [])
    if len({candidate.queue for candidate in found}) < 2:
        return
    chosen = choose(sector.name, sector.type, found)
    others = ", ".join(f"`{queue}`" for queue in dict.fromkeys(one.queue for one in found if one.queue != chosen.queue))
    message = (
        f"`{child}` runs in {len(found)} sectors with different queues: jobs from `{parent}` on `{sector.name}` "
        f"go to `{chosen.queue}` on `{chosen.sector}`, never to {others}"
    )
    findings.at_key(spot, "F306", message, "give the sectors of a bot one `queue-name` to share its jobs")


def _check_alike(names: Iterable[str], path: Path, kind: str, findings: Findings) -> None:
    """Refuse names that become one in stack names, role names (IAM ignores case) or logical ids."""
    seen: dict[str, str] = {}
    for name in names:
        for form in {hyphenated(name).casefold(), logical(name).casefold() + "\0"}:
            first = seen.setdefault(form, name)
            if first != name:
                message = f"the {kind} `{first}` and `{name}` would have the same name on AWS"
                findings.at_key((*path, name), "F511", message, "let them differ in more than `_`, `-` and case")
                break


def _check_partitions(stage: Stage, path: Path, findings: Findings) -> None:
    first: tuple[str, str] | None = None
    for sector in stage.sectors:
        partition = partitions().get(sector.region_name or "")
        if sector.type is not SectorType.AWS or partition is None:
            continue
        first = first or (sector.region_name or "", partition)
        if partition != first[1]:
            message = f"`{sector.region_name}` and `{first[0]}` are in different AWS partitions, which share no account"
            hint = "give each partition a stage of its own"
            findings.at_value((*path, sector.name, "region_name"), "F506", message, hint)


def _check_unused(plan: Plan, findings: Findings) -> None:
    workflows = {stage.workflow for stage in plan.stages.values()}
    alarms = {sector.alarm for stage in plan.stages.values() for sector in stage.sectors}
    for name in plan.workflows:
        if name not in workflows:
            findings.at_key(("factory", "workflows", name), "F310", f"no stage uses the workflow `{name}`")
    for name in plan.alarms:
        if name not in alarms:
            findings.at_key(("factory", "alarms", name), "F514", f"no sector uses the alarm `{name}`")


def _check_pins(plan: Plan, findings: Findings) -> None:
    for bot in plan.bots.values():
        source = bot.source
        path: Path = ("factory", "bots", bot.name, "source")
        if isinstance(source, GitSource) and not re.fullmatch("[0-9a-f]{40}", source.branch or ""):
            what = f"the branch `{source.branch}`" if source.branch else "the remote's default branch"
        elif isinstance(source, PypiSource) and not re.fullmatch(r"[0-9][\w.!+]*", source.version or ""):
            what = f"`{source.package} {source.version}`" if source.version else "the latest version"
        else:
            continue
        message = f"`{bot.name}` is not pinned: each pack takes {what} as it is then"
        findings.at_key(path, "F402", message, "run `factory-cdk lock` and commit plan.lock")
