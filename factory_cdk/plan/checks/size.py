"""Limits the size of a plan after its stages are resolved: routes and settings multiply with sectors."""

from __future__ import annotations

import json

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Plan, Settings
from factory_cdk.plan.successors import feeds, following

MAX_EXPANSION = 5_000_000
"""How much the stages of a plan may expand to, in routes and pieces of settings: 1,000 sectors with four bots,
each with 20 successors and 10 kB of config, make 1,400,000.
"""

_PIECE = 32
"""Characters of settings that weigh as much as one route."""


def check_size(plan: Plan, findings: Findings) -> bool:
    """Whether the stages of `plan` can be resolved in bounded time and memory; else F606 at the stage that is
    too much.
    """
    expansion = 0
    own = {name: _weight(bot.settings) for name, bot in plan.bots.items()}
    edges = {name: feeds(workflow) for name, workflow in plan.workflows.items()}
    for stage in plan.stages.values():
        workflow = plan.workflows.get(stage.workflow or "")
        stage_feeds = edges.get(stage.workflow or "", {})
        expansion += len(workflow.edges) if workflow else 0
        shared = _weight(plan.settings) + _weight(stage.settings)
        for sector in stage.sectors:
            inherited = shared + _weight(sector.settings)
            for bot in sector.bots:
                expansion += inherited + own.get(bot.name, 0) + _weight(bot.arguments.settings)
                expansion += len(following(bot, stage_feeds))
        if expansion > MAX_EXPANSION:
            message = (
                f"plan too large: up to the stage `{stage.name}` routes and settings expand to {expansion:,} entries"
            )
            hint = f"the limit is {MAX_EXPANSION:,}: split the factory, or move config closer to the bots that read it"
            findings.at_key(("factory", "stages", stage.name), "F606", message, hint)
            return False
    return True


def _weight(settings: Settings) -> int:
    if not settings.config and not settings.secrets:
        return 0
    return len(settings.secrets) + len(json.dumps(settings.config)) // _PIECE
