"""The specs of a runner on an instance: that of the release that is installed, and that of the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from factory_cdk.agent.release import InstalledRelease, write_installed
from factory_cdk.state.runner_spec import RunnerSpec


class ReleaseSpecs:
    """A SpecStore. `present` is the release that the runner runs, which `file` keeps; `notify` has the runner look for
    the next one.
    """

    def __init__(self, file: Path, present: InstalledRelease, notify: Callable[[], None]) -> None:
        self._file, self._notify = file, notify
        self.present = present
        self._next: tuple[str, InstalledRelease] | None = None
        self._offered: dict[str, InstalledRelease] = {}
        self._started = False

    def read(self) -> RunnerSpec:
        """The present spec."""
        return self.present.spec

    def offer(self, request: str, installed: InstalledRelease) -> None:
        """Ask the runner to change to `installed`."""
        self._next = request, installed
        self._notify()

    def take_next(self) -> tuple[str, RunnerSpec] | None:
        """The next spec, once. A runner that starts asks, too, and drops what was asked of the one before: it gets
        none.
        """
        if not self._started:
            self._started = True
            if self._next is not None:
                asyncio.get_running_loop().call_soon(self._notify)
            return None
        taken, self._next = self._next, None
        if taken is None:
            return None
        request, installed = taken
        self._offered = {request: installed}
        return request, installed.spec

    def accept(self, spec: RunnerSpec) -> None:
        """Make `spec` the present one. FactoryError."""
        accepted = next(one for one in self._offered.values() if one.spec is spec)
        write_installed(self._file, accepted)
        self.present = accepted
