"""From the first message to a worker at work: load the bot, say so, and let it work."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

from . import lifeline, oom
from .bot import Bot
from .errors import describe
from .frames import Channel
from .job import Job
from .marking import mark_streams
from .permits import Permits
from .roots import use_roots
from .working import Worker

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    import types
    from collections.abc import Sequence

    from .frames import Message
    from .life import Life


class FactoryModule:
    """Answers `from factory_cdk import Bot, Job` in environments that have no factory_cdk; asked last of all."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the stand-in for `factory_cdk`; None for every other module."""
        return ModuleSpec(name, self) if name == "factory_cdk" else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module will do."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill the stand-in with what bots may import."""
        module.__dict__.update(Bot=Bot, Job=Job)


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
    sys.meta_path.append(FactoryModule())
    if order["mode"] == "command":
        from . import command  # noqa: PLC0415 (a worker needs one of the two)

        return command.load(order["words"])
    from . import target  # noqa: PLC0415

    return target.load(order["words"][0])
