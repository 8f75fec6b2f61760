"""The next plan.lock: what a pack found, and what is kept of the lock before it."""

from __future__ import annotations

from dataclasses import replace

from factory_cdk.pack.lock import Lock
from factory_cdk.pack.report import PackReport
from factory_cdk.plan.model import Plan


def locked_anew(plan: Plan, report: PackReport, before: Lock | None) -> Lock:
    """The lock that a pack makes: its bots as they were packed, other bots of the plan as they were locked.

    Images, regions and stacks stay as in `before` (`dataclasses.replace` sets them). FactoryError that shows
    every failure when a bot could not be packed.
    """
    report.refuse_failures()
    packed = {made.bot: made.locked for made in report.bots if made.locked is not None}
    kept = {} if before is None else {name: bot for name, bot in before.bots.items() if name in plan.bots}
    return replace(before or Lock(plan.name), factory=plan.name, bots={**kept, **packed})
