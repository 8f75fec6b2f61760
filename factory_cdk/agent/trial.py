"""The process that tries whether bots can be loaded: `python -m factory_cdk.agent.trial ROOT` (see child.py).

A rolling update finds that out by itself. It cannot take a bot in or out, or change where jobs go: then all bots are
started anew, and those that differ are tried before. A runner of their own, without jobs, starts one worker of each.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from factory_cdk.agent.aws import Aws
from factory_cdk.agent.child import Children, tell
from factory_cdk.agent.folder import agent_folder
from factory_cdk.agent.secrets import SecretsManagerValues, secret_reader
from factory_cdk.agent.sector import read_sector
from factory_cdk.agent.users import BotUsers
from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import MemoryLocation, open_queues
from factory_cdk.runner.guardian import Guardian, guard
from factory_cdk.runner.ports import StartWorker
from factory_cdk.runner.process import start_worker
from factory_cdk.runner.runner import Runner
from factory_cdk.state.ports import RunnerPorts
from factory_cdk.state.requests import RunnerRequest
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json, spec_from_json
from factory_cdk.state.secrets import Values, shut_memory
from factory_cdk.state.spec_changes import changed_pools
from factory_cdk.state.status import Status


class LoadingFailedError(FactoryError):
    """The bots of a release cannot be loaded. `log` is the end of what the worker printed."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason, "correct the bot, and build again")
        self.log = log


async def try_loading(
    children: Children, present: RunnerSpec, wanted: RunnerSpec, more: Values, *, own_users: bool
) -> None:
    """Return when each bot of `wanted` that differs from `present` was loaded, with users of their own or without;
    `more` are values that are as secret as those of secrets. LoadingFailedError.
    """
    pool_specs = tuple(replace(one, processes=1) for one in changed_pools(present, wanted))
    if not pool_specs:
        return
    asked = {"spec": spec_as_json(replace(wanted, pool_specs=pool_specs)), "own_users": own_users}
    asked["more"] = [[*place, dict(values)] for place, values in more.items()]
    said = await children.ask(__name__, asked)
    if "loaded" not in said:
        raise LoadingFailedError(said["failed"], said.get("log", ""))


class _Outside:
    """All ports of a runner of `spec` that is told nothing and whom nobody hears."""

    lost = 0

    def __init__(self, spec: RunnerSpec, values: Values) -> None:
        self._spec, self._values = spec, values

    def read(self) -> Any:
        """The spec is passed beside; the request is to take no jobs."""
        return RunnerRequest()

    def take_next(self) -> None:
        """None, ever."""

    def accept(self, spec: RunnerSpec) -> None:
        """None is offered."""

    def subscribe(self, notify: object) -> Any:
        """There is nothing to hear."""
        return lambda: None

    def values(self, spec: RunnerSpec) -> Values:
        """The values of secrets."""
        return self._values

    def publish(self, status: Status) -> None:
        """Nobody looks."""

    def write(self, label: str, output: bytes) -> None:
        """The end of a log is told with a failure."""

    def add_lines(self, label: str, job: str | None, moment: float, lines: object) -> None:
        """As `write`."""

    def close(self) -> None:
        """Nothing is open."""

    def why_gone(self) -> None:
        """It stays."""


async def _load(spec: RunnerSpec, more: Values, region: str, guardian: Guardian, start: StartWorker) -> dict[str, Any]:
    """What a runner of `spec` says first: `ready` or `trouble`."""
    secrets = SecretsManagerValues(secret_reader(Aws(region)), lambda *_: None)
    await secrets.refresh(spec)
    secrets.add(more)
    outside: Any = _Outside(spec, secrets.values(spec))
    ports = RunnerPorts(outside, outside, outside, outside, outside, outside)
    ours, theirs = socket.socketpair()
    with ours, open_queues(MemoryLocation()) as queues:
        runner = Runner(
            ports, spec, secrets.values(spec), queues, guardian, tidy=lambda *_: None, launcher=theirs, start=start
        )
        running = asyncio.ensure_future(runner.run())
        reader, writer = await asyncio.open_connection(sock=ours)
        said: dict[str, Any] = json.loads(await reader.readline())
        writer.close()  # it was not kept: the runner ends, cold
        await running
    return said


def main() -> int:
    """Try what standard input asks for."""
    root, asked = Path(sys.argv[1]), json.load(sys.stdin)
    spec = spec_from_json(asked["spec"])
    more = {(sector, bot): values for sector, bot, values in asked["more"]}
    start = BotUsers(agent_folder(root).users).start if asked["own_users"] else start_worker
    shut_memory()
    guardian = guard(pass_on=True)
    try:
        said = asyncio.run(_load(spec, more, read_sector(root).region, guardian, start))
    except FactoryError as error:
        tell(failed=error.message)
        return 1
    guardian.dismiss()
    if said["event"] == "ready":
        tell(loaded=True)
        return 0
    tell(failed=f"bot {said['bot']} of {said['sector']} {said['reason']}", log=said["log"])
    return 1


if __name__ == "__main__":
    sys.exit(main())
