"""What the bots of a stage run with: their bundles, laid out, and their environments, built; and the spec of both."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.bundle import Bundle
from factory_cdk.design.model import StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import sector_release
from factory_cdk.install.bundles import archive_of, lay_out
from factory_cdk.install.environments import build_all
from factory_cdk.install.pool_specs import pool_spec
from factory_cdk.install.runtime import BotRuntime, bot_runtime
from factory_cdk.install.working_folder import make_working_folder
from factory_cdk.launchers.checks import refuse_what_no_launcher_starts
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.plan.model import Json, SectorType
from factory_cdk.release import BotRelease, SectorRelease
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec
from factory_cdk.state.stage_folder import stage_folder


@dataclass(frozen=True, slots=True)
class Installation:
    """A bot of a local sector's `release`, its bundle, the values of its config, and what it runs with."""

    release: SectorRelease
    bot: BotRelease
    bundle: Bundle
    config: Mapping[str, Json]
    runtime: BotRuntime

    @property
    def place(self) -> tuple[str, str]:
        """The bot on its sector, as a key."""
        return self.release.sector, self.bot.name


def installations_of(design: StageDesign, home: Path) -> list[Installation]:
    """The bots of the local sectors, and what each runs with; nothing is made yet. FactoryError when a bundle is not
    here, or for what no launcher starts.
    """
    names = Names(design.factory, design.stage)
    sectors = [sector for sector in design.sectors if sector.type is SectorType.LOCAL]
    releases = [sector_release(names, sector.name, sector.bots, aws=False) for sector in sectors]
    refuse_what_no_launcher_starts(releases)
    return [
        Installation(
            release,
            bot,
            designed.bundle,
            designed.config,
            bot_runtime(home, bot, archive_of(designed.bundle), designed.bundle.requirements),
        )
        for sector, release in zip(sectors, releases, strict=True)
        for designed, bot in zip(sector.bots, release.bots, strict=True)
    ]


def install(installations: Sequence[Installation], home: Path, say: Say, stop: threading.Event | None = None) -> None:
    """Lay out the bundles and build the environments that are not there yet, until told to `stop`. FactoryError."""
    for one in installations:
        lay_out(home, one.bundle)
    build_all([one.runtime.environment for one in installations], say, stop)


def spec_of(design: StageDesign, installations: Sequence[Installation], options: BuildOptions) -> RunnerSpec:
    """The spec of a stage whose bots are installed."""
    bytecode = options.home / "cache" / "bytecode"
    work = stage_folder(options.home, design.factory, design.stage).work
    return RunnerSpec(
        factory=design.factory,
        stage=design.stage,
        pool_specs=tuple(
            pool_spec(one.release, one.bot, one.runtime, one.config, bytecode, work, one.bundle.left_out)
            for one in installations
        ),
        end_order=design.demolish_order,
        plan=str(Path(options.plan).absolute()) if options.plan else "",
        built_at=time.time(),
        workflows=design.runs,
        pools=design.pools,
        timings=options.timings,
    )


def make_working_folders(pool_specs: Iterable[PoolSpec]) -> None:
    """Make the working folders that are not there yet, in the folder of a stage that exists. FactoryError."""
    for one in pool_specs:
        make_working_folder(Path(one.folder), Path(one.bundle))
