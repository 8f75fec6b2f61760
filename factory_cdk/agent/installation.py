"""Installing a release beside the present one: from its manifest to the spec that a runner starts from.

The same steps as for a local stage (install/), on what the manifest names: bundles are laid out, environments made by
uv from locked requirements with their hashes, and nothing of the release before is touched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.agent.aws import Aws
from factory_cdk.agent.fetching import REBUILD, archive_file, fetch_archive, fetch_text, joined_parameters
from factory_cdk.agent.folder import AgentFolder
from factory_cdk.agent.manifest import fetch_manifest
from factory_cdk.agent.release import InstalledRelease, ReleasePointer
from factory_cdk.agent.sector import InstanceSector
from factory_cdk.agent.users import BotUsers
from factory_cdk.bundle import Bundle
from factory_cdk.diagnostics import FactoryError
from factory_cdk.install.bundles import bundle_folder, lay_out
from factory_cdk.install.environments import Environment, build_all
from factory_cdk.install.pool_specs import pool_spec
from factory_cdk.install.runtime import BotRuntime, bot_runtime
from factory_cdk.install.wheels import WHEELS, name_of_wheel, unpacked_wheels
from factory_cdk.install.working_folder import make_working_folder
from factory_cdk.launchers.checks import refuse_what_no_launcher_starts
from factory_cdk.plan.model import Json
from factory_cdk.plan.order import breadth_first
from factory_cdk.release import BotRelease, SectorRelease, archive_key, requirements_key
from factory_cdk.state.runner_spec import RunnerSpec, Timings
from factory_cdk.wheels import WheelArchive, wheels_key

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Bot:
    release: BotRelease
    bundle: Bundle
    config: Mapping[str, Json]
    runtime: BotRuntime


def install_release(
    pointer: ReleasePointer,
    sector: InstanceSector,
    folder: AgentFolder,
    aws: Aws,
    timings: Timings,
    users: BotUsers | None,
    say: Say,
) -> InstalledRelease:
    """Install what `pointer` names for the `users` of bots (None: they have none of their own); `say` gets a line for
    each step. FactoryError that says why it cannot be.
    """
    manifest = fetch_manifest(aws, pointer)
    release = manifest.release
    if (release.factory, release.stage, release.sector) != (sector.factory, sector.stage, sector.sector):
        raise FactoryError(f"the manifest is that of {release.factory}/{release.stage}/{release.sector}", REBUILD)
    refuse_what_no_launcher_starts([release])
    bots = [_fetched(bot, pointer.bucket, folder, aws, say) for bot in release.bots]
    for bot in bots:
        lay_out(folder.home, bot.bundle)
    asks_indexes = any(bot.release.wheels is None for bot in bots)
    build_all([bot.runtime.environment for bot in bots], say, asks_indexes=asks_indexes)
    pool_specs = tuple(
        pool_spec(release, bot.release, bot.runtime, bot.config, folder.bytecode / bot.release.name, folder.work)
        for bot in bots
    )
    for one in pool_specs:
        make_working_folder(Path(one.folder), Path(one.bundle))
        if users is not None:
            users.give(one, folder.home)
    spec = RunnerSpec(
        factory=release.factory,
        stage=release.stage,
        pool_specs=pool_specs,
        end_order=end_order(release),
        built_at=time.time(),
        timings=timings,
    )
    files = tuple(sorted({name for bot in bots for name in _files(bot, folder)}))
    return InstalledRelease(pointer.sha256, spec, manifest.routes, pointer.bucket, pointer.stores, files)


def end_order(release: SectorRelease) -> tuple[str, ...]:
    """The bots of `release` in the order in which they are stopped."""
    here = {bot.name for bot in release.bots}
    return breadth_first({bot.name: [one.bot for one in bot.successors if one.bot in here] for bot in release.bots})


def _fetched(bot: BotRelease, bucket: str, folder: AgentFolder, aws: Aws, say: Say) -> _Bot:
    """A bot with all that it needs on this disk."""
    if bot.archive_sha256 is None:
        raise FactoryError(f"bot {bot.name} has no bundle: it was never packed", "pack it, and build again")
    say(f"bot {bot.name}: bundle {bot.digest[:12]}")
    archive = fetch_archive(aws, bucket, archive_key(bot.archive_sha256), bot.archive_sha256, folder.archives)
    lines: tuple[str, ...] = ()
    projects: tuple[Path, ...] = ()
    if bot.wheels is not None:
        wheels = _wheels(bot.wheels.requirements, bucket, folder, aws)
        lines = tuple(f"{name_of_wheel(wheel)} @ {wheel.as_uri()}" for wheel in wheels)
        projects = _wheels(bot.wheels.projects, bucket, folder, aws)
    elif bot.requirements is not None:
        lines = tuple(fetch_text(aws, bucket, requirements_key(bot.requirements), bot.requirements).splitlines())
    config: Mapping[str, Json] = {}
    if bot.config is not None:
        text = joined_parameters(aws, bot.config.parameters, bot.config.sha256, f"the config of bot {bot.name}")
        config = json.loads(text)
    bundle = Bundle(bot.name, bot.digest, True, "path", "", archive=str(archive), archive_sha256=bot.archive_sha256)
    return _Bot(bot, bundle, config, bot_runtime(folder.home, bot, archive, lines, projects))


def _files(bot: _Bot, folder: AgentFolder) -> Iterator[str]:
    """What a bot stands on, as paths below the agent's home (see cleaning.py)."""
    environment: Environment | None = bot.runtime.environment
    paths = [Path(bot.bundle.archive or ""), bundle_folder(folder.home, bot.release.digest)]
    while environment is not None:
        paths.append(environment.folder)
        environment = environment.base
    for archive in bot.release.wheels.archives if bot.release.wheels is not None else ():
        paths += (archive_file(folder.archives, archive.sha256), folder.home / WHEELS / archive.sha256)
    return (path.relative_to(folder.home).as_posix() for path in paths)


def _wheels(wanted: WheelArchive | None, bucket: str, folder: AgentFolder, aws: Aws) -> tuple[Path, ...]:
    """The wheels of an archive as files in a folder of their own, which is named by its SHA-256."""
    if wanted is None:
        return ()
    archive = fetch_archive(aws, bucket, wheels_key(wanted.sha256), wanted.sha256, folder.archives)
    return unpacked_wheels(archive, folder.home / WHEELS / wanted.sha256)
