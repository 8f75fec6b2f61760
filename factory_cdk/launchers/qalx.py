"""`launcher: qalx`: a bot of pyqalx is started with `qalx bot-start`, and gets its jobs from qalx, not from us.

The options are those that the reference documents for bot arguments (https://docs.qalx.net/factories and /bots), so
pyqalx's own profiles, sessions, entities and workflows work as they do without us. What becomes of its jobs is qalx's:
we start the bot, keep it running and end it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from factory_cdk.launchers.base import ProcessEnvironment, Refusal, Start
from factory_cdk.plan.model import BotArguments, Json
from factory_cdk.release import BotRelease

PROGRAM = "qalx"


class QalxLauncher:
    """Bots of pyqalx."""

    name = "qalx"
    transport = "qalx"
    idle_arguments = ("max-attempts", "timeout", "visibility-timeout", "batch")
    idle_hint = "remove it: qalx has its own"

    def validate(self, bot_path: str | None, command: tuple[str, ...] | None) -> Refusal | None:
        """Refuses a `command`, which qalx does not start."""
        if bot_path is None:
            return Refusal("has `launcher: qalx` and a `command`", "give it a `bot_path`")
        return None

    def environment(self, bot: BotRelease, installed: ProcessEnvironment) -> ProcessEnvironment:
        """What was installed."""
        return installed

    def command(self, bot: BotRelease) -> Start:
        """Run `qalx bot-start`."""
        return Start("program", bot_start(bot))

    def processes(self, arguments: BotArguments) -> int:
        """One, which starts the others."""
        return 1


def bot_start(bot: BotRelease) -> tuple[str, ...]:
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


def _classes(bot: BotRelease) -> Iterator[str]:
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


def _successors(bot: BotRelease) -> tuple[str, ...]:
    if bot.arguments.workflow is not None:
        return bot.arguments.workflow
    return tuple(dict.fromkeys(successor.bot for successor in bot.successors))
