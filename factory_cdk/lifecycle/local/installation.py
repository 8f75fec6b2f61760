"""What the bots of a stage run with: their bundles, laid out, and their environments, built; and the spec of both."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.install.bundles import lay_out
from factory_cdk.install.environments import build_all
from factory_cdk.install.pool_specs import local_sectors, pool_spec
from factory_cdk.install.runtime import BotRuntime, bot_runtime
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say
from factory_cdk.state.runner_spec import RunnerSpec

Installations = list[tuple[SectorDesign, BotDesign, BotRuntime]]
"""The bots of the local sectors, and what each runs with."""


def installations_of(design: StageDesign, home: Path) -> Installations:
    """What the bots of a stage run with; nothing is made yet. FactoryError when a bundle is not here."""
    return [(sector, bot, bot_runtime(home, bot)) for sector in local_sectors(design) for bot in sector.bots]


def install(installations: Installations, home: Path, say: Say, stop: threading.Event | None = None) -> None:
    """Lay out the bundles and build the environments that are not there yet, until told to `stop`. FactoryError."""
    for _, bot, _ in installations:
        lay_out(home, bot.bundle)
    build_all([given.environment for *_, given in installations], say, stop)


def spec_of(design: StageDesign, installations: Installations, options: BuildOptions) -> RunnerSpec:
    """The spec of a stage whose bots are installed."""
    bytecode = options.home / "cache" / "bytecode"
    return RunnerSpec(
        factory=design.factory,
        stage=design.stage,
        pool_specs=tuple(pool_spec(design, sector, bot, given, bytecode) for sector, bot, given in installations),
        end_order=design.demolish_order,
        plan=str(Path(options.plan).absolute()) if options.plan else "",
        built_at=time.time(),
        timings=options.timings,
    )
