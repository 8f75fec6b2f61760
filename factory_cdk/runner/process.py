"""One worker process as its runner sees it: started, sent and sending messages in frames, and noticed when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import factory_cdk.worker
from factory_cdk.runner.ports import LoopClock, Message
from factory_cdk.runner.subreaper import MARK
from factory_cdk.runner.time_budget import TimeBudget
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.worker.frames import LARGE, LARGEST_SAID, FrameBuffer, FrameError, check_said, encode
from factory_cdk.worker.permits import NUMBERS
from factory_cdk.worker.system import readable_bytes

SHIM = Path(factory_cdk.worker.__file__).with_name("__main__.py")
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
"""Variables that would lead a bot's interpreter out of its environment."""

CHUNK = 1 << 16

TURN_MESSAGES = 32
"""So many messages of a worker are handled in one turn of the loop: more than a shim sends at once."""

TURN_OUTPUT = 4096
"""So many bytes of its output are read in one turn, unless a job has ended: then all that it printed comes first."""

_PERMITS = bytes(range(NUMBERS)) * 2
"""The numbers of jobs in a row, from any number on."""


def worker_environ(bins: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a worker's process: this process's, the `bins` of its environment, if any, first on PATH,
    `variables`.
    """
    environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    if bins:
        environ["VIRTUAL_ENV"] = str(Path(bins[0]).parent)
    environ["PATH"] = os.pathsep.join([*bins, environ.get("PATH", os.defpath)])
    return {**environ, **variables}


def worker_command(python: str, *descriptors: int) -> list[str]:
    """The command line of a worker: isolated from PYTHON* variables, the user's site and the working folder."""
    return [python, "-I", str(SHIM), *map(str, descriptors)]


def start_worker(pool_spec: PoolSpec) -> WorkerProcess:
    """Start a process for a worker of `pool_spec`. OSError when the system cannot start one."""
    return WorkerProcess(
        lambda *descriptors: worker_command(pool_spec.python, *descriptors),
        pool_spec.folder,
        worker_environ(pool_spec.bins, pool_spec.variables),
    )


class WorkerProcess:
    """A running worker, which reports to whom `report_to` names. `mark` is what it, and what it starts, is known by.

    Raises OSError from the constructor when the process cannot be started.
    """

    def __init__(
        self,
        command: Callable[[int, int], list[str]],
        folder: str,
        environ: Mapping[str, str],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._frames = FrameBuffer(LARGEST_SAID)
        self._unsent = bytearray()
        self._ended = self._refused = False
        self._printed = 0
        self._budget = TimeBudget(LoopClock(self._loop))
        self._socket, theirs = socket.socketpair()
        self._output, their_output = os.pipe()
        their_permits, self._permit = os.pipe()
        self._permits = _reopened(their_permits)
        self._handed_over = self._taken_back = self._passed = 0
        for end in (their_permits, self._permit):
            os.set_blocking(end, False)
        self.mark = os.urandom(8).hex()
        try:
            self._process = subprocess.Popen(
                command(theirs.fileno(), their_permits),
                cwd=folder,
                env={**environ, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=their_output,
                stderr=their_output,
                pass_fds=[theirs.fileno(), their_permits],
                process_group=0,
            )
        except BaseException:
            self._socket.close()
            for descriptor in (self._output, self._permits, self._permit):
                os.close(descriptor)
            raise
        finally:
            theirs.close()
            for descriptor in (their_output, their_permits):
                os.close(descriptor)
        self.pid = self._process.pid
        self._socket.setblocking(False)
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._socket, self._read_messages)
        self._loop.add_reader(self._output, self._read_output_turn)
        self._pidfd = os.pidfd_open(self.pid) if sys.platform.startswith("linux") else -1
        if self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._on_exit_seen)

    def report_to(
        self,
        *,
        on_message: Callable[[Message], None],
        on_output: Callable[[bytes], None],
        on_end: Callable[[int], None],
    ) -> None:
        """From now on `on_message` gets its frames, `on_output` its log, `on_end` its exit code, last of all.

        To be called in the same step of the loop that made it.
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

    def hand_over(self, jobs: Sequence[list[Any]]) -> bool:
        """Send jobs, each with the permit to begin it; False, and nothing sent, when it has ended."""
        if self._ended:
            return False
        self._handed_over += len(jobs)
        try:
            os.write(self._permit, self._last_permits(len(jobs)))
        except BlockingIOError:
            self.refuse("its pipe of permits is full")
        else:
            self.send({"kind": "jobs", "jobs": jobs})
        return True

    def take_back(self, most: int) -> int:
        """Take back all jobs that it has not begun, the last of the `most` that it has in hand; answers how many."""
        try:
            taken = b"" if self._ended else os.read(self._permits, NUMBERS)
        except BlockingIOError:
            return 0
        if len(taken) > most or taken != self._last_permits(len(taken)):
            self.refuse("its pipe of permits holds some that the runner did not write")
            return 0
        self._taken_back += len(taken)
        return len(taken)

    def pass_over(self, count: int) -> bool:
        """It passed over `count` more jobs; False when these are more than were taken back: it was not let do them."""
        self._passed += count
        return self._passed <= self._taken_back

    def _last_permits(self, count: int) -> bytes:
        first = (self._handed_over - count) % NUMBERS
        return _PERMITS[first : first + count]

    def refuse(self, why: str) -> None:
        """Kill a worker that does what no shim does: something in it uses what is the shim's alone. Its messages are
        ignored from now on.
        """
        if self._refused:
            return
        self._refused = True
        self._on_output(
            f"factory_cdk: the worker is ended, something other than its shim was at work: {why}\n".encode()
        )
        self.kill()

    def kill(self) -> None:
        """Kill the worker and all that it started in its process group."""
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
                self._loop.call_soon(self._on_exit_seen)
            return
        printed = readable_bytes(
            self._output
        )  # all that a job printed was written before its end was sent: it comes first
        if printed > TURN_OUTPUT and self._budget.overdrawn:
            self._frames.feed(received, 0)
            self._loop.remove_reader(self._socket)
            self._budget.when_left(self._read_postponed)
            return
        if printed:
            self._read_output(printed)
        if self._handle_messages(received):
            self._loop.remove_reader(self._socket)
            self._budget.when_left(self._handle_more)

    def _read_postponed(self) -> None:
        """Read what was printed, and then handle the messages that had to wait for it."""
        if not self._ended:
            self._read_output(CHUNK)
            self._handle_more()

    def _handle_more(self) -> None:
        """Handle more of what was received, and read on only when that is done: who sends too much has to wait."""
        if self._ended:
            return
        if self._handle_messages(b""):
            self._budget.when_left(self._handle_more)
        else:
            self._loop.add_reader(self._socket, self._read_messages)

    def _handle_messages(self, received: bytes) -> bool:
        """Handle the messages of one turn; whether there may be more of them."""
        if self._refused:
            return False
        began, before = time.monotonic(), len(self._frames)
        try:
            messages = self._frames.feed(received, TURN_MESSAGES)
            for message in messages:
                check_said(message)
        except FrameError as error:
            self.refuse(str(error))
            return False
        for message in messages:
            if not self._refused:
                self._on_message(message)
        if len(messages) < TURN_MESSAGES and (before < LARGE or not messages):
            return False  # few, and small
        self._budget.take(time.monotonic() - began)
        return True

    def _read_output_turn(self) -> None:
        self._read_output(TURN_OUTPUT)
        if self._budget.overdrawn:
            self._loop.remove_reader(self._output)
            self._budget.when_left(self._watch_output_again)

    def _watch_output_again(self) -> None:
        if not self._ended:
            self._loop.add_reader(self._output, self._read_output_turn)

    def _read_output(self, most: int) -> int:
        """Read up to `most` bytes of the output that are there; how many there were."""
        began = time.monotonic()
        try:
            output = os.read(self._output, most)
        except BlockingIOError:
            return 0
        if not output:
            self._loop.remove_reader(self._output)
            return 0
        self._on_output(output)
        self._budget.take(time.monotonic() - began)
        return len(output)

    def _on_exit_seen(self) -> None:
        """The process has ended: kill its group while its pid is still its own, and read what it has written. What a
        process that it left behind adds from now on is not its own.
        """
        if self._ended:
            return
        self._ended = True
        for descriptor in (self._pidfd, self._socket, self._output):
            if descriptor != -1:
                self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._socket)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses where only a zombie is left
            os.killpg(self.pid, signal.SIGKILL)
        expected, said = readable_bytes(self._socket.fileno()), bytearray()
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while len(said) < expected and (received := self._socket.recv(CHUNK)):
                said += received
        self._frames.feed(bytes(said), 0)
        self._printed = readable_bytes(self._output)
        self._read_rest()

    def _read_rest(self) -> None:
        """Read what it left, some of it in each turn, and report in the end how it ended."""
        if self._read_rest_of_output() or self._handle_messages(b""):
            self._loop.call_soon(self._read_rest)
            return
        code = self._process.wait()
        self._socket.close()
        for descriptor in (self._output, self._permits, self._permit, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._on_end(code)

    def _read_rest_of_output(self) -> bool:
        """Read some of what it had printed; whether there is more of it."""
        if self._printed:
            read = self._read_output(min(TURN_OUTPUT, self._printed))
            self._printed = self._printed - read if read else 0
        return self._printed > 0


def _reopened(reader: int) -> int:
    """The reading end of a pipe once more, with flags of its own where the system can do that (Linux): a bot that makes
    its own end wait, as a library may do with every descriptor that it finds, must not make the runner wait.
    """
    try:
        return os.open(f"/dev/fd/{reader}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no /proc
        return os.dup(reader)
