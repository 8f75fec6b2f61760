"""Virtual environments, made by uv, kept by the digest of what is in them, shared by bots that need the same.

An environment holds locked requirements and nothing else, so all bots with one lock digest share it. A bot whose
code is a project that builds gets a thin one on top: the project itself is installed there, as `pip install .`
does it (its metadata, scripts and compiled modules), and the shared environment is seen from it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.pack.awaiting import all_ended
from factory_cdk.pack.requirements.building import place_for_uv
from factory_cdk.pack.requirements.installable import Installable, lay_out_projects
from factory_cdk.pack.requirements.locking import Uv, digest_of_lines, uv_with
from factory_cdk.pack.requirements.outside import NO_FACTS, SourceFacts
from factory_cdk.state.locks import holding, take_lock

LAYOUT = "2"
"""Part of every key: a change of how environments are made makes new ones."""

AT_ONCE = 2
"""How many environments are built at the same time: uv itself is parallel."""

LONGEST_WAIT = 1800.0
"""Seconds to wait for another process that builds the same environment."""


@dataclass(frozen=True, slots=True)
class Project:
    """A bot's own code to be installed: its bundle's archive and digest, the project's `folder` in it (None: it is not
    installed itself, but the local projects of `facts` are), and the `roots` that are on sys.path after what is
    installed. `wheels` are those of all of them where they are built already.
    """

    archive: Path
    digest: str
    folder: str | None
    roots: tuple[Path, ...]
    facts: SourceFacts = NO_FACTS
    wheels: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment, built or to be built, in `folder`; `version` is the Python asked for, None for ours.

    `lines` are the locked requirements. `options` say which indexes their manifest names, and `context` is its
    folder, whose uv configuration counts: neither is part of the key, since hashes tell what is installed. With
    `project` it is a thin one on top of `base`.
    """

    key: str
    folder: Path
    lines: tuple[str, ...]
    version: str | None
    options: tuple[str, ...] = ()
    context: Path | None = None
    base: Environment | None = None
    project: Project | None = None
    bots: tuple[str, ...] = field(default=(), compare=False)
    """The bots that it is for, for messages."""

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.folder / "bin" / "python"

    @property
    def bins(self) -> tuple[Path, ...]:
        """The folders of its programs, those of its base last."""
        return (self.folder / "bin", *(self.base.bins if self.base else ()))

    @property
    def marker(self) -> Path:
        """Written last: an environment without it is half built."""
        return self.folder / "complete"

    @property
    def ready(self) -> bool:
        """Whether it can be used; also False when the Python that it was made with is gone."""
        return self.marker.is_file() and self.python.exists() and (self.base is None or self.base.ready)

    @property
    def what(self) -> str:
        """What is in it, and for which bots, in words."""
        count = len(self.lines)
        what = f"{count} locked {'requirement' if count == 1 else 'requirements'}" if count else "no requirements"
        if self.project is not None:
            what = f"the project in bundle {self.project.digest[:12]}"
        return f"{what} of {', '.join(self.bots)}" if self.bots else what


def environment(home: Path, lines: Sequence[str], version: str | None, build: str | None = None) -> Environment:
    """The environment of the locked `lines` for Python `version` (`3.12`; None: the one that runs factory_cdk), of the
    `build` of that which is there to be found, if it is one of several.

    Bots with equal lines and versions get the same one. Touches nothing.
    """
    interpreter = f"={version}" if version else f"{sys.version} {_own_python()}"
    key = _key(interpreter, digest_of_lines(lines), *([build] if build else []))
    return Environment(key, home / "environments" / key, tuple(lines), version)


def with_project(base: Environment, project: Project) -> Environment:
    """The thin environment of `project` on top of `base`. Touches nothing."""
    key = _key(base.key, project.digest, project.folder or "-", *map(str, (*project.roots, *project.wheels)))
    return Environment(key, base.folder.with_name(key), (), base.version, base=base, project=project, bots=base.bots)


def build_all(
    environments: Iterable[Environment],
    say: Callable[[str], None],
    stop: threading.Event | None = None,
    *,
    asks_indexes: bool = True,
) -> None:
    """Build those of `environments` that are not ready, two at a time; `say` gets a line for each. Unless uv
    `asks_indexes`, everything must be on this machine: wheels, and the Pythons that are asked for.

    FactoryError with the end of uv's own words when one cannot be built; the others are finished first. What
    interrupts it (Ctrl-C) ends uv too, and leaves nothing half built; so does `stop`, with `Stopped`.
    """
    missing = list(_merged(found for found in environments if not found.ready).values())
    bases = _merged(found for one in missing for found in (one.base or one,) if not found.ready)
    stop = stop or threading.Event()
    home = missing[0].folder.parent.parent if missing else Path()
    tool = uv_for_environments(home, stop, asks_indexes=asks_indexes) if missing else None
    for wave in (bases.values(), [one for one in missing if one.base]):
        if tool is not None:
            _build_at_once(list(wave), say, tool)


