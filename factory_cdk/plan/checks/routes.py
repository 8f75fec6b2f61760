"""Checks where the jobs of a stage go: who reads which queue, which steps of its workflow are left, cycles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

from factory_cdk.plan.arguments import workflow_item
from factory_cdk.plan.checks.stage_steps import step_workflows
from factory_cdk.plan.cycles import REMOVE_REFERENCE, find_cycles
from factory_cdk.plan.defined import Defined
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Plan, Sector, SectorBot, Stage, Workflow
from factory_cdk.plan.successors import Candidates, Feeds, candidates, choose, feeds, following, queue_of
from factory_cdk.plan.yaml.nodes import Path

MAX_SHOWN = 5
"""How many names a message lists, and how many warnings one bot gets about its successors."""


def check_routes(stage: Stage, plan: Plan, defined: Defined, path: Path, findings: Findings) -> None:
    """Add every problem with the queues and the workflow of `stage`, whose key is at `path`."""
    where = candidates(stage.sectors)
    _check_queues(stage, path, findings)
    if stage.workflow is None:
        own = any(bot.arguments.workflow for sector in stage.sectors for bot in sector.bots)
        unseen = findings.is_misspelled("workflow", path) or findings.is_partial(path)
        if len(where) > 1 and not own and not unseen and not step_workflows(plan, stage):
            message = f"the stage `{stage.name}` has {len(where)} bots and no `workflow`"
            hint = "jobs end at the bot that they are submitted to; set `workflow` if they must go on to other bots"
            findings.at_key(path, "F309", message, hint)
    elif defined.workflows.is_undefined(stage.workflow):
        message = f"undefined workflow `{stage.workflow}` in the stage `{stage.name}`"
        findings.at_value(
            (*path, "workflow"), "F202", message, findings.suggest(stage.workflow, defined.workflows.known)
        )
        return
    elif stage.workflow in plan.workflows and not _unseen_steps(stage.workflow, path, findings):
        _check_edges_left(stage, plan.workflows[stage.workflow], where, (*path, "workflow"), findings)
    edges = feeds(plan.workflows.get(stage.workflow or ""))
    _check_own_workflows(stage, edges, where, path, findings)
    _check_ambiguous(stage, edges, where, path, findings)


def _unseen_steps(workflow: str, path: Path, findings: Findings) -> bool:
    """Whether the stage at `path` may have bots, or its workflow steps, that are misspelled or have been left out."""
    partial = findings.is_partial(path) or findings.is_partial(("factory", "workflows", workflow))
    return partial or findings.is_misspelled("bots", path)


def _check_queues(stage: Stage, path: Path, findings: Findings) -> None:
    readers: dict[str, tuple[str, str]] = {}
    for sector in stage.sectors:
        for bot in sector.bots:
            queue = queue_of(bot)
            reader, where = readers.setdefault(queue, (bot.name, sector.name))
            if reader != bot.name:
                message = (
                    f"the queue `{queue}` is shared by two bots: `{bot.name}` and, in the sector `{where}`, `{reader}`"
                )
                hint = "each would receive jobs of the other: give one of them another `queue-name`"
                findings.at_key((*path, sector.name, "bots", bot.name), "F308", message, hint)


def _check_edges_left(stage: Stage, workflow: Workflow, where: Candidates, spot: Path, findings: Findings) -> None:
    left = any(edge.parent in where and edge.child in where for edge in workflow.edges)
    if workflow.edges and not left:
        message = (
            f"the workflow `{workflow.name}` has no effect: the stage `{stage.name}` has no two connected bots of it"
        )
        hint = "add two connected bots to sectors of the stage, or remove its `workflow`"
        findings.at_value(spot, "F304", message, hint)
        return
    parents: dict[str, list[str]] = defaultdict(list)
    for edge in workflow.edges:
        if edge.child not in where and edge.parent in where:
            parents[edge.child].append(f"`{edge.parent}`")
    hint = "add it to a sector of the stage if it must process jobs there"
    for bot in dict.fromkeys(name for edge in workflow.edges for name in (edge.parent, edge.child)):
        if bot not in where:
            fed_by = parents.get(bot, [])
            end = f"jobs end at {_listed(fed_by, len(fed_by))}" if fed_by else "the bots after it get no jobs from it"
            message = f"the bot `{bot}` of the workflow `{workflow.name}` is not in the stage `{stage.name}`: {end}"
            findings.at_value(spot, "F305", message, hint)


def _check_own_workflows(stage: Stage, edges: Feeds, where: Candidates, path: Path, findings: Findings) -> None:
    """Check the `workflow` arguments of bots, which replace what the stage's workflow says of them."""
    spots: dict[tuple[str, str], Path] = {}
    if all(bot.arguments.workflow is None for sector in stage.sectors for bot in sector.bots):
        return
    for sector in stage.sectors:
        for bot in sector.bots:
            spot = (*path, sector.name, "bots", bot.name)
            own = bot.arguments.workflow
            twice = _repeated(own or ())
            if twice is not None:
                message = f"duplicate successor: `{bot.name}` is followed by `{twice}` twice"
                second = workflow_item(spot, twice, findings, last=True)
                findings.at_key(second, "F303", message, "remove one of them")
            for name in own or () if not findings.is_partial(path) else ():
                if name not in where:
                    message = f"the bot `{name}` in the `workflow` of `{bot.name}` is not in the stage `{stage.name}`"
                    item = workflow_item(spot, name, findings)
                    findings.at_key(item, "F305", message, "add it to a sector of the stage, or remove it")
            for name in following(bot, edges):
                spots.setdefault((bot.name, name), spot)
    for cycle in find_cycles((), spots):
        message = f"cycle in the stage `{stage.name}`: {cycle.shown}"
        item = workflow_item(spots[cycle.edge], cycle.edge[1], findings)
        findings.at_key(item, "F302", message, REMOVE_REFERENCE)


def _check_ambiguous(stage: Stage, edges: Feeds, where: Candidates, path: Path, findings: Findings) -> None:
    several = {name for name, places in where.items() if len(places.queues) > 1}
    if not several:
        return
    for sector in stage.sectors:
        for bot in sector.bots:
            next_bots = (name for name in following(bot, edges) if name in several)
            for name in islice(next_bots, MAX_SHOWN):
                _warn_ambiguous(sector, bot, name, where, (*path, sector.name, "bots", bot.name), findings)


def _warn_ambiguous(
    sector: Sector, parent: SectorBot, child: str, where: Candidates, spot: Path, findings: Findings
) -> None:
    places = where[child]
    chosen = choose(sector.name, sector.type, places)
    others = [f"`{queue}`" for queue in islice(places.queues, MAX_SHOWN + 2) if queue != chosen.queue]
    rest = _listed(others, len(places.queues) - 1)
    message = (
        f"`{child}` runs in {len(places.by_sector)} sectors with different queues: jobs from `{parent.name}` on "
        f"`{sector.name}` go to `{chosen.queue}` on `{chosen.sector}`, never to {rest}"
    )
    findings.at_key(spot, "F306", message, "give the bot the same `queue-name` in all these sectors to share its jobs")


def _listed(names: Sequence[str], count: int) -> str:
    """Up to MAX_SHOWN of `names`, which are the first of `count`."""
    if count > MAX_SHOWN:
        return f"{', '.join(names[:MAX_SHOWN])} and {count - MAX_SHOWN} more"
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _repeated(names: Iterable[str]) -> str | None:
    """The first of `names` that is a duplicate, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
