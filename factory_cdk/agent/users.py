"""Users of their own for bots: a bot can read neither what the agent has nor what another bot has in hand or on disk.

They are numbers without names. The metadata service, and with it the role of the sector, is closed to them by the rules
of setup.py.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk
from factory_cdk.install.bundles import BUNDLES
from factory_cdk.runner.process import WorkerProcess, worker_command, worker_environ
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.runner_spec import PoolSpec

NUMBERS = range(66_000, 94_000)
"""Numbers of users, from where no distribution gives any: below are systemd's dynamic users, above the subordinate
ones of containers (https://systemd.io/UIDS-GIDS).
"""

OOM_SCORE = "100"
"""Where a bot's score begins: the agent's own is such that the kernel ends it last."""

OPEN = (BUNDLES, "environments", "work", "cache")
"""Folders of the agent that bots pass through: what is theirs alone in them belongs to them."""

StartAs = Callable[[PoolSpec], WorkerProcess]


class BotUsers:
    """The users of an instance's bots, kept in `file`: a bot has the same one as long as the instance is there."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()

    def of(self, pool_spec: PoolSpec) -> int:
        """The user of a bot. FactoryError when there is none left, or that cannot be written down."""
        key = pool_spec.label
        with self._lock:
            known: dict[str, int] = read_json(self._file) or {}
            if key not in known:
                taken = set(known.values())
                known[key] = next((number for number in NUMBERS if number not in taken), -1)
                if known[key] < 0:
                    raise FactoryError("there is no number left for another bot's user", "make the instance again")
                write_json(self._file, known)
            return known[key]

    def give(self, pool_spec: PoolSpec, home: Path) -> None:
        """Let a bot reach its code and environment below `home`, and write to its working folder. FactoryError."""
        user = self.of(pool_spec)
        with disk(home):
            for folder in (home, *(home / name for name in OPEN)):
                if folder.is_dir():
                    folder.chmod(0o711)
            for own in (pool_spec.folder, pool_spec.bytecode):
                if own is not None:
                    path = Path(own)
                    path.mkdir(parents=True, exist_ok=True, mode=0o700)
                    path.parent.chmod(0o711)
                    _give(path, user)

    def start(self, pool_spec: PoolSpec) -> WorkerProcess:
        """Start a process for a worker of `pool_spec` as its user. OSError when the system cannot start one."""
        user = str(self.of(pool_spec))
        environ = worker_environ(pool_spec.bins, pool_spec.variables)
        own = {
            "HOME": pool_spec.folder,
            "USER": user,
            "LOGNAME": user,
            "AWS_EC2_METADATA_DISABLED": "true",  # SDKs know at once that it is closed
        }
        return WorkerProcess(
            lambda *descriptors: [*_as_user(user), *worker_command(pool_spec.python, *descriptors)],
            pool_spec.folder,
            {**environ, **own, **pool_spec.variables},
        )


def _as_user(user: str) -> list[str]:
    """The words in front of a command that make it a process of `user`, without privileges and any way to get some."""
    return [
        *("choom", "-n", OOM_SCORE, "--"),
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"),
        *("--inh-caps=-all", "--ambient-caps=-all", "--"),
    ]


def refuse_without_tools(which: Callable[[str], str | None] = shutil.which) -> None:
    """FactoryError when this system cannot start a process as another user."""
    for tool in ("choom", "setpriv"):
        if which(tool) is None:
            raise FactoryError(f"bots cannot have users of their own: there is no {tool}", "install util-linux")


def _give(folder: Path, user: int) -> None:
    """Make `folder` and all in it `user`'s, and nobody else's."""
    if folder.stat().st_uid != user:
        for path in _below(folder):
            os.chown(path, user, user, follow_symlinks=False)
        os.chown(folder, user, user)
        folder.chmod(0o700)


def _below(folder: Path) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        names: Sequence[str] = [*folders, *files]
        yield from (os.path.join(path, name) for name in names)  # noqa: PTH118 - strings are what os.walk gives
