"""A machine as EC2 starts one, in namespaces of its own: a Debian with systemd, its own metadata service, no network
but AWS's endpoint. cloud-init runs its user-data at the first boot, as on an instance, but finds it on the disk (its
data source NoCloud): the one of EC2 wants Amazon's firmware.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from metadata_server import ANSWERS, metadata_service
from patience import PATIENCE, until

HERE = Path(__file__).parent
NAMESPACES = ("--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--kill-child")
MODULES = """
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: [scripts-user]
"""
SEED = "var/lib/cloud/seed/nocloud"
IN_A_GROUP = 'echo $$ >"$GROUP/cgroup.procs"; exec "$@"'


@dataclass
class Machine:
    """A machine whose disk is the folder `disk` over the system `debian`, and whose AWS is at `aws_url`.

    `answers` are those of its metadata service, `variables` those of all of its units.
    """

    disk: Path
    debian: Path
    wheels: Path
    aws_url: str
    answers: dict[str, str] = field(default_factory=lambda: dict(ANSWERS))
    user_data: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    group: Path = Path()
    _serving: ExitStack = field(default_factory=ExitStack)

    def write(self, path: str, text: str) -> None:
        """Write a file of its disk while it is off."""
        file = self.disk / "written" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def start(self) -> None:
        """Switch it on; does not wait for anything that it does."""
        environment = " ".join(f'"{name}={value}"' for name, value in self.variables.items())
        self.write("etc/systemd/system.conf.d/environment.conf", f"[Manager]\nDefaultEnvironment={environment}\n")
        self.write("etc/cloud/cloud.cfg.d/scripts.cfg", MODULES)
        self.write(f"{SEED}/meta-data", f"instance-id: {self.answers['instance-id']}\n")
        self.write(f"{SEED}/user-data", self.user_data)
        self.switch_on("/lib/systemd/systemd", "--log-target=journal", "--show-status=no")

    def switch_on(self, *first: str) -> None:
        """Start its first process, which is a program of its disk with arguments."""
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.group = self._serving.enter_context(control_group())
        ours, theirs = socket.socketpair()
        environ = {"DEBIAN": self.debian, "DISK": self.disk, "WHEELS": self.wheels, "GROUP": self.group}
        command = [
            *("sh", "-c", IN_A_GROUP, "sh", "unshare", "--net"),
            *(sys.executable, HERE / "machine_start.py", str(theirs.fileno()), str(urlsplit(self.aws_url).port)),
            *("unshare", *NAMESPACES, "sh", HERE / "machine_start.sh", *first),
        ]
        with ours, theirs, self.console.open("ab") as console:
            output = {"stdin": subprocess.DEVNULL, "stdout": console, "stderr": console}
            self.process = subprocess.Popen(
                command, env={**os.environ, **environ}, pass_fds=[theirs.fileno()], **output
            )
            theirs.close()
            ours.settimeout(PATIENCE)
            _, listening, _, _ = socket.recv_fds(ours, 16, 2)
        assert len(listening) == 2, self.console.read_text()
        metadata, endpoint = (socket.socket(fileno=one) for one in listening)
        served = self._serving.enter_context(metadata_service(metadata))
        served.answers = self.answers
        self._serving.enter_context(passed_on(endpoint, self.aws_url))

    @property
    def console(self) -> Path:
        """What its first process prints."""
        return self.disk / "console.log"

    def first_process(self) -> int:
        """Its process 1, as this machine numbers it."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(until(lambda: children.read_text().split())[0])

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints that root runs on it."""
        words = ["nsenter", "--target", str(self.first_process()), "--all", "--root", "--wd", *command]
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def unit(self, name: str, what: str) -> str:
        """A property of a unit, as `systemctl show` says it; nothing while there is no systemd to ask."""
        return self.run("systemctl", "show", "--value", f"--property={what}", name, check=False).strip()

    def journal(self, *options: str) -> str:
        """What its journal has, of all boots."""
        return self.run("journalctl", "--no-pager", "--all", "--output=cat", *options)

    def processes(self, unit: str) -> dict[int, int]:
        """The processes of a unit: how this machine numbers them, by how that one does."""
        found = {}
        for file in (self.group / "system.slice" / unit).rglob("cgroup.procs"):
            for number in map(int, file.read_text().split()):
                status = Path(f"/proc/{number}/status").read_text()
                found[int(status.partition("\nNSpid:")[2].splitlines()[0].split()[-1])] = number
        return found

    def reboot(self) -> None:
        """Have systemd end everything in order, and start again."""
        self.run("systemctl", "reboot", check=False)  # which ends it before it has answered
        self.ended()
        self.start()

    def lose_power(self) -> None:
        """End it at once; `start` switches it on again."""
        os.kill(self.first_process(), signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        """Wait until its first process has ended: the exit code."""
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        self._serving.close()
        return code

    def end(self) -> None:
        """Switch it off, if it is on."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()  # and with it, by --kill-child, all of it
            self.ended()
        self._serving.close()


@contextmanager
def control_group() -> Iterator[Path]:
    """A control group of its own, in which nobody is left when the block ends. Where none may be made: skipped."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    hierarchy = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if hierarchy is None:
        pytest.skip("a machine of its own needs control groups (cgroup2)")
    group = hierarchy / f"factory-cdk-{secrets.token_hex(4)}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"a machine of its own may not have a control group here: {error}")
    try:
        yield group
    finally:
        until(lambda: _removed(group))


def _removed(group: Path) -> bool:
    """Whether the group could be removed, with those in it: not while anybody in them is on his way out."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


@contextmanager
def passed_on(listening: socket.socket, url: str) -> Iterator[None]:
    """Connections to `listening` are passed on to the server at `url` of this machine."""
    target = urlsplit(url)

    class PassOn(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((target.hostname, target.port)) as server:
                answers = threading.Thread(target=copy, args=(server, self.request), daemon=True)
                answers.start()
                copy(self.request, server)
                answers.join()

    def copy(source: socket.socket, destination: socket.socket) -> None:
        with contextlib.suppress(OSError):  # whoever goes away closes both
            while data := source.recv(1 << 16):
                destination.sendall(data)
        with contextlib.suppress(OSError):
            destination.shutdown(socket.SHUT_WR)

    server = socketserver.ThreadingTCPServer(("", 0), PassOn, bind_and_activate=False)
    server.socket.close()
    server.socket, server.daemon_threads = listening, True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
