"""What a launcher is: the way in which the bots of one `launcher` are started, and whose jobs they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from factory_cdk.plan.model import BotArguments
from factory_cdk.release import BotRelease

FACTORY_QUEUES = "factory"
"""The transport of bots whose jobs come from the queues of the factory: the runner hands them to their workers."""

CLASS_ARGUMENTS = ("qalx-session-class", "user-config-class", "bot-config-class", "entity-class")
QALX_ARGUMENTS = (*CLASS_ARGUMENTS, "skip-ini")
"""Arguments that only qalx knows."""

Mode = Literal["target", "command", "program"]


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is told to be.

    `target`: `words` is one `module:attribute`, which the worker imports and calls for every job. `command`: `words`
    is a program with its arguments, which the worker runs for every job (worker/command.py says what it gets).
    `program`: a program with its arguments, which the worker starts once, and which gets its jobs by itself.
    """

    mode: Mode
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessEnvironment:
    """What the worker processes of a bot run in: the interpreter of the worker, the folders that go onto sys.path, the
    folders that go onto PATH, and the variables that are set.
    """

    python: str
    roots: tuple[str, ...]
    bins: tuple[str, ...]
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a launcher does not start a bot, to be read after the name of the bot, and what to do about it."""

    message: str
    hint: str


class Launcher(Protocol):
    """A way to start bots. `name` is its value of a plan's `launcher`. Jobs pass only between bots whose launchers
    have the same `transport`. `idle_arguments` mean nothing to its bots; `idle_hint` says what to do about one.
    """

    @property
    def name(self) -> str:
        """The value of `launcher` that chooses it."""

    @property
    def transport(self) -> str:
        """Whose queues its bots get their jobs from: FACTORY_QUEUES, or the name of what has queues of its own."""

    @property
    def idle_arguments(self) -> tuple[str, ...]:
        """The bot arguments, by their names in a plan, that have no effect on its bots."""

    @property
    def idle_hint(self) -> str:
        """What to do about an argument that has no effect."""

    def validate(self, bot_path: str | None, command: tuple[str, ...] | None) -> Refusal | None:
        """Why it does not start a bot with this `bot_path` or `command`; None when it does."""

    def environment(self, bot: BotRelease, installed: ProcessEnvironment) -> ProcessEnvironment:
        """What the workers of `bot` run in, from what was `installed` for its code."""

    def command(self, bot: BotRelease) -> Start:
        """What a worker of `bot` is told to be."""

    def processes(self, arguments: BotArguments) -> int:
        """How many workers are started for a bot with these arguments."""
