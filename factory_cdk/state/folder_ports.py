"""The ports of a runner, served by the folder of its stage: files, a named pipe that says "look", log files."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.files import identity, read_json, write_json
from factory_cdk.state.log_folder import LogFolder
from factory_cdk.state.outdated import is_outdated, outdated
from factory_cdk.state.ports import RunnerPorts, Unsubscribe
from factory_cdk.state.requests import RunnerRequest, open_bell, read_request, take_next_spec
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json, spec_from_json
from factory_cdk.state.secrets import Values, resolve_secrets, take_over
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.status import Status, write_status


def ports_of(folder: StageFolder, launcher: socket.socket | None = None) -> RunnerPorts:
    """The ports of the runner whose stage's folder is `folder`. The values of secrets come from the command at the
    other end of `launcher`; without it, from this process's variables and from ini files, as the spec says.
    FactoryError when the command has gone away, or the folder of the logs cannot be made.
    """
    handed_over = take_over(launcher) if launcher else None
    presence = FolderPresence(folder)
    return RunnerPorts(
        specs=FolderSpecs(folder),
        requests=FolderRequests(folder),
        secrets=LocalSecrets(handed_over),
        status=FolderStatus(folder, presence),
        logs=LogFolder(folder.logs),
        presence=presence,
    )


class FolderSpecs:
    """The specs of a stage, as files (a SpecStore)."""

    def __init__(self, folder: StageFolder) -> None:
        self._folder = folder

    def read(self) -> RunnerSpec:
        """The present spec. FactoryError."""
        content = read_json(self._folder.spec)
        if is_outdated(self._folder, content):
            raise outdated(self._folder)
        if content is None:
            raise FactoryError(f"{self._folder.path} holds no factory", "build it first")
        try:
            return spec_from_json(content)
        except ValueError as error:
            raise FactoryError(
                f"{self._folder.spec} is damaged: {error}",
                f"factory-cdk demolish {self._folder.options}, then build it again",
            ) from error

    def take_next(self) -> tuple[str, RunnerSpec] | None:
        """The spec that is asked for, once. FactoryError."""
        return take_next_spec(self._folder)

    def accept(self, spec: RunnerSpec) -> None:
        """Make `spec` the present one. FactoryError."""
        write_json(self._folder.spec, spec_as_json(spec))


class FolderRequests:
    """The request, as a file, and the bell beside it (a RequestSource)."""

    def __init__(self, folder: StageFolder) -> None:
        self._folder = folder

    def read(self) -> RunnerRequest:
        """What was asked last. FactoryError."""
        return read_request(self._folder)

    def subscribe(self, notify: Callable[[], None]) -> Unsubscribe:
        """Call `notify` when the bell rings. FactoryError where there are no named pipes."""
        loop, bell = asyncio.get_running_loop(), open_bell(self._folder)

        def hear() -> None:
            bell.drain()
            notify()

        def unsubscribe() -> None:
            loop.remove_reader(bell)
            bell.close()

        loop.add_reader(bell, hear)
        return unsubscribe


class LocalSecrets:
    """The values that were handed over, or those that this process finds itself when none were (a SecretSource)."""

    def __init__(self, handed_over: Values | None) -> None:
        self._handed_over = handed_over

    def values(self, spec: RunnerSpec) -> Values:
        """The values for `spec`. FactoryError."""
        return resolve_secrets(spec.secrets, os.environ) if self._handed_over is None else self._handed_over


class FolderPresence:
    """Whether the folder is still the one that was there when this was made (a Presence)."""

    def __init__(self, folder: StageFolder) -> None:
        self._path = folder.path
        self._identity = identity(folder.path)

    def why_gone(self) -> str | None:
        """Why there is nothing left to run, or None."""
        return f"{self._path} was removed" if identity(self._path) != self._identity else None


class FolderStatus:
    """The status file (a StatusSink). In a folder that has taken the place of its own it writes nothing."""

    def __init__(self, folder: StageFolder, presence: FolderPresence) -> None:
        self._folder, self._presence = folder, presence

    def publish(self, status: Status) -> None:
        """Replace the file. FactoryError."""
        if self._presence.why_gone() is None:
            write_status(self._folder, status)
