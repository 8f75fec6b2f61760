"""A sector's release: the manifest of what its instance runs, and the routes between its bots' queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from factory_cdk.bootstrap import SectorFacts, render_install
from factory_cdk.bundle import Bundle
from factory_cdk.design.model import Asset, BotDesign
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, Names
from factory_cdk.design.values import canonical, sha256
from factory_cdk.plan.model import BotArguments, Json, Platform

_DEFAULTS = BotArguments()


def content_asset(text: str, suffix: str) -> Asset:
    """An asset made of `text`, keyed by its SHA-256."""
    digest = sha256(text)
    return Asset(key=f"{digest}{suffix}", sha256=digest, content=text)


def install_asset(facts: SectorFacts, platform: Platform) -> Asset:
    """The install script of a release."""
    return content_asset(render_install(facts, platform), ".ps1" if platform is Platform.WINDOWS else ".sh")


def bundle_asset(bundle: Bundle) -> Asset | None:
    """The archive of a packed bundle; None for an unpacked one.

    Its key is the same whether the archive is in this machine's cache or only named by plan.lock, so that a
    synth with a lock gives the same bytes everywhere.
    """
    if not bundle.packed or bundle.archive_sha256 is None:
        return None
    return Asset(key=f"{bundle.archive_sha256}.zip", sha256=bundle.archive_sha256, path=bundle.archive)


def manifest(
    names: Names,
    sector: str,
    bots: Iterable[BotDesign],
    install: Asset,
    secret_names: Mapping[str, str],
    *,
    routes: Json,
) -> Json:
    """What the instance of `sector` installs and runs; bootstrap.py and the runner read it.

    `secret_names` is the Secrets Manager name of the secret that the template creates, by bot. Config and
    `routes` are in parameters; their digests are here, so that a change of either is another release.
    """
    return {
        "format": 1,
        "factory": names.factory,
        "stage": names.stage,
        "sector": sector,
        "install": {"key": install.key, "sha256": install.sha256},
        "router": sha256(canonical(routes)),
        "bots": {bot.name: _bot(bot, secret_names.get(bot.name)) for bot in bots},
    }


def _bot(bot: BotDesign, secret_name: str | None) -> Json:
    asset = bundle_asset(bot.bundle)
    bundle = {"key": asset.key, "sha256": asset.sha256, "digest": bot.bundle.digest} if asset else None
    secrets = {
        name: {"secret": reference.secret or secret_name, "key": reference.key if reference.secret else name}
        for name, reference in bot.secrets.items()
    }
    said = {
        "bot_path": bot.bot_path,
        "command": list(bot.command) if bot.command else None,
        "requirements_path": bot.requirements_path,
        "subdirectory": bot.subdirectory,
        "python": bot.python,
        "lock": bot.bundle.lock_digest,
        "arguments": given_arguments(bot.arguments) or None,
        "config": sha256(canonical(bot.config)) if bot.config else None,
        "secrets": secrets or None,
    }
    return {
        "bundle": bundle,
        "source": bot.bundle.digest,
        "queue": bot.queue,
        **{key: value for key, value in said.items() if value is not None},
    }


def given_arguments(arguments: BotArguments) -> dict[str, Json]:
    """The arguments that differ from their defaults, by their names in the plan; queue, config and secrets are
    elsewhere.
    """
    given: dict[str, Json] = {}
    for field in fields(arguments):
        value = getattr(arguments, field.name)
        if field.name in ("settings", "queue_name", "workflow", "python") or value == getattr(_DEFAULTS, field.name):
            continue
        given[field.name.replace("_", "-")] = dict(value) if isinstance(value, Mapping) else value
    return given


def router(names: Names, bots: Iterable[BotDesign], home_region: str) -> Json:
    """For each bot of a sector its queue and its successors' queues, all in `home_region`."""
    return {
        "region": home_region,
        "bots": {
            bot.name: {
                "queue": names.queue(bot.queue),
                "dead_letters": names.queue(bot.queue) + DEAD_LETTER_SUFFIX,
                "successors": [
                    {"bot": successor.bot, "queue": names.queue(successor.queue)} for successor in bot.successors
                ],
            }
            for bot in bots
        },
    }
