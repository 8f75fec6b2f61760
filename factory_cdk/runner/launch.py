"""Starting a runner and hearing from it until it can be left alone."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from factory_cdk.home import disk, make_private
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.secrets import Values, hand_over, variables_of, without_variables
from factory_cdk.state.stage_folder import StageFolder

STDERR = "runner.stderr.log"

MOMENT = 0.2
"""Seconds after which one who waits for a runner looks whether there was a Ctrl-C just before the waiting began: the
interpreter hears of that no sooner.
"""


class Launch:
    """A runner of `spec` that was started and given the `values` of its secrets; their variables are kept from
    its environment. Until `keep`, it ends itself when this object's process goes away.
    """

    def __init__(self, folder: StageFolder, spec: RunnerSpec, values: Values, *, detach: bool) -> None:
        self._folder = folder
        self._socket, theirs = socket.socketpair()
        make_private(folder.logs)
        command = [sys.executable, "-P", "-m", "factory_cdk.runner", str(folder.path), "--report", str(theirs.fileno())]
        hidden = variables_of(pool_spec.secrets for pool_spec in spec.pool_specs)
        if detach:
            with disk(folder.starting):
                folder.starting.touch(mode=0o600)
        with disk(folder.logs), theirs, (folder.logs / STDERR).open("ab") as log:
            self._stderr_starts = log.tell()
            self.process = subprocess.Popen(
                [*command, "--detach"] if detach else command,
                cwd="/",
                env=without_variables(os.environ, hidden),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        if detach:
            self.process.wait()  # the first of two forks
        hand_over(self._socket, values)

    def events(self) -> Iterator[dict[str, Any]]:
        """What the runner says: `{"event": "ready" | "trouble" | "ended", …}`; ends when it is gone."""
        rest = b""
        while True:
            if not select.select([self._socket], [], [], MOMENT)[0]:
                continue
            received = self._socket.recv(1 << 16)
            if not received:
                return
            *lines, rest = (rest + received).split(b"\n")
            yield from map(json.loads, lines)

    def keep(self) -> None:
        """Let the runner live on by itself."""
        self._folder.starting.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a runner that is gone is told by its lock
            self._socket.sendall(b"keep\n")
        self.hang_up()

    def hang_up(self) -> None:
        """Stop listening; a runner that was not kept ends itself."""
        self._socket.close()

    def last_words(self) -> str:
        """What the runner printed on stderr since it was started."""
        with contextlib.suppress(FileNotFoundError), (self._folder.logs / STDERR).open("rb") as log:
            log.seek(self._stderr_starts, os.SEEK_SET)
            return log.read().decode(errors="replace").strip()
        return ""
