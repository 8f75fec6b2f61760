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
from factory_cdk.local.roster import Roster
from factory_cdk.local.secrets import Values, hand_over, variables_of, without_variables
from factory_cdk.local.state import StageState

STDERR = "runner.stderr.log"

MOMENT = 0.2
"""Seconds after which one who waits for a runner looks whether there was a Ctrl-C just before the waiting began: the
interpreter hears of that no sooner.
"""


class Launch:
    """A runner of `roster` that was started and given the `values` of its secrets; their variables are kept from
    its environment. Until `keep`, it ends itself when this object's process goes away.
    """

    def __init__(self, state: StageState, roster: Roster, values: Values, *, detach: bool) -> None:
        self._state = state
        self._socket, theirs = socket.socketpair()
        make_private(state.logs)
        command = [sys.executable, "-P", "-m", "factory_cdk.local", str(state.folder), "--report", str(theirs.fileno())]
        hidden = variables_of(posting.secrets for posting in roster.postings)
        if detach:
            with disk(state.starting):
                state.starting.touch(mode=0o600)
        with disk(state.logs), theirs, (state.logs / STDERR).open("ab") as log:
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
        self._state.starting.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a runner that is gone is told by its lock
            self._socket.sendall(b"keep\n")
        self.hang_up()

    def hang_up(self) -> None:
        """Stop listening; a runner that was not kept ends itself."""
        self._socket.close()

    def last_words(self) -> str:
        """What the runner printed on stderr since it was started."""
        with contextlib.suppress(FileNotFoundError), (self._state.logs / STDERR).open("rb") as log:
            log.seek(self._stderr_starts, os.SEEK_SET)
            return log.read().decode(errors="replace").strip()
        return ""
