"""The installer: a process of its own that installs one release and ends, so that what it loads goes with it.

The runner starts nothing but what its guardian knows (runner/subreaper.py), so it is started as a worker is: it leads a
process group, and all that it leaves behind is ended. `python -m factory_cdk.agent.installing ROOT` reads the release
as JSON and prints JSON lines: `{"say": …}` for each step, and at the end `{"installed": …}` or `{"failed": …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factory_cdk.agent.aws import Aws, AwsError
from factory_cdk.agent.fetching import NotYetError
from factory_cdk.agent.folder import agent_folder
from factory_cdk.agent.installation import install_release
from factory_cdk.agent.release import InstalledRelease, ReleasePointer, installed_as_json, installed_from_json
from factory_cdk.agent.sector import read_sector
from factory_cdk.diagnostics import FactoryError
from factory_cdk.runner.ports import ProcessGuard
from factory_cdk.runner.subreaper import MARK
from factory_cdk.state.records import from_json
from factory_cdk.state.runner_spec import Timings

LAST_WORDS = 20
"""How many lines of what the installer printed beside its own are told when it dies."""


class InstallFailedError(FactoryError):
    """A release cannot be installed. `passing`: it may work in a while, since AWS could not be asked, or is not there
    yet.
    """

    def __init__(self, message: str, remedy: str | None, *, passing: bool) -> None:
        super().__init__(message, remedy)
        self.passing = passing


class Installer:
    """Starts installers for the instance whose files are in `root`; `say` gets their lines."""

    def __init__(self, root: Path, timings: Timings, guard: ProcessGuard, say: Callable[[str], None]) -> None:
        self._root, self._timings, self._guard, self._say = root, timings, guard, say

    async def install(self, pointer: ReleasePointer) -> InstalledRelease:
        """Install the release of `pointer`; when this is cancelled, the installer is ended. InstallFailedError."""
        mark = os.urandom(8).hex()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "factory_cdk.agent.installing", str(self._root)],
            cwd="/",
            env={**os.environ, MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._guard.watch(process.pid, mark)
        asked = {"pointer": {**asdict(pointer), "signal": "", "booted": None}, "timings": asdict(self._timings)}
        listening = asyncio.ensure_future(asyncio.to_thread(self._listen, process, asked, asyncio.get_running_loop()))
        try:
            said = await asyncio.shield(listening)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await listening
            raise
        finally:
            self._guard.forget(process.pid)
        if "installed" in said:
            return installed_from_json(said["installed"])
        raise InstallFailedError(said["failed"], said.get("remedy"), passing=said.get("passing", False))

    def _listen(
        self, process: subprocess.Popen[bytes], asked: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> dict[str, Any]:
        """What the installer says last; in a thread."""
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(asked).encode())
        other: list[str] = []
        last: dict[str, Any] = {}
        with process.stdout:
            for line in process.stdout:
                said = _message(line)
                if said is None:
                    other.append(line.decode(errors="replace").rstrip())
                elif "say" in said:
                    loop.call_soon_threadsafe(self._say, said["say"])
                else:
                    last = said
        code = process.wait()
        words = "\n".join(other[-LAST_WORDS:])
        return last or {"failed": f"the installer ended with {code}\n{words}".rstrip()}


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _tell(**content: object) -> None:
    print(json.dumps(content), flush=True)


def main() -> int:
    """Install what standard input asks for."""
    root, asked = Path(sys.argv[1]), json.load(sys.stdin)
    try:
        sector = read_sector(root)
        installed = install_release(
            ReleasePointer(**asked["pointer"]),
            sector,
            agent_folder(root),
            Aws(sector.region),
            from_json(Timings, asked["timings"]),
            lambda line: _tell(say=line),
        )
    except FactoryError as error:
        _tell(failed=error.message, remedy=error.remedy, passing=isinstance(error, AwsError | NotYetError))
        return 1
    _tell(installed=installed_as_json(installed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
