"""From the design of a stage to the pool specs that its runner starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.install.runtime import BotRuntime
from factory_cdk.launchers.qalx import bot_start
from factory_cdk.plan.model import Json, SectorType
from factory_cdk.state.runner_spec import PoolSpec


def local_sectors(design: StageDesign) -> Iterator[SectorDesign]:
    """The sectors that run on this machine."""
    return (sector for sector in design.sectors if sector.type is SectorType.LOCAL)


def variables(design: StageDesign, sector: SectorDesign, bot: BotDesign) -> dict[str, str]:
    """The variables of a bot's processes: its config (text as it is, anything else as JSON), and who it is."""
    return {
        **{name: _as_text(value) for name, value in bot.config.items()},
        "FACTORY_NAME": design.factory,
        "FACTORY_STAGE": design.stage,
        "FACTORY_SECTOR": sector.name,
        "FACTORY_BOT": bot.name,
        "FACTORY_QUEUE": bot.queue,
        **({"FACTORY_META": json.dumps(dict(bot.arguments.meta))} if bot.arguments.meta else {}),
    }


def pool_spec(design: StageDesign, sector: SectorDesign, bot: BotDesign, given: BotRuntime, bytecode: Path) -> PoolSpec:
    """How the runner starts `bot` of `sector` with what it is `given`."""
    arguments = bot.arguments
    installed = given.environment.project is not None  # its environment then knows the roots
    by_qalx = arguments.launcher == "qalx"  # one program, which starts its processes and gets its jobs itself
    return PoolSpec(
        sector=sector.name,
        bot=bot.name,
        queue=bot.queue,
        successors=bot.successors,
        processes=1 if by_qalx else arguments.processes,
        target=None if by_qalx else bot.bot_path,
        command=bot_start(bot) if by_qalx else bot.command,
        folder=str(given.root),
        roots=() if installed else tuple(str(root) for root in given.code.roots(given.root)),
        python=str(given.environment.python),
        bins=tuple(str(folder) for folder in given.environment.bins),
        bytecode=str(bytecode),
        variables=variables(design, sector, bot),
        secrets=dict(bot.secrets),
        max_attempts=arguments.max_attempts,
        timeout=arguments.timeout,
        lease=arguments.visibility_timeout,
        batch=0 if by_qalx else arguments.batch,
        stopped=arguments.stop,
        launcher=arguments.launcher,
    )


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
