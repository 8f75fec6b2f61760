"""The launcher of `command:` bots: the worker runs a program for every job."""

from __future__ import annotations

from factory_cdk.launchers.base import FACTORY_QUEUES, QALX_ARGUMENTS, ProcessEnvironment, Refusal, Start
from factory_cdk.plan.model import BotArguments
from factory_cdk.release import BotRelease


class CommandLauncher:
    """Programs, run in the environment of the requirements beside them."""

    name = "command"
    transport = FACTORY_QUEUES
    idle_arguments = QALX_ARGUMENTS
    idle_hint = "remove it: a program gets its job on its stdin"

    def validate(self, bot_path: str | None, command: tuple[str, ...] | None) -> Refusal | None:
        """Refuses a bot without a `command`."""
        if command is None:
            return Refusal("has `launcher: command` and no `command`", "give it a `command`, or take out `launcher`")
        return None

    def environment(self, bot: BotRelease, installed: ProcessEnvironment) -> ProcessEnvironment:
        """What was installed."""
        return installed

    def command(self, bot: BotRelease) -> Start:
        """Run the program for every job."""
        return Start("command", bot.command or ())

    def processes(self, arguments: BotArguments) -> int:
        """As many as the plan says."""
        return arguments.processes
