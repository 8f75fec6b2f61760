"""From a release to the pool specs that a runner starts, whether a design gave the release or the manifest of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from factory_cdk.install.runtime import BotRuntime
from factory_cdk.launchers import launcher_of
from factory_cdk.launchers.base import ProcessEnvironment
from factory_cdk.plan.model import Json
from factory_cdk.release import BotRelease, SectorRelease
from factory_cdk.state.runner_spec import PoolSpec


def variables(release: SectorRelease, bot: BotRelease, config: Mapping[str, Json]) -> dict[str, str]:
    """The variables of a bot's processes: its config (text as it is, anything else as JSON), and who it is."""
    return {
        **{name: _as_text(value) for name, value in config.items()},
        "FACTORY_NAME": release.factory,
        "FACTORY_STAGE": release.stage,
        "FACTORY_SECTOR": release.sector,
        "FACTORY_BOT": bot.name,
        "FACTORY_QUEUE": bot.queue,
        **({"FACTORY_META": json.dumps(dict(bot.arguments.meta))} if bot.arguments.meta else {}),
    }


def pool_spec(
    release: SectorRelease,
    bot: BotRelease,
    given: BotRuntime,
    config: Mapping[str, Json],
    bytecode: Path,
    work: Path,
    left_out: Sequence[str] = (),
) -> PoolSpec:
    """How the runner starts `bot` of `release` with the values of its `config` and what it is `given`; its working
    folder is in `work`, and `left_out` is what its bundle says of that, where this machine packed it. FactoryError when
    there is no such launcher.
    """
    launcher = launcher_of(bot.arguments.launcher, bot.command)
    installed = ProcessEnvironment(
        python=str(given.environment.python),
        roots=tuple(map(str, given.roots)),
        bins=tuple(map(str, given.environment.bins)),
        variables=variables(release, bot, config),
    )
    runs_in = launcher.environment(bot, installed)
    return replace(
        _remote(release, bot),
        bundle=str(given.root),
        folder=str(work / f"{release.sector}.{bot.name}" / bot.digest[:12]),
        roots=runs_in.roots,
        python=runs_in.python,
        bins=runs_in.bins,
        bytecode=str(bytecode),
        variables=runs_in.variables,
        left_out=tuple(left_out),
    )


def remote_pool_specs(release: SectorRelease) -> tuple[PoolSpec, ...]:
    """The pool specs of a sector on an instance as other machines know them: without what the instance alone has, paths
    and variables, which are empty. FactoryError when there is no such launcher.
    """
    return tuple(_remote(release, bot) for bot in release.bots)


def _remote(release: SectorRelease, bot: BotRelease) -> PoolSpec:
    launcher = launcher_of(bot.arguments.launcher, bot.command)
    return PoolSpec(
        sector=release.sector,
        bot=bot.name,
        queue=bot.queue,
        successors=bot.successors,
        arguments=bot.arguments,
        start=launcher.command(bot),
        transport=launcher.transport,
        processes=launcher.processes(bot.arguments),
        bundle="",
        folder="",
        roots=(),
        python="",
        bins=(),
        bytecode=None,
        variables={},
        secrets=bot.secrets,
    )


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
