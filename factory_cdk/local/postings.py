"""From the design of a stage to the postings that its runner starts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.environments import Environment, environment
from factory_cdk.local.requirements import NOTHING, Requirements, find_requirements, locked
from factory_cdk.local.roster import Posting
from factory_cdk.plan.model import Json, PathSource, SectorType, StagePlan


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bot's code is on this machine: `root` is the source's root (its subdirectory, if it has one),
    `roots` go onto sys.path, and `module_folder` is where its module was found (`root` for a command).
    """

    root: Path
    roots: tuple[Path, ...]
    module_folder: Path


def path_folders(stage_plan: StagePlan) -> dict[str, Path]:
    """The folder of every bot of the stage that has a path source, by the bot's name."""
    return {
        bot.name: bot.source.folder / (bot.source.subdirectory or "")
        for bot in stage_plan.bots
        if isinstance(bot.source, PathSource)
    }


def local_sectors(design: StageDesign) -> Iterator[SectorDesign]:
    """The sectors that run on this machine."""
    return (sector for sector in design.sectors if sector.type is SectorType.LOCAL)


def place(bot: BotDesign, folders: Mapping[str, Path]) -> Place | None:
    """Where the code of `bot` is; None when it is not on this machine (it has to be packed first).

    A path source runs from its own folder, not from a copy: nothing is duplicated, what is ignored need not
    be known, and a worker that is restarted runs what its author sees. Compiled files go elsewhere, so the
    folder is only read. FactoryError when the folder does not exist.
    """
    folder = folders.get(bot.name)
    if bot.bundle.packed or folder is None:
        return None
    if not folder.is_dir():
        raise FactoryError(f"bot {bot.name}: there is no folder {folder}", "correct `path` in the plan")
    root = folder.resolve()
    if bot.bot_path is None:
        return Place(root, (root,), root)
    parts = bot.bot_path.partition(":")[0].split(".")
    for start in (root, root / "src"):
        for found in (start.joinpath(*parts[:-1], f"{parts[-1]}.py"), start.joinpath(*parts, "__init__.py")):
            if found.is_file():
                return Place(root, (root,) if start == root else (start, root), found.parent)
    return Place(root, (root,), root)


def bot_requirements(bot: BotDesign, where: Place | None) -> Requirements | None:
    """What is installed for `bot`; None when that is not known before it is packed. FactoryError."""
    if bot.bundle.packed:
        return locked(bot.bundle.requirements) if bot.bundle.requirements else NOTHING
    return find_requirements(where.root, where.module_folder, bot.requirements_path) if where else None


def bot_environment(home: Path, bot: BotDesign, where: Place | None) -> Environment | None:
    """The environment of `bot`; None when its requirements are not known yet. FactoryError."""
    requirements = bot_requirements(bot, where)
    return environment(home, requirements, bot.python) if requirements else None


def variables(design: StageDesign, sector: SectorDesign, bot: BotDesign) -> dict[str, str]:
    """The variables of a bot's processes: its config (text as it is, anything else as JSON), and who it is."""
    return {
        **{name: _as_text(value) for name, value in bot.config.items()},
        "FACTORY_NAME": design.factory,
        "FACTORY_STAGE": design.stage,
        "FACTORY_SECTOR": sector.name,
        "FACTORY_BOT": bot.name,
        "FACTORY_QUEUE": bot.queue,
    }


def posting(
    design: StageDesign, sector: SectorDesign, bot: BotDesign, where: Place, python: Path, bytecode: Path
) -> Posting:
    """How the runner starts `bot` of `sector` with the interpreter `python` of its environment."""
    arguments = bot.arguments
    return Posting(
        sector=sector.name,
        bot=bot.name,
        queue=bot.queue,
        successors=bot.successors,
        processes=arguments.processes,
        target=bot.bot_path,
        command=bot.command,
        folder=str(where.root),
        roots=tuple(str(root) for root in where.roots),
        python=str(python),
        bytecode=str(bytecode),
        variables=variables(design, sector, bot),
        secrets=dict(bot.secrets),
        max_attempts=arguments.max_attempts,
        timeout=arguments.timeout,
        lease=arguments.visibility_timeout,
        batch=arguments.batch,
        stopped=arguments.stop,
    )


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
