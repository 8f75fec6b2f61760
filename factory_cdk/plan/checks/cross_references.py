"""Checks that relate two places of a plan: references, names on AWS, unused and unpinned parts, regions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from factory_cdk.plan.arguments import workflow_item
from factory_cdk.plan.checks.instance_options import check_spot_alarms
from factory_cdk.plan.checks.job_times import check_job_times
from factory_cdk.plan.checks.launchers import check_launchers
from factory_cdk.plan.checks.regions import check_regions
from factory_cdk.plan.checks.routes import check_routes
from factory_cdk.plan.checks.shared_resources import check_shared
from factory_cdk.plan.checks.size import check_size
from factory_cdk.plan.checks.stage_steps import check_steps
from factory_cdk.plan.checks.tags import check_tag_count
from factory_cdk.plan.defined import Defined
from factory_cdk.plan.facts import partitions
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import GitSource, Plan, PypiSource, SectorType, Stage
from factory_cdk.plan.names import hyphenated, logical
from factory_cdk.plan.yaml.nodes import Path


def check_references(plan: Plan, defined: Defined, findings: Findings, *, locked: bool) -> None:
    """Add every problem between the parts of `plan`, which defines the names `defined`; `locked` says that there is a
    plan.lock next to the plan.
    """
    used: set[str] = set()
    if not check_size(plan, findings):
        return
    for stage in plan.stages.values():
        path: Path = ("factory", "stages", stage.name)
        used |= {bot.name for sector in stage.sectors for bot in sector.bots}
        _check_sectors(stage, plan, defined, path, findings)
        check_routes(stage, plan, defined, path, findings)
        check_launchers(stage, plan, path, findings)
        check_job_times(stage, path, findings)
        _check_name_conflicts([sector.name for sector in stage.sectors], path, "sectors", findings)
        _check_partitions(stage, path, findings)
    _check_name_conflicts(plan.stages, ("factory", "stages"), "stages", findings)
    _check_name_conflicts(defined.bots.known, ("factory", "bots"), "bots", findings)
    for name in defined.bots.known if not _unseen("bots", findings) else ():
        if name not in used and plan.stages:
            hint = "add it to a sector, or remove it"
            findings.at_key(("factory", "bots", name), "F311", f"unused bot `{name}`: no stage uses it", hint)
    check_steps(plan, findings)
    _check_unused(plan, findings)
    check_regions(plan, findings)
    check_shared(plan, findings)
    check_spot_alarms(plan, findings)
    if not locked:
        _check_pins(plan, findings)


def _check_sectors(stage: Stage, plan: Plan, defined: Defined, path: Path, findings: Findings) -> None:
    bots, alarms = defined.bots, defined.alarms
    for sector in stage.sectors:
        for bot in sector.bots:
            spot = (*path, sector.name, "bots", bot.name)
            if bots.is_undefined(bot.name):
                message = f"undefined bot `{bot.name}` in the sector `{sector.name}`"
                findings.at_key(spot, "F201", message, findings.suggest(bot.name, bots.known))
            for name in bot.arguments.workflow or ():
                if bots.is_undefined(name):
                    message = f"undefined bot `{name}` in the `workflow` of `{bot.name}`"
                    findings.at_key(
                        workflow_item(spot, name, findings), "F201", message, findings.suggest(name, bots.known)
                    )
        if sector.alarm is not None and alarms.is_undefined(sector.alarm):
            message = f"undefined alarm `{sector.alarm}` in the sector `{sector.name}`"
            hint = findings.suggest(sector.alarm, alarms.known)
            findings.at_value((*path, sector.name, "alarm"), "F203", message, hint)
        check_tag_count(sector, plan.tags, (*path, sector.name, "parameters", "Tags"), findings)


def _check_name_conflicts(names: Iterable[str], path: Path, kind: str, findings: Findings) -> None:
    """Refuse names that become one in stack names, role names (IAM ignores case) or logical ids."""
    seen: dict[str, str] = {}
    for name in names:
        for form in {hyphenated(name).casefold(), logical(name).casefold() + "\0"}:
            first = seen.setdefault(form, name)
            if first != name:
                message = f"the {kind} `{first}` and `{name}` would have the same name on AWS"
                findings.at_key(
                    (*path, name), "F511", message, "choose names that differ in more than `_`, `-` and case"
                )
                break


def _check_partitions(stage: Stage, path: Path, findings: Findings) -> None:
    """Refuse regions of different partitions in one stage: no account spans them."""
    spots = [
        (sector.region_name, (*path, sector.name, "region_name"))
        for sector in stage.sectors
        if sector.type is SectorType.AWS
    ]
    regions = [(region, spot) for region, spot in spots if region in partitions()]
    if stage.home_region in partitions():
        regions.append((stage.home_region, (*path, "home_region")))
    for region, spot in regions[1:]:
        first = regions[0][0]
        if partitions()[region or ""] != partitions()[first or ""]:
            message = f"`{region}` and `{first}` are in different AWS partitions, which share no account"
            findings.at_value(spot, "F506", message, "give each partition a stage of its own")


def _unseen(key: str, findings: Findings) -> bool:
    """Whether some stage or sector may have a `key` that is not seen: it is misspelled or has been left out."""
    stages: Path = ("factory", "stages")
    return findings.is_misspelled(key, stages) or findings.is_partial(stages)


def _check_unused(plan: Plan, findings: Findings) -> None:
    workflows = {stage.workflow for stage in plan.stages.values()}
    alarms = {sector.alarm for stage in plan.stages.values() for sector in stage.sectors}
    for name in plan.workflows if not _unseen("workflow", findings) else ():
        if name not in workflows and plan.workflows[name].steps is None:
            hint = "set it as the `workflow` of a stage, or remove it"
            findings.at_key(("factory", "workflows", name), "F310", f"unused workflow `{name}`: no stage uses it", hint)
    for name in plan.alarms if not _unseen("alarm", findings) else ():
        if name not in alarms:
            hint = "set it as the `alarm` of an aws sector, or remove it"
            findings.at_key(("factory", "alarms", name), "F514", f"unused alarm `{name}`: no sector uses it", hint)


def _check_pins(plan: Plan, findings: Findings) -> None:
    for bot in plan.bots.values():
        source = bot.source
        path: Path = ("factory", "bots", bot.name, "source")
        if isinstance(source, GitSource) and not re.fullmatch("[0-9a-f]{40}", source.branch or ""):
            what = f"the branch or tag `{source.branch}`" if source.branch else "the default branch"
            what = f"the current commit of {what}"
        elif isinstance(source, PypiSource) and not re.fullmatch(r"[0-9][A-Za-z0-9_.!+-]*", source.version or ""):
            what = f"the latest version that `{source.version}` allows" if source.version else "the latest version"
        else:
            continue
        message = f"unpinned source of `{bot.name}`: each pack fetches {what}"
        findings.at_key(path, "F402", message, "run `factory-cdk lock` and commit plan.lock")
