"""The ports of a runner in memory: a test sets what the runner is told, and finds what it tells in lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.ports import RunnerPorts, Unsubscribe
from factory_cdk.state.requests import RunnerRequest
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.secrets import Values
from factory_cdk.state.status import Status


@dataclass
class MemorySpecs:
    """A SpecStore. `refusal`: why nothing can be read or written at the moment."""

    present: RunnerSpec
    next: tuple[str, RunnerSpec] | None = None
    refusal: FactoryError | None = None

    def read(self) -> RunnerSpec:
        return self.present

    def take_next(self) -> tuple[str, RunnerSpec] | None:
        taken, self.next = self.next, None
        if taken and taken[0] == "unreadable":
            raise FactoryError("the next spec cannot be read", "request it again")
        return taken

    def accept(self, spec: RunnerSpec) -> None:
        if self.refusal:
            raise self.refusal
        self.present = spec


@dataclass
class MemoryRequests:
    """A RequestSource. `refusal`: why it cannot be read at the moment."""

    request: RunnerRequest = field(default_factory=RunnerRequest)
    refusal: FactoryError | None = None
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def read(self) -> RunnerRequest:
        if self.refusal:
            raise self.refusal
        return self.request

    def subscribe(self, notify: Callable[[], None]) -> Unsubscribe:
        self.listeners.append(notify)
        return lambda: self.listeners.remove(notify)

    def tell(self) -> None:
        """Let the runner know that there is something to read, on its own loop."""
        for listener in self.listeners:
            asyncio.get_running_loop().call_soon(listener)


@dataclass
class MemorySecrets:
    """A SecretSource."""

    known: Values

    def values(self, spec: RunnerSpec) -> Values:
        if missing := spec.secrets.keys() - self.known.keys():
            raise FactoryError(f"no values for {sorted(missing)}", "put them there")
        return self.known


@dataclass
class MemoryStatus:
    """A StatusSink. `refusal`: why nothing can be published at the moment."""

    published: list[Status] = field(default_factory=list)
    refusal: FactoryError | None = None

    def publish(self, status: Status) -> None:
        if self.refusal:
            raise self.refusal
        self.published.append(status)


@dataclass
class MemoryLogs:
    """A LogSink: `output` by label, and `lines` as (label, job, text)."""

    output: dict[str, bytes] = field(default_factory=dict)
    lines: list[tuple[str, str | None, str]] = field(default_factory=list)
    lost: int = 0
    closed: bool = False

    def write(self, label: str, output: bytes) -> None:
        self.output[label] = self.output.get(label, b"") + output

    def add_lines(self, label: str, job: str | None, moment: float, lines: Sequence[bytes]) -> None:
        self.lines += [(label, job, line.decode()) for line in lines]

    def close(self) -> None:
        self.closed = True

    def text(self, label: str) -> str:
        """All that the process `label` printed."""
        return self.output.get(label, b"").decode()


@dataclass
class MemoryPresence:
    """A Presence."""

    gone: str | None = None

    def why_gone(self) -> str | None:
        return self.gone


class Outside:
    """What is around a runner of `spec`: its ports, and the hands that a user has on them."""

    def __init__(self, spec: RunnerSpec, secrets: Values) -> None:
        self.specs, self.requests, self.status = MemorySpecs(spec), MemoryRequests(), MemoryStatus()
        self.secrets, self.logs, self.presence = MemorySecrets(secrets), MemoryLogs(), MemoryPresence()
        self.ports = RunnerPorts(self.specs, self.requests, self.secrets, self.status, self.logs, self.presence)
        self._numbers = count(1)

    def ask(self, **wanted: object) -> str:
        """Ask for `wanted` (RunnerRequest); the request's id."""
        self.requests.request = RunnerRequest(request=f"r{next(self._numbers)}", **wanted)  # type: ignore[arg-type]
        self.requests.tell()
        return self.requests.request.request

    def ask_for_spec(self, spec: RunnerSpec, request: str = "") -> str:
        """Ask for another spec; the request's id."""
        request = request or f"s{next(self._numbers)}"
        self.specs.next = (request, spec)
        self.requests.tell()
        return request

    @property
    def last(self) -> Status:
        """What was published last."""
        return self.status.published[-1]


class ProcessList:
    """A guardian that only keeps count: the real one ends every child of its process that is no worker, and a process
    that runs tests has others.
    """

    def __init__(self) -> None:
        self.watched: list[int] = []
        self.forgotten: list[int] = []

    def report_to(self, note: Callable[[str], None]) -> None:
        pass

    def watch(self, pid: int, mark: str) -> None:
        self.watched.append(pid)

    def forget(self, pid: int) -> None:
        self.forgotten.append(pid)

    def look(self) -> None:
        pass

    def dismiss(self) -> None:
        pass
