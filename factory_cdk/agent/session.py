"""One life of a runner on an instance: started, heard of until its bots are loaded, and asked to change its release."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from factory_cdk.agent.gate import GateRequests
from factory_cdk.agent.release import InstalledRelease
from factory_cdk.agent.specs import ReleaseSpecs
from factory_cdk.agent.trial import LoadingFailedError
from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import Location, open_queues
from factory_cdk.runner.guardian import Guardian
from factory_cdk.runner.ports import StartWorker
from factory_cdk.runner.purge import tidy
from factory_cdk.runner.runner import Runner
from factory_cdk.state.logs import LogSink
from factory_cdk.state.ports import Presence, RunnerPorts, SecretSource, StatusSink
from factory_cdk.state.status import Status

Locate = Callable[[InstalledRelease], Location]
"""Says where the queues of a release are."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every runner of an agent has around it."""

    gate: GateRequests
    secrets: SecretSource
    status: StatusSink
    logs: LogSink
    presence: Presence
    guardian: Guardian
    locate: Locate
    start: StartWorker


class RunnerSession:
    """A runner that runs the release of `specs`."""

    def __init__(self, specs: ReleaseSpecs, around: Surroundings) -> None:
        self.specs, self._around = specs, around
        self._loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loaded.add_done_callback(_note_failure)
        self._changes: dict[str, asyncio.Future[None]] = {}
        self._heard = b""

    async def run(self) -> None:
        """Run until the runner is ended. FactoryError."""
        try:
            await self._run()
        except FactoryError as error:
            self._fail(error.message)
            raise
        finally:
            self._fail("the runner has ended")

    async def _run(self) -> None:
        spec, around = self.specs.read(), self._around
        ports = RunnerPorts(self.specs, around.gate, around.secrets, self, around.logs, around.presence)
        location = around.locate(self.specs.present)
        with open_queues(location) as queues, self._launcher() as launcher:
            runner = Runner(
                ports,
                spec,
                around.secrets.values(spec),
                queues,
                around.guardian,
                tidy=functools.partial(tidy, location),
                queues_are_shared=True,
                start=around.start,
                launcher=launcher,
            )
            await runner.run()

    @contextlib.contextmanager
    def _launcher(self) -> Iterator[socket.socket]:
        """The runner's end of the socket over which it says what is loaded."""
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        with ours:
            ours.setblocking(False)
            ours.sendall(b"keep\n")
            loop.add_reader(ours, self._hear, ours)
            try:
                yield theirs
            finally:
                loop.remove_reader(ours)

    async def loaded(self) -> None:
        """Return once all bots are loaded. LoadingFailedError."""
        await asyncio.shield(self._loaded)

    async def change_to(self, request: str, installed: InstalledRelease) -> None:
        """Change to `installed` by a rolling update; `request` is its id. LoadingFailedError, and nothing changed."""
        change = self._changes[request] = asyncio.get_running_loop().create_future()
        change.add_done_callback(_note_failure)
        self.specs.offer(request, installed)
        await asyncio.shield(change)
        if not self._loaded.done() or self._loaded.exception() is not None:
            self._loaded = asyncio.get_running_loop().create_future()  # what could not be loaded was replaced
            self._loaded.set_result(None)

    def publish(self, status: Status) -> None:
        """The runner's status (a StatusSink), which says what became of a change. FactoryError."""
        update = status.update
        if update is not None and update.outcome != "starting":
            change = self._changes.pop(update.request, None)
            if change is not None and update.outcome == "done":
                change.set_result(None)
            elif change is not None:
                change.set_exception(LoadingFailedError(update.reason, update.log))
        self._around.status.publish(status)

    def _hear(self, ours: socket.socket) -> None:
        """The runner says `ready`, or what could not be loaded, in JSON lines."""
        received = ours.recv(1 << 16)
        if not received:
            asyncio.get_running_loop().remove_reader(ours)
            return
        *lines, self._heard = (self._heard + received).split(b"\n")
        for said in map(json.loads, lines):
            if self._loaded.done():
                continue
            if said["event"] == "ready":
                self._loaded.set_result(None)
            elif said["event"] == "trouble":
                reason = f"bot {said['bot']} of {said['sector']} {said['reason']}"
                self._loaded.set_exception(LoadingFailedError(reason, said["log"]))

    def _fail(self, why: str) -> None:
        """Nobody waits for ever: what was not decided has failed."""
        for change in (self._loaded, *self._changes.values()):
            if not change.done():
                change.set_exception(LoadingFailedError(why))
        self._changes.clear()


def _note_failure(change: asyncio.Future[None]) -> None:
    """A failure that nobody waits for is no fault of the loop: the runner has logged it."""
    if not change.cancelled():
        change.exception()
