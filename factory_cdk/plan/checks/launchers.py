"""Checks that the launcher of each bot of a stage can start it, and that jobs can pass from it to the next."""

from __future__ import annotations

from factory_cdk.launchers import DEFAULT, LAUNCHERS, name_of
from factory_cdk.launchers.base import Launcher
from factory_cdk.plan.arguments import argument_path
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Plan, SectorBot, Stage
from factory_cdk.plan.successors import candidates, feeds, successors
from factory_cdk.plan.yaml.nodes import Path, ScalarNode, locate


def check_launchers(stage: Stage, plan: Plan, path: Path, findings: Findings) -> None:
    """Add every bot of `stage`, whose key is at `path`, that its launcher does not start, or that would pass jobs to
    one which gets its jobs from elsewhere.
    """
    if all(bot.arguments.launcher == DEFAULT for sector in stage.sectors for bot in sector.bots):
        return
    edges, where = feeds(plan.workflows.get(stage.workflow or "")), candidates(stage.sectors)
    spots = {
        (sector.name, bot.name): (*path, sector.name, "bots", bot.name)
        for sector in stage.sectors
        for bot in sector.bots
    }
    launchers = {
        (sector.name, bot.name): _launcher(bot, plan, spots[sector.name, bot.name], findings)
        for sector in stage.sectors
        for bot in sector.bots
    }
    for sector in stage.sectors:
        for bot in sector.bots:
            launcher, spot = launchers[sector.name, bot.name], spots[sector.name, bot.name]
            if launcher is None:
                continue
            defined = plan.bots[bot.name]
            if refusal := launcher.validate(defined.bot_path, defined.command):
                at = argument_path(spot, "launcher", findings)
                findings.at_value(at, "F313", f"`{bot.name}` {refusal.message}", refusal.hint)
            for to in successors(bot, sector, edges, where):
                other = launchers[to.sector, to.bot]
                if other is not None and other.transport != launcher.transport:
                    message = (
                        f"jobs cannot pass from `{bot.name}` to `{to.bot}`: one has `launcher: {launcher.name}`, the "
                        f"other `launcher: {other.name}`, and each gets its jobs from queues of its own"
                    )
                    hint = "start both in the same way, or take the edge out of the workflow"
                    findings.at_key(spot, "F314", message, hint)


def _launcher(bot: SectorBot, plan: Plan, spot: Path, findings: Findings) -> Launcher | None:
    """The launcher of a bot; None where what the plan says of it is wrong already."""
    defined = plan.bots.get(bot.name)
    if defined is None or (defined.bot_path is None) == (defined.command is None):
        return None
    if findings.is_misspelled("launcher", spot) or findings.is_partial(spot):
        return None
    at = argument_path(spot, "launcher", findings)
    node = locate(findings.root, at).node
    if at != spot and not (isinstance(node, ScalarNode) and node.value == bot.arguments.launcher):
        return None  # it is something else than a name
    return LAUNCHERS.get(name_of(bot.arguments.launcher, defined.command))
