"""`launcher: python`, the default: the worker imports what `bot_path` names and calls it for every job."""

from __future__ import annotations

from factory_cdk.launchers.base import FACTORY_QUEUES, QALX_ARGUMENTS, ProcessEnvironment, Refusal, Start
from factory_cdk.plan.model import BotArguments
from factory_cdk.release import BotRelease


class PythonLauncher:
    """Bots in Python, in the environment of their requirements."""

    name = "python"
    transport = FACTORY_QUEUES
    idle_arguments = QALX_ARGUMENTS
    idle_hint = "remove it, or say `launcher: qalx`"

    def validate(self, bot_path: str | None, command: tuple[str, ...] | None) -> Refusal | None:
        """None: the plan gives every bot a `bot_path`, or a `command` and with it another launcher."""
        return None

    def environment(self, bot: BotRelease, installed: ProcessEnvironment) -> ProcessEnvironment:
        """What was installed."""
        return installed

    def command(self, bot: BotRelease) -> Start:
        """Import the bot."""
        return Start("target", (bot.bot_path or "",))

    def processes(self, arguments: BotArguments) -> int:
        """As many as the plan says."""
        return arguments.processes
