"""From the first message to a worker at work: load the bot, say so, and let it work."""

from __future__ import annotations

import os
import sys

from . import lifeline, oom
from .errors import describe
from .frames import Channel
from .marking import mark_streams
from .permits import Permits
from .roots import use_roots
from .working import Worker

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    from .frames import Message
    from .life import Life


ON_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "on_path")  # noqa: PTH100, PTH118, PTH120
"""The folder with what bots import as `factory_cdk`."""


def serve(descriptor: int, permits: int | None = None) -> int:
    """Be a worker on the runner's socket `descriptor`; returns the exit code (1: the bot cannot be loaded)."""
    os.set_inheritable(descriptor, False)  # the bot's children must not keep the socket open
    if permits is not None:
        os.set_inheritable(permits, False)
    channel = Channel(descriptor)
    lifeline.tie(descriptor)
    oom.offer()
    order = channel.receive()
    if order is None:
        lifeline.end_group()
        return 1
    worker = Worker(channel, order["bot"], mark_streams(), Permits(permits))
    try:
        if order["mode"] == "program":
            from . import program  # noqa: PLC0415

            return program.serve(channel, order)
        worker.begin(prepare(order))
    except BaseException as error:  # SystemExit at import is a broken bot too
        channel.send({"kind": "broken", "error": describe(error)})
        return 1
    channel.send({"kind": "ready"})
    worker.work()
    return 0


def prepare(order: Message) -> Life:
    """Set variables and sys.path as the runner's first message says, and load the bot. Raises what that raises."""
    os.environ.update(order["variables"])
    use_roots(order["roots"], order["bytecode"])
    sys.path.append(ON_PATH)  # last: what the environment or the bot has goes before it
    if order["mode"] == "command":
        from . import command  # noqa: PLC0415 (a worker needs one of the two)

        return command.load(order["words"])
    from . import target  # noqa: PLC0415

    return target.load(order["words"][0], order["roots"])
