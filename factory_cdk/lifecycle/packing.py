"""Packing the bots of a plan for a verb: how it is shown is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from factory_cdk.home import pack_cache
from factory_cdk.pack import Lock, PackReport, lock_path, pack, read_lock, refuse_stale
from factory_cdk.plan.model import Bot, Plan
from factory_cdk.plan.stage import find_stage

Pack = Callable[[Plan, Sequence[Bot], Lock | None], PackReport]
"""Packs bots with what the lock pins; failures are in the report."""


def pack_quietly(plan: Plan, bots: Sequence[Bot], lock: Lock | None) -> PackReport:
    """Pack into the cache of this user, without progress."""
    return pack(plan, bots, cache=pack_cache(), lock=lock)


def pack_bots(plan: Plan, stage: str | None = None, *, locked: bool = False, pack: Pack = pack_quietly) -> PackReport:
    """Pack the bots of `stage`, or of the whole plan, in the order of the plan. PlanError where there is no such stage;
    with `locked` FactoryError when plan.lock does not hold. Failures are in the report.
    """
    bots = tuple(plan.bots.values())
    if stage is not None:
        named = {bot.name for sector in find_stage(plan, stage).sectors for bot in sector.bots}
        bots = tuple(bot for bot in bots if bot.name in named)
    lock = read_lock(lock_path(plan))
    return pack(plan, bots, refuse_stale(lock, plan, bots) if locked else lock)
