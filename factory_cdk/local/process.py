"""One worker process as its runner sees it: started, talked to in frames, and missed the moment it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import factory_cdk.worker
from factory_cdk.worker.frames import FrameBuffer, FrameError, check_said, encode

SHIM = Path(factory_cdk.worker.__file__).with_name("__main__.py")
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
"""Variables that would lead a bot's interpreter out of its environment."""

CHUNK = 1 << 18

Message = dict[str, Any]
"""One message to or from the shim; the docstring of `factory_cdk.worker` lists them all."""


def worker_environ(bins: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a worker's process: this process's, its environment's `bins` first on PATH, `variables`."""
    environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    environ["VIRTUAL_ENV"] = str(Path(bins[0]).parent)
    environ["PATH"] = os.pathsep.join([*bins, environ.get("PATH", os.defpath)])
    return {**environ, **variables}


def worker_command(python: str, descriptor: int) -> list[str]:
    """The command line of a worker: isolated from PYTHON* variables, the user's site and the working folder."""
    return [python, "-I", str(SHIM), str(descriptor)]


class WorkerProcess:
    """A running worker, which reports to whom `report_to` names.

    Raises OSError from the constructor when the process cannot be started.
    """

    def __init__(
        self,
        command: Callable[[int], list[str]],
        folder: str,
        environ: Mapping[str, str],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._frames = FrameBuffer()
        self._unsent = bytearray()
        self._ended = False
        self._socket, theirs = socket.socketpair()
        self._output, their_output = os.pipe()
        try:
            self._process = subprocess.Popen(
                command(theirs.fileno()),
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=their_output,
                stderr=their_output,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        except BaseException:
            self._socket.close()
            os.close(self._output)
            raise
        finally:
            theirs.close()
            os.close(their_output)
        self.pid = self._process.pid
        self._socket.setblocking(False)
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._socket, self._read_messages)
        self._loop.add_reader(self._output, self._read_output)
        self._pidfd = os.pidfd_open(self.pid) if sys.platform.startswith("linux") else -1
        if self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._see_end)

    def report_to(
        self,
        *,
        on_message: Callable[[Message], None],
        on_output: Callable[[bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        """From now on `on_message` gets its frames, `on_output` its log, `on_end` its exit code, last of all.

        To be called in the same step of the loop that made it, and again when someone else takes it over.
        """
        self._on_message, self._on_output, self._on_end = on_message, on_output, on_end

    def send(self, message: Message) -> None:
        """Send `message`, now or as the worker reads; nothing happens when the worker is gone (`on_end` tells)."""
        if self._ended:
            return
        frame = encode(message)
        if not self._unsent:
            try:
                sent = self._socket.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                return
            if sent == len(frame):
                return
            frame = frame[sent:]
            self._loop.add_writer(self._socket, self._write)
        self._unsent += frame

    def kill(self) -> None:
        """End the worker and all that it started, at once."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _read_messages(self) -> None:
        try:
            received = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._loop.remove_reader(self._socket)
            if self._pidfd < 0:
                self._loop.call_soon(self._see_end)
            return
        self._read_output()  # all that a job printed was written before its end was sent: it comes first
        self._take(received)

    def _take(self, received: bytes) -> None:
        try:
            messages = self._frames.feed(received)
            for message in messages:
                check_said(message)
        except FrameError as error:
            self._on_output(f"factory_cdk: something other than the shim wrote to its socket: {error}\n".encode())
            self.kill()
            return
        for message in messages:
            self._on_message(message)

    def _read_output(self) -> bool:
        """Read what is there, up to one chunk; False when there was nothing."""
        try:
            output = os.read(self._output, CHUNK)
        except BlockingIOError:
            return False
        if not output:
            self._loop.remove_reader(self._output)
            return False
        self._on_output(output)
        return True

    def _see_end(self) -> None:
        """The process has ended: take what it still said, end its group while its pid is still its own, reap."""
        if self._ended:
            return
        self._ended = True
        for descriptor in (self._pidfd, self._socket):
            if descriptor != -1:
                self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._socket)
        self._read_output()
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while received := self._socket.recv(CHUNK):
                self._take(received)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses where only a zombie is left
            os.killpg(self.pid, signal.SIGKILL)
        while self._read_output():
            pass
        code = self._process.wait()
        self._loop.remove_reader(self._output)
        self._socket.close()
        os.close(self._output)
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._on_end(code)


def ending(code: int) -> str:
    """How a process with the exit code `code` ended, in words."""
    if code >= 0:
        return f"exited with {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def failure(kind: str, message: str, attempt: int, details: str = "") -> dict[str, Any]:
    """An error in the form in which the shim reports those of bots."""
    return {"type": kind, "message": message, "traceback": details, "attempt": attempt}
