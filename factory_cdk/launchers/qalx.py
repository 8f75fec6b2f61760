"""`launcher: qalx`: a bot of pyqalx is started with `qalx bot-start`, and gets its jobs from qalx, not from us.

The options are those that the reference documents for bot arguments (https://docs.qalx.net/factories and /bots), so
pyqalx's own profiles, sessions, entities and workflows work as they do without us. What becomes of its jobs is qalx's:
we start the bot, keep it running and end it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from factory_cdk.design.model import BotDesign, SectorDesign
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Json

PROGRAM = "qalx"


def bot_start(bot: BotDesign) -> tuple[str, ...]:
    """The command line that starts `bot`."""
    arguments = bot.arguments
    return (
        PROGRAM,
        "bot-start",
        f"--processes={arguments.processes}",
        f"--queue-name={bot.queue}",
        *(["--skip-ini"] if arguments.skip_ini else []),
        *_classes(bot),
        *(["--stop"] if arguments.stop else []),
        *_meta(arguments.meta),
        *(f"--workflow={successor}" for successor in _successors(bot)),
        bot.bot_path or "",
    )


def refuse_mixtures(sectors: Iterable[SectorDesign]) -> None:
    """FactoryError where jobs would have to pass between bots of qalx and ours, or qalx would start a command."""
    bots = [bot for sector in sectors for bot in sector.bots]
    launchers = {bot.name: bot.arguments.launcher for bot in bots}
    for bot in bots:
        if bot.arguments.launcher == "qalx" and bot.bot_path is None:
            raise FactoryError(f"bot {bot.name} has `launcher: qalx` and a `command`", "give it a `bot_path`")
        others = [one.bot for one in bot.successors if launchers.get(one.bot, "python") != bot.arguments.launcher]
        if others:
            raise FactoryError(
                f"jobs cannot pass from bot {bot.name} to {others[0]}: one has `launcher: qalx`, whose jobs are qalx's",
                "start both in the same way, or take the edge out of the workflow",
            )


def _classes(bot: BotDesign) -> Iterator[str]:
    arguments = bot.arguments
    named = {
        "--qalx-session-class": arguments.qalx_session_class,
        "--user-config-class": arguments.user_config_class,
        "--bot-config-class": arguments.bot_config_class,
        "--entity-class": arguments.entity_class,
    }
    return (f"{option}={value}" for option, value in named.items() if value is not None)


def _meta(meta: Mapping[str, Json]) -> Iterator[str]:
    """`--meta=key=value`, the value as JSON. pyqalx takes out spaces and splits at every `=`: both are escaped."""
    for key, value in meta.items():
        text = json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020").replace("=", "\\u003d")
        yield f"--meta={key}={text}"


def _successors(bot: BotDesign) -> tuple[str, ...]:
    if bot.arguments.workflow is not None:
        return bot.arguments.workflow
    return tuple(dict.fromkeys(successor.bot for successor in bot.successors))
