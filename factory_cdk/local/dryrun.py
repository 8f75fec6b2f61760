"""What a build would do, as plain data: nothing is fetched, started or written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.local.environments import Environment
from factory_cdk.local.postings import bot_environment, place, variables

MASK = "***"


def dry_run(design: StageDesign, folders: Mapping[str, Path], home: Path) -> dict[str, Any]:
    """The environments, processes, queues, routes and variables of the stage; secrets are masked.

    `folders` has the folder of every bot with a path source. What only packing can tell (the requirements of
    a bot that is not here) is None. FactoryError for a folder or a requirements file that does not exist.
    """
    cast = [(sector, bot) for sector in design.sectors for bot in sector.bots]
    environments = {(sector.name, bot.name): bot_environment(home, bot, place(bot, folders)) for sector, bot in cast}
    return {
        "factory": design.factory,
        "stage": design.stage,
        "environments": _environments(environments),
        "processes": [_processes(sector, bot, environments[sector.name, bot.name]) for sector, bot in cast],
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
            for sector, bot in cast
        ],
        "variables": [
            {
                "sector": sector.name,
                "bot": bot.name,
                "variables": {**variables(design, sector, bot), **dict.fromkeys(bot.secrets, MASK)},
            }
            for sector, bot in cast
        ],
    }


def _environments(found: Mapping[tuple[str, str], Environment | None]) -> list[dict[str, Any]]:
    """One entry per environment, with the bots that share it; bots whose requirements are unknown come last."""
    rows: dict[str | None, dict[str, Any]] = {}
    for (sector, bot), environment in found.items():
        key = environment.key if environment else None
        row = rows.setdefault(
            key,
            {
                "key": key,
                "python": environment.version if environment else None,
                "cached": environment.ready if environment else False,
                "requirements": _requirements(environment),
                "bots": [],
            },
        )
        row["bots"].append(f"{sector}/{bot}")
    return sorted(rows.values(), key=lambda row: row["key"] is None)


def _requirements(environment: Environment | None) -> dict[str, Any] | None:
    if environment is None:
        return None
    requirements = environment.requirements
    return {
        "from": requirements.kind,
        "file": str(requirements.file) if requirements.file else None,
        "lines": list(requirements.lines),
    }


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
