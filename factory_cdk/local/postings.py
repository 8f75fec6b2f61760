"""From the design of a stage to the postings that its runner starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.local.bundles import bundle_folder
from factory_cdk.local.code import Code, archive_of, packed_code
from factory_cdk.local.environments import Environment, Project, environment, with_project
from factory_cdk.local.qalx import bot_start
from factory_cdk.local.roster import Posting
from factory_cdk.plan.model import Json, SectorType


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a bot runs with: its code, the folder in which its bundle is laid out, its environment."""

    code: Code
    root: Path
    environment: Environment


def local_sectors(design: StageDesign) -> Iterator[SectorDesign]:
    """The sectors that run on this machine."""
    return (sector for sector in design.sectors if sector.type is SectorType.LOCAL)


def equipment(home: Path, bot: BotDesign) -> Equipment:
    """What `bot`, which is packed, runs with; nothing is made yet. FactoryError when its bundle is not here.

    A project that builds is installed itself, on top of the environment of its requirements, as `pip install`
    would; all other code is imported from the bundle.
    """
    code, root = packed_code(bot), bundle_folder(home, bot.bundle)
    base = environment(home, bot.bundle.requirements, bot.python)
    if code.manifest is None:
        return Equipment(code, root, base)
    folder = code.manifest.folder
    base = replace(base, options=code.index_options(root), context=root / folder)
    if not code.manifest.builds:
        return Equipment(code, root, base)
    project = Project(archive_of(bot.bundle), bot.bundle.digest, folder, code.roots(root))
    return Equipment(code, root, with_project(base, project))


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


def posting(design: StageDesign, sector: SectorDesign, bot: BotDesign, given: Equipment, bytecode: Path) -> Posting:
    """How the runner starts `bot` of `sector` with what it is `given`."""
    arguments = bot.arguments
    installed = given.environment.project is not None  # its environment then knows the roots
    by_qalx = arguments.launcher == "qalx"  # one program, which starts its processes and gets its jobs itself
    return Posting(
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
