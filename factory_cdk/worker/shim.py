"""The worker's life: load the bot, say so, run jobs one after the other, end."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

from . import lifeline
from .errors import BotError, describe
from .frames import Channel, encode
from .job import Job
from .roots import use_roots

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from typing import Any

    from .frames import Message
    from .target import Process


class FactoryModule:
    """Answers `from factory_cdk import Job` in environments that have no factory_cdk; asked last of all."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the stand-in for `factory_cdk`; None for every other module."""
        return ModuleSpec(name, self) if name == "factory_cdk" else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module will do."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill the stand-in with what bots may import."""
        module.__dict__["Job"] = Job


def serve(descriptor: int) -> int:
    """Be a worker on the runner's socket `descriptor`; returns the exit code (1: the bot cannot be loaded)."""
    os.set_inheritable(descriptor, False)  # the bot's children must not keep the socket open
    channel = Channel(descriptor)
    lifeline.tie(descriptor)
    order = channel.receive()
    if order is None:
        lifeline.end_group()
        return 1
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    try:
        process = prepare(order)
    except BaseException as error:  # SystemExit at import is a broken bot too
        channel.send({"kind": "broken", "error": describe(error)})
        return 1
    channel.send({"kind": "ready"})
    work(channel, process)
    return 0


def prepare(order: Message) -> Process:
    """Set variables and sys.path as the runner's first message says, and load the bot. Raises what that raises."""
    os.environ.update(order["variables"])
    use_roots(order["roots"], order["bytecode"])
    sys.meta_path.append(FactoryModule())
    if order.get("command"):
        from . import command  # noqa: PLC0415 (a worker needs one of the two)

        return command.load(order["command"])
    from . import target  # noqa: PLC0415

    return target.load(order["target"])


def work(channel: Channel, process: Process) -> None:
    """Run jobs as they come until the runner says stop; does not return when the runner is gone."""
    while True:
        message = channel.receive()
        if message is None:
            lifeline.end_group()
            return
        if message["kind"] == "stop":
            return
        if not run_all(channel, process, message["jobs"]):
            return


def run_all(channel: Channel, process: Process, jobs: list[dict[str, Any]]) -> bool:
    """Run `jobs` in order. False when the runner said stop meanwhile: the rest was given back."""
    for number, job in enumerate(jobs):
        if number and channel.waiting():
            message = channel.receive()
            if message is None:
                lifeline.end_group()
            elif message["kind"] == "jobs":
                jobs.extend(message["jobs"])
            else:
                channel.send({"kind": "returned", "ids": [waiting["id"] for waiting in jobs[number:]]})
                return False
        frame = run_one(process, job)
        sys.stdout.flush()
        channel.send_frame(frame)
    return True


def run_one(process: Process, job: dict[str, Any]) -> bytes:
    """Run one job; returns the frame that says how it went. Nothing that a bot raises passes."""
    try:
        result = process(Job(**job))
        try:
            return encode({"kind": "done", "id": job["id"], "result": result})
        except (TypeError, ValueError, RecursionError) as error:
            raise BotError(
                "ResultNotJson", f"what {job['bot']} returned, a {type(result).__name__}, is not JSON: {error}"
            ) from None
    except BaseException as error:  # sys.exit() in a bot fails the attempt, not the worker
        return encode({"kind": "failed", "id": job["id"], "error": describe(error, job["attempt"])})
