"""The next plan.lock: what a pack found, and what is kept of the lock before it."""

from __future__ import annotations

from dataclasses import replace

from factory_cdk.pack.lockfile import Lock, LockedBot
from factory_cdk.pack.report import PackReport
from factory_cdk.pack.requirements.changes import dependency_changes
from factory_cdk.pack.staleness import Change
from factory_cdk.plan.model import Plan


def locked_anew(plan: Plan, report: PackReport, before: Lock | None) -> Lock:
    """The lock that a pack makes: its bots as they were packed, other bots of the plan as they were locked.

    Regions and stacks stay as in `before` (`dataclasses.replace` sets them). FactoryError that shows
    every failure when a bot could not be packed.
    """
    report.refuse_failures()
    packed = {made.bot: made.locked for made in report.bots if made.locked is not None}
    kept = {} if before is None else {name: bot for name, bot in before.bots.items() if name in plan.bots}
    return replace(before or Lock(plan.name), factory=plan.name, bots={**kept, **packed})


def differences(before: Lock | None, after: Lock) -> tuple[Change, ...]:
    """What a new lock changes, bot by bot: commits, versions, sources; nothing for a bot that stays as it was."""
    was = {} if before is None else before.bots
    found = []
    for name in sorted({*was, *after.bots}):
        if name not in after.bots:
            found.append(Change(name, "removed"))
        elif name not in was:
            bot = after.bots[name]
            count = len(bot.requirements)
            requirements = f"{count or 'no'} {'requirement' if count == 1 else 'requirements'}"
            what = f"commit {bot.commit[:12]}" if bot.commit else requirements
            found.append(Change(name, f"new: {what}"))
        elif was[name] != after.bots[name]:
            found += [Change(name, what) for what in _of_bot(was[name], after.bots[name])]
    return tuple(found)


def _of_bot(was: LockedBot, now: LockedBot) -> list[str]:
    found = []
    if was.commit != now.commit and was.commit and now.commit:
        found.append(f"commit {was.commit[:12]} → {now.commit[:12]}")
    for one in dependency_changes(was.requirements, now.requirements):
        if one.before != one.after:
            found.append(f"{one.name} {one.before or 'new'} → {one.after or 'removed'}")
    return found or ["its entry changed"]
