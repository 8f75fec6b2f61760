"""A network namespace from which nothing is reached but some servers of this machine: run as a program in it.

`python network_of_its_own.py FOLDER PORT…` serves 127.0.0.1:PORT, where each connection goes on to FOLDER/PORT.sock:
`bridged` serves these on the other side. It prints `ready` once it listens, and lasts until its standard input ends.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__)
UNSHARE = ("unshare", "--net", "--map-root-user")
START = 'ip link set lo up && exec "$@"'


@dataclass(frozen=True)
class Network:
    """A network namespace, that of the process `pid`."""

    pid: int

    def around(self, *command: str) -> list[str]:
        """`command` as one that runs in it."""
        return ["nsenter", "--user", "--net", "--preserve-credentials", f"--target={self.pid}", *command]


def is_allowed() -> bool:
    """Whether this machine lets us make one."""
    try:
        return subprocess.run([*UNSHARE, "sh", "-c", "ip link set lo up"], check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def network(folder: Path, urls: Sequence[str]) -> Iterator[Network]:
    """A network namespace with loopback alone, on which the servers at `urls` are where they are here."""
    ports = [str(urlsplit(url).port) for url in urls]
    command = [*UNSHARE, "sh", "-c", START, "sh", sys.executable, str(HERE), str(folder), *ports]
    with bridged(folder, ports):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin and process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield Network(process.pid)
        finally:
            process.stdin.close()
            process.wait()


@contextmanager
def bridged(folder: Path, ports: Sequence[str]) -> Iterator[None]:
    """Each connection to FOLDER/PORT.sock goes on to 127.0.0.1:PORT."""
    with contextlib.ExitStack() as until_then:
        for port in ports:
            listener = until_then.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(folder / f"{port}.sock"))
            listen(listener, partial(socket.create_connection, ("127.0.0.1", int(port))))
        yield


def listen(listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
    """Have whoever connects to `listener` talk with what `connect` connects to, until it is closed."""
    listener.listen(128)

    def accept() -> None:
        while True:
            try:
                near = listener.accept()[0]
            except OSError:  # it is closed
                return
            far = connect()
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=(one, other), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def pass_on(one: socket.socket, other: socket.socket) -> None:
    """What comes from `one` goes to `other`."""
    with contextlib.suppress(OSError):
        while block := one.recv(1 << 16):
            other.sendall(block)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def main() -> None:
    folder = Path(sys.argv[1])

    def connected(port: str) -> socket.socket:
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(folder / f"{port}.sock"))
        return far

    for port in sys.argv[2:]:
        listen(socket.create_server(("127.0.0.1", int(port))), partial(connected, port))
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
