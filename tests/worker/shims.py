"""A shim as its runner starts it, with the test at the other end of the socket."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patience import PATIENCE

import factory_cdk.worker
from factory_cdk.worker.frames import FrameBuffer, encode

SHIM = Path(factory_cdk.worker.__file__).with_name("__main__.py")
FIELDS = ("id", "bot", "payload", "run", "parent", "attempt", "tags")
PLAIN_PYTHON: str = getattr(sys, "_base_executable", sys.executable)
"""An interpreter without factory_cdk, as in a bot's environment."""


class Shim:
    """A worker process; `say` and `hear` are the runner's side."""

    def __init__(self, log: Path, python: str) -> None:
        self._socket, theirs = socket.socketpair()
        self.permits, self._permit = os.pipe()
        os.set_blocking(self.permits, False)
        self._handed_over = 0
        self.passed = 0
        """How many jobs it has passed over."""
        self._socket.settimeout(PATIENCE)
        self._frames = FrameBuffer()
        self._heard: list[dict[str, Any]] = []
        self.log = log
        with theirs, log.open("wb") as output:
            self.process = subprocess.Popen(
                [python, "-I", str(SHIM), str(theirs.fileno()), str(self.permits)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno(), self.permits],
                cwd=log.parent,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": "/nonexistent"},
            )

    def say(self, kind: str, **details: Any) -> None:
        """Send a message; jobs go as lists, with their permits."""
        if "jobs" in details:
            details["jobs"] = [[job[field] for field in FIELDS] for job in details["jobs"]]
            for _ in details["jobs"]:
                os.write(self._permit, bytes([self._handed_over % 256]))
                self._handed_over += 1
        self._socket.sendall(encode({"kind": kind, **details}))

    def start(self, folder: Path, target: str = "", *, command: Sequence[str] = (), **details: Any) -> dict[str, Any]:
        """Send the first message, for a bot in Python or a `command`; the shim's first answer."""
        start = {
            "bot": "tested",
            "mode": "command" if command else "target",
            "words": list(command) or [target],
            "roots": [str(folder)],
            "bytecode": None,
            "variables": {},
        }
        self.say("start", **{"roots": [str(folder)], **start, **details})
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """What it says next, beside what it passes over."""
        while True:
            while not self._heard:
                received = self._socket.recv(1 << 16)
                assert received, f"the shim is gone; its log: {self.log.read_text()}"
                self._heard = self._frames.feed(received)
            message = self._heard.pop(0)
            if message["kind"] != "passed":
                return message
            self.passed += message["count"]

    def do(self, payload: Any, **details: Any) -> dict[str, Any]:
        """Hand one job over; the answer."""
        self.say("jobs", jobs=[job(payload, **details)])
        return self.hear()

    def take_back(self) -> int:
        """Take back what was not begun; how many jobs that are."""
        return len(os.read(self.permits, 256))

    def hang_up(self) -> None:
        """Do what the death of a runner does to the socket."""
        self._socket.close()
        for descriptor in (self.permits, self._permit):
            if descriptor >= 0:
                os.close(descriptor)
        self.permits = self._permit = -1

    def printed(self) -> str:
        """What the bot printed, without the marks that say which job did."""
        return re.sub("\x1e[^\x1f]*\x1f", "", self.log.read_text(encoding="utf-8"))

    def ends(self) -> int:
        return self.process.wait(PATIENCE)


def job(payload: Any, **details: Any) -> dict[str, Any]:
    """A job as a runner hands it over."""
    defaults = {"id": "j1", "bot": "tested", "attempt": 1, "tags": {}, "parent": None, "run": "r1"}
    return {"payload": payload, **defaults, **details}
