"""Virtual environments, made by uv, kept by the digest of what is in them, shared by bots that need the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.local.requirements import Requirements
from factory_cdk.local.state import holding, take_lock
from factory_cdk.pack.requirements import Uv, failure, uv_with

LAYOUT = "1"
"""Part of every key: a change of how environments are made makes new ones."""

AT_ONCE = 2
"""How many environments are built at the same time: uv itself is parallel."""

LONGEST_WAIT = 1800.0
"""Seconds to wait for another process that builds the same environment."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment, built or to be built, in `folder`; `version` is the Python asked for, None for ours."""

    key: str
    folder: Path
    requirements: Requirements
    version: str | None

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.folder / "bin" / "python"

    @property
    def marker(self) -> Path:
        """Written last: an environment without it is half built."""
        return self.folder / "complete"

    @property
    def ready(self) -> bool:
        """Whether it can be used; also False when the Python that it was made with is gone."""
        return self.marker.is_file() and self.python.exists()


def environment(home: Path, requirements: Requirements, version: str | None) -> Environment:
    """The environment for `requirements` and Python `version` (`3.12`; None: the one that runs factory_cdk).

    Bots with equal requirements and versions get the same one. Touches nothing.
    """
    interpreter = f"={version}" if version else f"{sys.version} {_own_python()}"
    key = hashlib.sha256("\0".join((LAYOUT, interpreter, requirements.digest)).encode()).hexdigest()[:24]
    return Environment(key, home / "environments" / key, requirements, version)


def build_all(environments: Iterable[Environment], say: Callable[[str], None]) -> None:
    """Build those of `environments` that are not ready, two at a time; `say` gets a line for each.

    FactoryError with the end of uv's own words when one cannot be built; the others are finished first. What
    interrupts it (Ctrl-C) ends uv too, and leaves nothing half built.
    """
    missing = list({found.key: found for found in environments if not found.ready}.values())
    if not missing:
        return
    stop = threading.Event()
    tool = uv_for_environments(missing[0].folder.parent.parent, stop)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="environment") as pool:
        attempts = [pool.submit(build, found, say, tool) for found in missing]
        try:
            wait_for(attempts)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for attempt in attempts:
        attempt.result()


def uv_for_environments(home: Path, stop: threading.Event) -> Uv:
    """Uv with the user's indexes and credentials, of its own configuration or pip's; `stop` ends what it runs.

    To be called by one thread (see `uv_with`). uv may fetch a Python that a plan asks for; without a HOME its
    cache is in `home`.
    """
    environ = {"UV_PYTHON_DOWNLOADS": "automatic", **os.environ}
    if not environ.get("HOME"):
        environ.setdefault("UV_CACHE_DIR", str(home / "cache" / "uv"))
    return uv_with(environ, stop)


def build(wanted: Environment, say: Callable[[str], None], tool: Uv) -> None:
    """Build one environment, unless another process does or did: then wait for that. FactoryError."""
    make_private(wanted.folder.parent.parent)
    file = wanted.folder.with_suffix(".lock")
    lock = take_lock(file)
    if lock is None:
        say(f"environment {wanted.key}: waiting for another build of it")
        deadline = time.monotonic() + LONGEST_WAIT
        while lock is None and time.monotonic() < deadline and not tool.stop.is_set():
            lock = take_lock(file, wait=0.2)
    if lock is None:
        raise FactoryError(
            f"environment {wanted.key} has been in the making elsewhere for {LONGEST_WAIT / 60:.0f} minutes",
            "end that build, or wait for it",
        )
    with holding(lock):
        if wanted.ready:
            return
        say(f"environment {wanted.key}: {_summary(wanted.requirements)}")
        _remove(wanted.folder)
        try:
            _make(wanted, tool)
        except BaseException:
            shutil.rmtree(wanted.folder, ignore_errors=True)  # best effort: what failed is told, by the raise
            raise


def _make(wanted: Environment, tool: Uv) -> None:
    python = wanted.version or _own_python()
    venv = ["venv", "--no-project", "--python", python, "--prompt", "factory", str(wanted.folder)]
    _uv(tool, venv, wanted, wanted.folder.parent)
    requirements = wanted.requirements
    install = ["pip", "install", "--python", str(wanted.python), "-r"]
    if requirements.kind == "lock":
        with disk(wanted.folder):
            lock = wanted.folder / "requirements.lock"
            lock.write_text("\n".join(requirements.lines) + "\n", encoding="utf-8")
        _uv(tool, [*install, str(lock), "--require-hashes"], wanted, wanted.folder)
    elif requirements.file is not None:
        _uv(tool, [*install, str(requirements.file)], wanted, requirements.file.parent)
    with disk(wanted.marker):
        wanted.marker.write_text(f"{_summary(requirements)}\n", encoding="utf-8")


def _uv(tool: Uv, arguments: Sequence[str], wanted: Environment, folder: Path) -> None:
    """Run uv in `folder`, whose own uv configuration then counts. FactoryError with its words when it fails."""
    said = tool.say(arguments, folder)
    if said.code:
        raise failure(said, f"the environment for {_summary(wanted.requirements)} cannot be made")


def _summary(requirements: Requirements) -> str:
    if requirements.file is not None:
        return str(requirements.file)
    return f"{len(requirements.lines)} locked requirements" if requirements.lines else "no requirements"


def _own_python() -> str:
    """The interpreter that runs factory_cdk, without its virtual environment."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _remove(folder: Path) -> None:
    """Remove what a killed build left."""
    if folder.exists():
        with disk(folder):
            shutil.rmtree(folder)
