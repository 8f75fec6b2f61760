"""`python -m factory_cdk.runner FOLDER`: the runner of the stage whose state is in FOLDER.

Started by `build` and `resume` (launch.py); also what a service manager would run. Options: `--report FD`, the
socket to the command that waits and hands over the values of secrets (without it they are resolved here), and
`--detach`, to live on in a session of its own. Without it a SIGTERM to this process alone ends the runner warm.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.port import RunnerQueues
from factory_cdk.runner.guardian import Guardian, guard
from factory_cdk.runner.purge import tidy
from factory_cdk.runner.runner import Runner
from factory_cdk.state.folder_ports import ports_of
from factory_cdk.state.locks import holding, take_lock
from factory_cdk.state.ports import RunnerPorts
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.secrets import Values, shut_memory, variables_of
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import open_queues, queues_location
from factory_cdk.state.status import Status, read_status, write_status

LOCK_PATIENCE = 3.0
"""Seconds to wait for the lock: whoever only asks whether it is held, holds it for a moment."""


def main() -> int:
    """Read the arguments and run; the exit code is 0 after an orderly end, 1 for what is said on stderr."""
    parser = argparse.ArgumentParser(prog="python -m factory_cdk.runner")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--report", type=int)
    parser.add_argument("--detach", action="store_true")
    arguments = parser.parse_args()
    if arguments.detach:
        detach()
    try:
        serve(arguments.folder.absolute(), arguments.report, detached=arguments.detach)
    except FactoryError as error:
        print(f"{error.message}\n{error.remedy or ''}".rstrip(), file=sys.stderr)
        return 1
    return 0


def detach() -> None:
    """Go on as a process that no terminal, shell or parent knows: in a session of its own, which its guardian leads."""
    if os.fork():
        os._exit(0)
    os.setsid()


def serve(path: Path, report: int | None, *, detached: bool) -> None:
    """Run the stage whose folder is `path` until it is ended. FactoryError when that cannot be."""
    shut_memory()
    guardian = guard(pass_on=not detached)  # forks: before the lock is taken
    folder = StageFolder(path.parent.name, path.name, path)
    lock = take_lock(folder.runner_lock, wait=LOCK_PATIENCE)
    if lock is None:
        raise FactoryError(f"{folder.name} has a runner already", f"factory-cdk ps --name {folder.factory}")
    with holding(lock):
        launcher = socket.socket(fileno=report) if report is not None else None
        ports = ports_of(folder, launcher)
        spec = ports.specs.read()
        secrets = ports.secrets.values(spec)
        for name in variables_of(pool_spec.secrets for pool_spec in spec.pool_specs):
            os.environ.pop(name, None)  # no worker is begun with them
        try:
            with open_queues(folder) as queues:
                asyncio.run(run(folder, ports, spec, secrets, queues, guardian, launcher))
        except FactoryError as error:
            _note_end(folder, error)
            raise
        guardian.dismiss()


async def run(
    folder: StageFolder,
    ports: RunnerPorts,
    spec: RunnerSpec,
    secrets: Values,
    queues: RunnerQueues,
    guardian: Guardian,
    launcher: socket.socket | None,
) -> None:
    """Run `spec` until it is ended. FactoryError."""
    runner = Runner(
        ports,
        spec,
        secrets,
        queues,
        guardian,
        tidy=functools.partial(tidy, queues_location(folder)),
        queues_are_shared=folder.shares_queues,
        launcher=launcher,
    )
    await runner.run()


def _note_end(folder: StageFolder, error: FactoryError) -> None:
    """Leave word for `ps` of what the runner ended with, beside what was known of its workers."""
    last = read_status(folder) or Status(os.getpid(), time.time(), "ended", "")
    write_status(folder, replace(last, gate="ended", trouble=error.message))


if __name__ == "__main__":
    sys.exit(main())
