"""What a build would do, as plain data: nothing is fetched, started or written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import sector_release
from factory_cdk.diagnostics import FactoryError
from factory_cdk.install.environments import Environment, environment
from factory_cdk.install.pool_specs import variables
from factory_cdk.pack.layout import Required, check_target_in_folder, required_in_folder

MASK = "***"


@dataclass(frozen=True, slots=True)
class Known:
    """What can be known of a bot's requirements without fetching: locked ones, whose environment has a name, and the
    `file` that they were read from; as its author wrote them; or nothing.
    """

    environment: Environment | None = None
    file: str | None = None
    required: Required | None = None


def dry_run(design: StageDesign, folders: Mapping[str, Path], home: Path) -> dict[str, Any]:
    """The environments, processes, queues, routes and variables of the stage; secrets are masked.

    `folders` has the folder of every bot with a path source, whose requirements are shown as they stand there
    until they are locked. What only packing can tell is None. `problems` are the bots whose code is at hand and is
    not where their `bot_path` says, as packing would refuse them. FactoryError for a folder that cannot be packed.
    """
    bots = [(sector, bot) for sector in design.sectors for bot in sector.bots]
    known = {(sector.name, bot.name): _known(home, bot, folders) for sector, bot in bots}
    return {
        "factory": design.factory,
        "stage": design.stage,
        "environments": _environments(known),
        "processes": [_processes(sector, bot, known[sector.name, bot.name].environment) for sector, bot in bots],
        "queues": [
            {"name": queue.name, "bot": queue.bot, "visibility_timeout": queue.visibility_timeout}
            for queue in design.queues
        ],
        "routes": [
            {
                "sector": sector.name,
                "bot": bot.name,
                "to": [{"sector": to.sector, "bot": to.bot, "queue": to.queue} for to in bot.successors],
            }
            for sector, bot in bots
        ],
        "variables": [
            {
                "sector": sector.name,
                "bot": bot.name,
                "variables": {**_variables(design, sector, bot), **dict.fromkeys(bot.secrets, MASK)},
            }
            for sector, bot in bots
        ],
        "problems": list(_problems({bot.name: bot for _, bot in bots}, folders)),
    }


def _variables(design: StageDesign, sector: SectorDesign, bot: BotDesign) -> dict[str, str]:
    release = sector_release(Names(design.factory, design.stage), sector.name, (bot,), aws=False)
    return variables(release, release.bots[0], bot.config)


def _problems(bots: Mapping[str, BotDesign], folders: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """What is wrong with the `bot_path` of bots that could not be packed; of one that is packed it was found right."""
    for name, bot in bots.items():
        if bot.bot_path is None or bot.bundle.packed or name not in folders:
            continue
        try:
            check_target_in_folder(bot, folders[name], bot.bundle.origin)
        except FactoryError as error:
            yield {"bot": name, "message": error.message, "remedy": error.remedy}


def _known(home: Path, bot: BotDesign, folders: Mapping[str, Path]) -> Known:
    bundle = bot.bundle
    if bundle.packed:
        return Known(environment(home, bundle.requirements, bot.python), bundle.layout.requirements_file)
    folder = folders.get(bot.name)
    if folder is None:
        return Known()
    required = required_in_folder(bot, folder, bundle.origin)
    file = required.path if required else None
    return Known(None if required and required.lines else environment(home, (), bot.python), file, required)


def _environments(found: Mapping[tuple[str, str], Known]) -> list[dict[str, Any]]:
    """One entry per environment, with the bots that share it; those that only packing names come last."""
    rows: dict[Any, dict[str, Any]] = {}
    for (sector, bot), known in found.items():
        environment, requirements = known.environment, _requirements(known)
        key = environment.key if environment else str(requirements)
        row = rows.setdefault(
            key,
            {
                "key": environment.key if environment else None,
                "python": environment.version if environment else None,
                "cached": environment.ready if environment else False,
                "requirements": requirements,
                "bots": [],
            },
        )
        row["bots"].append(f"{sector}/{bot}")
    return sorted(rows.values(), key=lambda row: row["key"] is None)


def _requirements(known: Known) -> dict[str, Any] | None:
    """Where requirements come from (`lock`: exact versions with hashes), the file that they stand in, its lines."""
    environment, required = known.environment, known.required
    if environment is not None:
        return {"from": "lock" if environment.lines else "none", "file": known.file, "lines": list(environment.lines)}
    if required is None:
        return None
    return {"from": required.kind, "file": required.path, "lines": list(required.lines)}


def _processes(sector: SectorDesign, bot: BotDesign, environment: Environment | None) -> dict[str, Any]:
    arguments = bot.arguments
    return {
        "sector": sector.name,
        "type": str(sector.type),
        "bot": bot.name,
        "count": arguments.processes,
        "runs": bot.bot_path or list(bot.command or ()),
        "source": f"{bot.bundle.kind} {bot.bundle.origin}",
        "environment": environment.key if environment else None,
        "queue": bot.queue,
        "batch": arguments.batch,
        "max_attempts": arguments.max_attempts,
        "timeout": arguments.timeout,
        "visibility_timeout": arguments.visibility_timeout,
        "stop": arguments.stop,
    }