def _merged(environments: Iterable[Environment]) -> dict[str, Environment]:
    """Environments by their keys, each for all the bots that it is wanted for."""
    found: dict[str, Environment] = {}
    for one in environments:
        before = found[one.key].bots if one.key in found else ()
        found[one.key] = replace(one, bots=tuple(dict.fromkeys((*before, *one.bots))))
    return found


def _build_at_once(environments: Sequence[Environment], say: Callable[[str], None], tool: Uv) -> None:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="environment") as pool:
        attempts = [pool.submit(build, found, say, tool) for found in environments]
        try:
            all_ended(attempts)
        except BaseException:
            tool.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for attempt in attempts:
        attempt.result()


def uv_for_environments(home: Path, stop: threading.Event, *, asks_indexes: bool = True) -> Uv:
    """Uv with the user's indexes and credentials, of its own configuration or pip's, or, unless it `asks_indexes`, with
    none, and with the Python that runs factory_cdk as one that it finds; `stop` ends what it runs.

    To be called by one thread (see `uv_with`). uv may fetch a Python that a plan asks for; without a HOME its
    cache is in `home`.
    """
    environ = {"UV_PYTHON_DOWNLOADS": "automatic", **os.environ}
    if not asks_indexes:
        path = f"{Path(_own_python()).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environ |= {"UV_OFFLINE": "1", "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never", "PATH": path}
    if not environ.get("HOME"):
        environ.setdefault("UV_CACHE_DIR", str(home / "cache" / "uv"))
    return uv_with(environ, stop, home / "logs")


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
            f"another process has been building environment {wanted.key} for {LONGEST_WAIT / 60:.0f} minutes",
            "end that build, or wait for it",
        )
    with holding(lock):
        if wanted.ready:
            return
        say(f"environment {wanted.key}: {wanted.what}")
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
    if wanted.project is not None:
        _install_project(wanted, wanted.project, tool)
    elif wanted.lines:
        _install_lines(wanted, tool)
    with disk(wanted.marker):
        wanted.marker.write_text(f"{replace(wanted, bots=()).what}\n", encoding="utf-8")


def _install_lines(wanted: Environment, tool: Uv) -> None:
    """Install exactly the locked lines. All hashes there are must hold; a git requirement has a commit instead,
    and uv can ask for hashes of all lines only where none is of git.
    """
    with disk(wanted.folder):
        lock = wanted.folder / "requirements.lock"
        lock.write_text("".join(f"{line}\n" for line in (*wanted.options, *wanted.lines)), encoding="utf-8")
    hashed = all("--hash" in line for line in wanted.lines)
    check = "--require-hashes" if hashed else "--verify-hashes"
    install = ["pip", "install", "--no-deps", check, "--python", str(wanted.python), "-r", str(lock)]
    scratch = wanted.folder / "configuration"
    _uv(tool, install, wanted, place_for_uv(wanted.context, scratch) if wanted.context else wanted.folder)


def _install_project(wanted: Environment, project: Project, tool: Uv) -> None:
    """Install a project and the local ones that it requires: their wheels where there are some, else built here."""
    site = _site_packages(wanted.folder)
    base = _site_packages(wanted.base.folder) if wanted.base else site
    lines = [
        f"import site; site.addsitedir({str(base)!a})",  # .pth files are read in the locale's encoding
        *(f"import sys; sys.path.append({str(root)!a})" for root in project.roots),
    ]
    packed, copy = wanted.folder / "bundle", wanted.folder / "source"
    requirements = wanted.folder / "projects.txt"
    with disk(wanted.folder):
        (site / "factory_cdk_base.pth").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if project.wheels:
            found = Installable(tuple(wheel.as_uri() for wheel in project.wheels), wanted.folder, {})
        else:
            found = lay_out_projects(project.archive, project.digest, project.folder, project.facts, packed, copy)
        requirements.write_text("".join(f"{line}\n" for line in found.lines), encoding="utf-8")
    install = ["pip", "install", "--no-deps", "--python", str(wanted.python), "-r", str(requirements)]
    said = tool.with_variables(found.variables).say(install, found.folder)
    if said.code:
        raise tool.failure(said, f"{wanted.what} cannot be installed")
    with disk(wanted.folder):
        for leftover in (packed, copy):
            if leftover.exists():
                shutil.rmtree(leftover)
        requirements.unlink()


def _uv(tool: Uv, arguments: Sequence[str], wanted: Environment, folder: Path) -> None:
    """Run uv in `folder`, whose own uv configuration then counts. FactoryError with its words when it fails."""
    said = tool.say(arguments, folder)
    if said.code:
        raise tool.failure(said, f"the environment for {wanted.what} cannot be made")


def _site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("*/site-packages"))


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join((LAYOUT, *parts)).encode()).hexdigest()[:24]


def _own_python() -> str:
    """The interpreter that runs factory_cdk, without its virtual environment."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _remove(folder: Path) -> None:
    """Remove what a killed build left."""
    if folder.exists():
        with disk(folder):
            shutil.rmtree(folder)
