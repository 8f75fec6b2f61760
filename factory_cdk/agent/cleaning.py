"""What is deleted on an instance: whatever was installed for releases that are gone.

Kept is what the present release stands on, and the one before, to which a rollback leads; and what a worker is running
from, which may be of a release from hours ago. Working folders are the bots' own, and stay.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from factory_cdk.agent.folder import AgentFolder
from factory_cdk.agent.release import InstalledRelease
from factory_cdk.install.bundles import BUNDLES, remove_read_only
from factory_cdk.install.environments import uv_for_environments
from factory_cdk.install.wheels import WHEELS
from factory_cdk.runner.ports import Process, StartWorker
from factory_cdk.state.locks import holding, take_lock
from factory_cdk.state.runner_spec import PoolSpec

INSTALLED = (BUNDLES, WHEELS, "environments", "cache/archives")
"""The folders below an agent's home that have an entry for each thing that is installed."""


class WorkersAtWork:
    """Starts workers with `start`, and knows what those that are alive were started from."""

    def __init__(self, start: StartWorker) -> None:
        self._start = start
        self._started: dict[int, PoolSpec] = {}

    def start(self, pool_spec: PoolSpec) -> Process:
        """Start a process for a worker of `pool_spec`. OSError when the system cannot start one."""
        process = self._start(pool_spec)
        self._started[process.pid] = pool_spec
        return process

    def specs(self) -> list[PoolSpec]:
        """The pool specs of workers that are alive."""
        alive = {pid: one for pid, one in self._started.items() if Path(f"/proc/{pid}").exists()}
        self._started = alive
        return list(alive.values())


def clean_up(
    folder: AgentFolder,
    kept: Iterable[InstalledRelease],
    at_work: Iterable[PoolSpec],
    still: Callable[[], bool],
) -> int:
    """Delete what is neither of the releases `kept` nor that from which workers `at_work` run; how many entries of
    INSTALLED that were. Nothing while a release is being installed, or unless it is `still` wanted. FactoryError,
    OSError.
    """
    lock = take_lock(folder.install_lock)
    if lock is None:
        return 0  # whoever installs cleans up afterwards
    with holding(lock):
        releases = list(kept)
        if not still() or not all(one.files for one in releases):  # an earlier version did not say what it installed
            return 0
        names = {name for one in releases for name in one.files}
        names |= {name for one in at_work for name in _names(folder.home, one)}
        removed = 0
        for part in INSTALLED:
            for entry in _entries(folder.home / part):
                name = f"{part}/{entry.name.removesuffix('.lock')}"
                if name not in names:
                    _remove(entry)
                    removed += not entry.name.endswith(".lock")
        _remove_bytecode(folder, names)
        if removed:
            _empty_cache(folder.home)
        return removed


def _names(home: Path, pool_spec: PoolSpec) -> list[str]:
    """The entries of INSTALLED from which a worker of `pool_spec` runs."""
    environments = {Path(pool_spec.python).parent.parent, *(Path(one).parent for one in pool_spec.bins)}
    paths = [Path(pool_spec.bundle), *environments]
    return [path.relative_to(home).as_posix() for path in paths if path.is_relative_to(home)]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        remove_read_only(entry)
    else:
        entry.unlink(missing_ok=True)


def _remove_bytecode(folder: AgentFolder, names: set[str]) -> None:
    """Delete the compiled files of bundles that are gone."""
    for bot in _entries(folder.bytecode):
        for bundle in _entries(Path(bot, *(folder.home / BUNDLES).parts[1:])):
            if f"{BUNDLES}/{bundle.name}" not in names:
                shutil.rmtree(bundle)


def _empty_cache(home: Path) -> None:
    """Empty uv's cache, which has all that was ever installed; environments do not need it any more."""
    tool = replace(uv_for_environments(home, threading.Event()), flags=())  # they are for `uv pip`
    said = tool.say(["cache", "clean", "--quiet"], home)
    if said.code:
        raise tool.failure(said, "uv's cache cannot be emptied")
