"""Running git and uv: no shell, no terminal, no prompt, and gone at once when the pack is stopped."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from factory_cdk.bundle import without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.tokens import without_tokens

OnPercent = Callable[[str, float], None]
"""Hears what a command is doing and how far it is, from 0 to 1."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_PERCENT = re.compile(rb"^(?:remote: )?([A-Z][a-z]+(?: [a-z]+)?):\s+(\d{1,3})% ")
_GRACE = 2.0
"""Seconds that a child has between SIGTERM and SIGKILL."""


MOST_OUTPUT = 128 * 1024**2
"""Bytes that a command may print: what hostile repositories make of a few kilobytes has no end."""


class Stopped(Exception):
    """The pack was told to stop while this was running."""


class TooMuchError(FactoryError):
    """A command printed more than anybody asked it for."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a command said: its exit code, its standard output as bytes, its standard error as shown to people."""

    code: int
    stdout: bytes
    stderr: str


def run(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stop: threading.Event,
    stdin: bytes = b"",
    on_percent: OnPercent | None = None,
    most: int = MOST_OUTPUT,
    into: IO[bytes] | None = None,
) -> Output:
    """Run a command to its end and return what it said, whatever its exit code.

    The command has a session of its own, so neither a prompt nor a Ctrl-C of the terminal reaches it; when
    `stop` is set it and all its children are ended and `Stopped` is raised. `on_percent` hears git's own
    progress. Its output goes through files, not pipes: what it leaves behind on purpose (a shared ssh
    connection) may keep them open. Its standard output goes to the file `into` where one is given, and `stdout` is
    empty then. Raises FactoryError when the command is not on this machine, TooMuchError once it has printed more
    than `most` bytes.
    """
    with (
        tempfile.TemporaryFile() as given,
        contextlib.nullcontext(into) if into else tempfile.TemporaryFile() as heard,
        tempfile.TemporaryFile() as said,
    ):
        given.write(stdin)
        given.seek(0)
        if stop.is_set():
            raise Stopped
        process = _start(arguments, cwd, env, given, heard, said)
        try:
            seen = 0
            while _running(process):
                if stop.is_set():
                    raise Stopped
                _bounded(arguments, heard, most)
                _bounded(arguments, said, MOST_OUTPUT)
                seen = _tell(said, seen, on_percent)
        finally:
            end(process)
        _bounded(arguments, heard, most)
        return Output(process.returncode, b"" if into else _read(heard), _words(_read(said)))


def _bounded(arguments: Sequence[str], file: IO[bytes], most: int) -> None:
    if os.fstat(file.fileno()).st_size > most:
        name = Path(arguments[0]).name
        raise TooMuchError(f"{name} printed more than {most:,} bytes", "check what its source contains")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process of its own session and everything that it started, politely, then for certain."""
    if process.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def scrubbed(text: str) -> str:
    """`text` without well-known tokens, credentials in its addresses, and what moves a cursor."""
    shown = without_tokens(_ADDRESS.sub(lambda found: without_credentials(found[0]), text))
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in shown)


def _start(
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    given: IO[bytes],
    heard: IO[bytes],
    said: IO[bytes],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(arguments), cwd=cwd, env=dict(env), stdin=given, stdout=heard, stderr=said, start_new_session=True
        )
    except FileNotFoundError as error:
        name = Path(arguments[0]).name
        raise FactoryError(
            f"{name} could not be started: {error}", f"install {name} and see that it is on the PATH"
        ) from error


def _running(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process is still at work, after waiting a moment for its end."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return True
    return False


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _tell(said: IO[bytes], seen: int, on_percent: OnPercent | None) -> int:
    """Pass on the newest progress that the command wrote after byte `seen`; returns how far was read."""
    if on_percent is None:
        return seen
    new = os.pread(said.fileno(), 1 << 16, seen)
    for line in reversed(re.split(rb"[\r\n]", new)):
        if percent := _PERCENT.match(line):
            on_percent(percent[1].decode().lower(), int(percent[2]) / 100)
            break
    return seen + len(new)


def _words(said: bytes) -> str:
    """What a command said, without its progress and without credentials."""
    lines = [line.rstrip() for line in re.split(rb"[\r\n]", said) if line.strip() and not _PERCENT.match(line)]
    return scrubbed(b"\n".join(lines).decode("utf-8", "replace"))
