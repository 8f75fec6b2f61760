"""A program that is a bot by itself, such as `qalx bot-start`: it fetches its own jobs, the worker starts and ends it.

The worker is ready when the program runs. When the program ends by itself, the worker ends with its exit code; told
to stop, it sends the program SIGTERM and waits. stdout and stderr are the bot's log.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from . import lifeline
from .finding import find_program

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from .frames import Channel, Message


def serve(channel: Channel, order: Message) -> int:
    """Start the program of `order` and live as long as it does; the exit code. BotError when it is not there."""
    program = start(order)
    channel.send({"kind": "ready"})
    stopping = threading.Event()
    threading.Thread(target=_end_with, args=(program, stopping), name="factory-program", daemon=True).start()
    message = channel.receive()
    if message is None:
        lifeline.end_group()
    stopping.set()
    program.terminate()
    program.wait()
    return 0


def start(order: Message) -> subprocess.Popen[bytes]:
    """Start the program with the variables, modules and bytecode folder of `order`. BotError when it is not there."""
    environ = {**os.environ, **order["variables"]}
    if order["roots"]:
        environ["PYTHONPATH"] = os.pathsep.join(order["roots"])
    if order["bytecode"]:
        environ["PYTHONPYCACHEPREFIX"] = order["bytecode"]
    name, *arguments = order["words"]
    return subprocess.Popen([find_program(name), *arguments], env=environ, stdin=subprocess.DEVNULL)


def _end_with(program: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    code = program.wait()
    if not stopping.is_set():
        sys.stderr.flush()
        os._exit(code if code >= 0 else 128 - code)
