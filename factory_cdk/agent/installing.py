"""The process that installs one release: `python -m factory_cdk.agent.installing ROOT` (see child.py)."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from factory_cdk.agent.aws import Aws, AwsError
from factory_cdk.agent.child import Children, tell
from factory_cdk.agent.fetching import NotYetError
from factory_cdk.agent.folder import agent_folder
from factory_cdk.agent.installation import install_release
from factory_cdk.agent.release import InstalledRelease, ReleasePointer, installed_as_json, installed_from_json
from factory_cdk.agent.sector import read_sector
from factory_cdk.agent.users import BotUsers
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import make_private
from factory_cdk.state.locks import holding, take_lock
from factory_cdk.state.records import from_json
from factory_cdk.state.runner_spec import Timings

LOCK_PATIENCE = 600.0
"""Seconds to wait for the end of another installation, or of a deletion."""


class InstallFailedError(FactoryError):
    """A release cannot be installed. `passing`: it may work in a while, since AWS could not be asked, or is not there
    yet.
    """

    def __init__(self, message: str, remedy: str | None, *, passing: bool) -> None:
        super().__init__(message, remedy)
        self.passing = passing


async def install(
    children: Children, pointer: ReleasePointer, timings: Timings, *, own_users: bool
) -> InstalledRelease:
    """Install the release of `pointer`, whose runner has `timings`, and whose bots have users of their own or not.
    InstallFailedError.
    """
    plain = {**asdict(pointer), "signal": "", "booted": None}
    asked = {"pointer": plain, "timings": asdict(timings), "own_users": own_users}
    said = await children.ask(__name__, asked)
    if "installed" in said:
        return installed_from_json(said["installed"])
    raise InstallFailedError(said["failed"], said.get("remedy"), passing=said.get("passing", False))


def main() -> int:
    """Install what standard input asks for."""
    root, asked = Path(sys.argv[1]), json.load(sys.stdin)
    os.umask(0o022)  # code and environments are for bots to read; all else is made private one by one
    try:
        sector, folder = read_sector(root), agent_folder(root)
        make_private(folder.home)
        lock = take_lock(folder.install_lock, wait=LOCK_PATIENCE)
        if lock is None:
            raise FactoryError("another release is being installed, or old ones are being deleted", "build again")
        with holding(lock):
            installed = install_release(
                ReleasePointer(**asked["pointer"]),
                sector,
                folder,
                Aws(sector.region),
                from_json(Timings, asked["timings"]),
                BotUsers(folder.users) if asked["own_users"] else None,
                lambda line: tell(say=line),
            )
    except FactoryError as error:
        tell(failed=error.message, remedy=error.remedy, passing=isinstance(error, AwsError | NotYetError))
        return 1
    tell(installed=installed_as_json(installed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
