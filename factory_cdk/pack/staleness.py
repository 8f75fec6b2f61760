"""Whether a plan.lock still says what a plan means, found out offline; and what changed, bot by bot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from factory_cdk.bundle import described
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.lockfile import Lock, LockedBot, lock_path, module_of
from factory_cdk.pack.requirements.additional import Additional, additional
from factory_cdk.pack.requirements.manifest import Manifest
from factory_cdk.pack.requirements.python_version import lowest_python
from factory_cdk.pack.sources.code import code_of_folder
from factory_cdk.pack.sources.requirements import manifest_of
from factory_cdk.plan.model import Bot, GitSource, PathSource, Plan
from factory_cdk.wheels import targets_of

_WORDS = {"url": "url", "ref": "branch", "package": "package", "version": "version", "path": "path"}


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which a plan is not what its lock says. `bot` is None where it is about the whole plan."""

    bot: str | None
    what: str


def stale(lock: Lock | None, plan: Plan, bots: Iterable[Bot] | None = None) -> tuple[Change, ...]:
    """What changed since `lock` was written, in the order of the plan; nothing when it still holds.

    With `bots` only these are looked at, and bots that the plan no longer has do not count. Path sources are
    read, nothing is fetched. A branch that moved on is no change: holding it still is what the lock is for.
    """
    if lock is None:
        return (Change(None, "there is no plan.lock"),)
    found = []
    if lock.factory != plan.name:
        found.append(Change(None, f"plan.lock belongs to the factory {lock.factory}, not to {plan.name}"))
    for bot in plan.bots.values() if bots is None else bots:
        found += [Change(bot.name, what) for what in changes_of(lock, plan, bot) + _of_manifest(lock, plan, bot)]
    if bots is None:
        found += [Change(name, "it is no longer in the plan") for name in lock.bots if name not in plan.bots]
    return tuple(found)


def refuse_stale(lock: Lock | None, plan: Plan, bots: Iterable[Bot] | None = None) -> Lock:
    """The lock, when it still holds; else a FactoryError that says what changed, bot by bot (`--locked`)."""
    changes = stale(lock, plan, bots)
    if lock is None or changes:
        lines = [f"  {change.bot}: {change.what}" if change.bot else f"  {change.what}" for change in changes]
        raise FactoryError(
            "\n".join([f"{lock_path(plan)} does not match this plan:", *lines]),
            "run `factory-cdk lock`, review what it changes and commit it",
        )
    return lock


def changes_of(lock: Lock, plan: Plan, bot: Bot) -> list[str]:
    """What the plan says otherwise of a bot than its lock; nothing is read."""
    locked = lock.bots.get(bot.name)
    if locked is None:
        return ["it is not in plan.lock"]
    now: Mapping[str, Any] = {
        **described(bot.source),
        "requirements_path": bot.requirements_path,
        "module of bot_path": module_of(bot),
        "python": lowest_python(plan, bot) or locked.python,
    }
    before: Mapping[str, Any] = {
        **locked.source,
        "requirements_path": locked.requirements_path,
        "module of bot_path": locked.module,
        "python": locked.python or now["python"],
    }
    missing = [str(target) for target in targets_of(plan, bot) if str(target) not in locked.wheels]
    kind, was = described(bot.source)["kind"], locked.source.get("kind")
    if kind != was:
        return [f"its source was {was} and is {kind}"]
    return [
        f"{_WORDS.get(key, key)} was {_shown(before.get(key))} and is {_shown(now.get(key))}"
        for key in sorted({*now, *before})
        if now.get(key) != before.get(key)
    ] + [f"its wheels for {target} are not in plan.lock" for target in missing]


def _of_manifest(lock: Lock, plan: Plan, bot: Bot) -> list[str]:
    """What changed in the requirements of a path source, or in those that the plan adds to a package."""
    locked: LockedBot | None = lock.bots.get(bot.name)
    if locked is None or isinstance(bot.source, GitSource):
        return []
    manifest: Manifest | Additional | None
    try:
        if isinstance(bot.source, PathSource):
            found = manifest_of(code_of_folder(bot.source, bot), bot, bot.source.subdirectory)
            manifest = found[1] if found else None
        else:
            manifest = additional(plan.folder, bot)
    except FactoryError as error:
        return [f"its requirements cannot be compared: {error.message}"]
    if (manifest.digest if manifest else None) == locked.manifest:
        return []
    return [f"{manifest.path} changed" if manifest else "its requirements file is no longer there"]


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
