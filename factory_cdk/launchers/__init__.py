"""Launchers: the ways in which a bot is started and gets its jobs, by the values of a plan's `launcher`.

A new one is a class with what `base.Launcher` says, and an entry here. What a plan may say of its bots is validated
with it (plan/checks/launchers.py), and a runner is told what it answered (install/pool_specs.py). Neither knows its
name.
"""

from __future__ import annotations

from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers.base import Launcher
from factory_cdk.launchers.command import CommandLauncher
from factory_cdk.launchers.python import PythonLauncher
from factory_cdk.launchers.qalx import QalxLauncher

DEFAULT = "python"

LAUNCHERS: dict[str, Launcher] = {
    launcher.name: launcher for launcher in (PythonLauncher(), CommandLauncher(), QalxLauncher())
}
"""Every launcher by its name."""


def register(launcher: Launcher) -> None:
    """Let plans name `launcher`. ValueError when there is one of that name."""
    if launcher.name in LAUNCHERS:
        raise ValueError(f"there is a launcher {launcher.name} already")
    LAUNCHERS[launcher.name] = launcher


def name_of(launcher: str, command: tuple[str, ...] | None) -> str:
    """The name of the launcher of a bot whose argument `launcher` is this: that of a `command:` is `command`."""
    return "command" if command is not None and launcher == DEFAULT else launcher


def launcher_of(launcher: str, command: tuple[str, ...] | None) -> Launcher:
    """The launcher of a bot whose argument `launcher` is this. FactoryError when there is none of that name."""
    found = LAUNCHERS.get(name_of(launcher, command))
    if found is None:
        raise FactoryError(f"there is no launcher {launcher}", f"one of: {', '.join(LAUNCHERS)}")
    return found
