"""A sector's release as its design gives it, the manifest that names it, and the routes between its bots' queues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from factory_cdk.bootstrap import bootstrap_program, render_install
from factory_cdk.bundle import Bundle
from factory_cdk.design.model import Asset, BotDesign
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, Names
from factory_cdk.design.values import canonical, sha256, split
from factory_cdk.plan.model import Json, Offline, Platform, SecretReference, Settings
from factory_cdk.plan.names import digest8
from factory_cdk.release import BotRelease, ConfigSource, SectorRelease, archive_key, release_as_json, requirements_key
from factory_cdk.runner_wheel import runner_requirements, runner_wheel, runner_wheels
from factory_cdk.wheels import Target, build_key, wheels_key


def content_asset(text: str, suffix: str) -> Asset:
    """An asset made of `text`, keyed by its SHA-256."""
    digest = sha256(text)
    return Asset(key=f"{digest}{suffix}", sha256=digest, content=text)


@dataclass(frozen=True, slots=True)
class RunnerAssets:
    """What every sector of a platform gets beside its bots' bundles: the program that user-data fetches, the install
    script, the runner's wheel (`name` is that of its file) and its locked requirements; `offline` are further
    files by their names.
    """

    bootstrap: Asset
    install: Asset
    name: str
    wheel: Asset
    requirements: Asset
    offline: tuple[tuple[str, Asset], ...] = ()

    @property
    def files(self) -> dict[str, Asset]:
        """The files from which the runner is installed, by their names there."""
        return {self.name: self.wheel, "requirements.txt": self.requirements, **dict(self.offline)}

    @property
    def assets(self) -> tuple[Asset, ...]:
        """All of them."""
        return self.bootstrap, self.install, *self.files.values()


@cache
def runner_assets(platform: Platform, offline: Offline | None = None) -> RunnerAssets:
    """Those of the package that is running; with what is installed instead of what an index has on an `offline` sector.
    FactoryError when there are no wheels of the runner for it.
    """
    wheel = runner_wheel()
    more: list[tuple[str, Asset]] = []
    if offline is not None:
        sha256 = runner_wheels(Target(offline.architecture, offline.python)).sha256
        more.append(("wheels.zip", Asset(key=wheels_key(sha256), sha256=sha256)))
        if offline.build is not None:
            more.append(("python.tar.gz", Asset(key=build_key(offline.build.sha256), sha256=offline.build.sha256)))
    script, program = (".ps1", ".ps1") if platform is Platform.WINDOWS else (".sh", ".py")
    return RunnerAssets(
        bootstrap=content_asset(bootstrap_program(platform), program),
        install=content_asset(render_install(wheel.name, wheel.sha256, platform, offline), script),
        name=wheel.name,
        wheel=Asset(key=f"{wheel.sha256}.whl", sha256=wheel.sha256, wheel=True),
        requirements=content_asset(runner_requirements(), ".txt"),
        offline=tuple(more),
    )


def bundle_asset(bundle: Bundle) -> Asset | None:
    """The archive of a packed bundle; None for an unpacked one.

    Its key is the same whether the archive is in this machine's cache or only named by plan.lock, so that a
    synth with a lock gives the same bytes everywhere.
    """
    if not bundle.packed or bundle.archive_sha256 is None:
        return None
    return Asset(key=archive_key(bundle.archive_sha256), sha256=bundle.archive_sha256, path=bundle.archive)


def requirements_asset(bundle: Bundle) -> Asset | None:
    """The locked requirements of a packed bundle, which an instance installs; None where it has none."""
    if not bundle.packed or not bundle.requirements or bundle.lock_digest is None:
        return None
    content = "".join(f"{line}\n" for line in bundle.requirements)
    return Asset(key=requirements_key(bundle.lock_digest), sha256=bundle.lock_digest, content=content)


def wheel_assets(bot: BotDesign) -> tuple[Asset, ...]:
    """The archives of wheels of a bot on an offline sector."""
    archives = bot.wheels.archives if bot.wheels is not None else ()
    return tuple(Asset(key=wheels_key(one.sha256), sha256=one.sha256) for one in archives)


def sector_release(
    names: Names, sector: str, bots: Iterable[BotDesign], *, aws: bool, place: str | None = None
) -> SectorRelease:
    """What `sector` runs. With `aws` the values of config are in parameters, and those of secrets that are nowhere yet
    in the secrets that the template creates, whose names have `place` in them (by default the sector's name); else they
    are on this machine.
    """
    bots = tuple(bots)
    place = (place or sector) if aws else None
    created = created_secrets(names, place, bots) if place else {}
    return SectorRelease(
        names.factory,
        names.stage,
        sector,
        tuple(_bot_release(names, place, bot, created.get(bot.name)) for bot in bots),
    )


def created_secrets(names: Names, place: str, bots: Iterable[BotDesign]) -> dict[str, str]:
    """The Secrets Manager name of the secret that the template creates, by bot: one for all bots that take the same
    values, and none for a bot whose secrets exist. It is named by what is in it, so that it stays the same one
    whichever bots come and go.
    """
    found: dict[str, str] = {}
    for bot in bots:
        values = {
            name: [reference.env, reference.profile, reference.key]
            for name, reference in bot.secrets.items()
            if reference.secret is None
        }
        if values:
            found[bot.name] = names.secret(place, digest8(canonical(values)))
    return found


def config_parameters(names: Names, place: str, bot: BotDesign) -> dict[str, str]:
    """The SSM parameters that hold a bot's config as JSON, in parts, by their names; none without config."""
    parts = split(canonical(bot.config)) if bot.config else []
    return {names.path(place, "config", bot.name, str(number)): part for number, part in enumerate(parts, start=1)}


def manifest(release: SectorRelease, runner: RunnerAssets, *, routes: Json, logs: Json, availability: Json) -> Json:
    """What the instance of a sector installs and runs: bootstrap.py reads it, and a runner gets the `release` back from
    it with `release_from_json`. `routes` are those of `router`, `logs` says which groups there are, and
    `availability` where else the instance could be (see `plan.model.InstanceOptions`).
    """
    return {
        "format": 1,
        "bootstrap": _item(runner.bootstrap),
        "install": _item(runner.install),
        "runner": {name: _item(asset) for name, asset in runner.files.items()},
        "router": routes,
        "logs": logs,
        **({"availability": availability} if availability else {}),
        **release_as_json(release),
    }


def _item(asset: Asset) -> Json:
    return {"key": asset.key, "sha256": asset.sha256}


def _bot_release(names: Names, place: str | None, bot: BotDesign, created: str | None) -> BotRelease:
    # Without the wheels for its target it is as if it had never been packed.
    asset = bundle_asset(bot.bundle) if bot.target is None or bot.wheels is not None else None
    config = None
    if place and bot.config:
        config = ConfigSource(tuple(config_parameters(names, place, bot)), sha256(canonical(bot.config)))
    secrets = {
        name: SecretReference(secret=created, key=name) if created and reference.secret is None else reference
        for name, reference in bot.secrets.items()
    }
    return BotRelease(
        name=bot.name,
        queue=bot.queue,
        digest=bot.bundle.digest,
        archive_sha256=asset.sha256 if asset else None,
        bot_path=bot.bot_path,
        command=bot.command,
        layout=bot.bundle.layout,
        requirements=bot.bundle.lock_digest,
        python=bot.python,
        successors=bot.successors,
        arguments=replace(bot.arguments, settings=Settings(), queue_name=None, python=None),
        config=config,
        secrets=secrets,
        wheels=bot.wheels,
        python_build=bot.python_build,
    )


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
