"""Where a runner gets what it is told, and where it puts what it tells: ports, which a folder serves (folder_ports.py).

What a runner starts from (`SpecStore.read`, `SecretSource.values`) is asked for before its event loop exists. All the
rest is called on the loop, and must not hold it up for longer than a small file takes: what has to be asked over a
network is asked in a task or thread of the implementation's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from factory_cdk.state.logs import LogSink
from factory_cdk.state.requests import RunnerRequest
from factory_cdk.state.runner_spec import RunnerSpec
from factory_cdk.state.secrets import Values
from factory_cdk.state.status import Status

Unsubscribe = Callable[[], None]
"""Ends a subscription."""


class SpecStore(Protocol):
    """The spec that a runner starts from, and the next one that it is asked to change to."""

    def read(self) -> RunnerSpec:
        """The present spec. FactoryError when there is none, or none that this version can read."""

    def take_next(self) -> tuple[str, RunnerSpec] | None:
        """The id of the request for another spec, and that spec, once: it is then asked for no more. None when none is.
        FactoryError when it cannot be read.
        """

    def accept(self, spec: RunnerSpec) -> None:
        """Make `spec` the present one: what a runner that is restarted starts from. FactoryError, and it is not."""


class RequestSource(Protocol):
    """What the runner is asked to do."""

    def read(self) -> RunnerRequest:
        """What was asked last; it holds until another request takes its place. FactoryError when it cannot be read."""

    def subscribe(self, notify: Callable[[], None]) -> Unsubscribe:
        """Call `notify` on the running event loop whenever there may be another request, or another next spec. What is
        asked before this returns is there to be read then.
        """


class SecretSource(Protocol):
    """The values of secrets."""

    def values(self, spec: RunnerSpec) -> Values:
        """The value of every secret of `spec`. FactoryError that names those without one, and no value."""


class StatusSink(Protocol):
    """Where others see how the runner is."""

    def publish(self, status: Status) -> None:
        """Put `status` in the place of the one before. FactoryError when it cannot be."""


class Presence(Protocol):
    """Whether what the runner runs is still there."""

    def why_gone(self) -> str | None:
        """Why there is nothing left to run (a sentence's beginning: `/x was removed`); None as long as there is."""


@dataclass(frozen=True, slots=True)
class RunnerPorts:
    """All that connects a runner with its outside, but for its queues and workers."""

    specs: SpecStore
    requests: RequestSource
    secrets: SecretSource
    status: StatusSink
    logs: LogSink
    presence: Presence
