"""`python -m factory_cdk.local FOLDER`: the runner of the stage whose state is in FOLDER.

Started by `build` and `resume` (launch.py); also what a service manager would run. Options: `--report FD`, the
socket to the command that waits and hands over the values of secrets (without it they are resolved here), and
`--detach`, to live on in a session of its own. Without it a SIGTERM to this process alone ends the runner warm.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.guardian import guard
from factory_cdk.local.roster import roster_from_json
from factory_cdk.local.runner import Runner
from factory_cdk.local.secrets import resolve_secrets, shut_memory, take_over, variables_of
from factory_cdk.local.stagequeues import open_queues
from factory_cdk.local.state import StageState, holding, read_json, take_lock, write_json
from factory_cdk.local.status import Status, read_status, status_as_json

LOCK_PATIENCE = 3.0
"""Seconds to wait for the lock: whoever only asks whether it is held, holds it for a moment."""


def main() -> int:
    """Read the arguments and run; the exit code is 0 after an orderly end, 1 for what is said on stderr."""
    parser = argparse.ArgumentParser(prog="python -m factory_cdk.local")
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


def serve(folder: Path, report: int | None, *, detached: bool) -> None:
    """Run the stage in `folder` until it is ended. FactoryError when that cannot be."""
    shut_memory()
    guardian = guard(pass_on=not detached)  # forks: before the lock is taken
    state = StageState(folder.parent.name, folder.name, folder)
    lock = take_lock(state.runner_lock, wait=LOCK_PATIENCE)
    if lock is None:
        raise FactoryError(f"{state.name} has a runner already", f"factory-cdk ps --name {state.factory}")
    with holding(lock):
        connection = socket.socket(fileno=report) if report is not None else None
        handed_over = take_over(connection) if connection else None
        content = read_json(state.roster)
        if content is None:
            raise FactoryError(f"{folder} holds no factory", "build it first")
        try:
            roster = roster_from_json(content)
        except (ValueError, KeyError, TypeError) as error:
            raise FactoryError(
                f"{state.roster} cannot be read by this version of factory-cdk ({error})", "demolish and build again"
            ) from error
        secrets = resolve_secrets(roster.secrets) if handed_over is None else handed_over
        for name in variables_of(posting.secrets for posting in roster.postings):
            os.environ.pop(name, None)  # no worker is begun with them
        try:
            with open_queues(state) as queues:

                async def run() -> None:
                    await Runner(state, roster, secrets, queues, guardian, connection).run()

                asyncio.run(run())
        except FactoryError as error:
            _note_end(state, error)
            raise
        guardian.dismiss()


def _note_end(state: StageState, error: FactoryError) -> None:
    """Leave word for `ps` of what the runner ended with, beside what was known of its workers."""
    last = read_status(state) or Status(os.getpid(), time.time(), "ended", "")
    write_json(state.status, status_as_json(replace(last, gate="ended", trouble=error.message)))


if __name__ == "__main__":
    sys.exit(main())
