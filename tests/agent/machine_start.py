"""Become the first process of a machine of its own: run in a network of its own, as `machine_start.py SOCKET PORT …`.

Listens on the machine's addresses of the metadata service and of AWS's endpoint (PORT of loopback), passes both sockets
to the other end of SOCKET, whose process serves them, and becomes the words that follow.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

METADATA = "169.254.169.254"


def main() -> None:
    descriptor, port, *command = sys.argv[1:]
    for words in (["link", "set", "lo", "up"], ["addr", "add", f"{METADATA}/32", "dev", "lo"]):
        subprocess.run(["ip", *words], check=True)
    listening = [socket.create_server(address) for address in ((METADATA, 80), ("127.0.0.1", int(port)))]
    with socket.socket(fileno=int(descriptor)) as other:
        socket.send_fds(other, [b"listening"], [one.fileno() for one in listening])
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
