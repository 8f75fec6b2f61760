"""Locking requirements with uv: exact versions with hashes, one set of lines for every platform."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import uv

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import Output, run
from factory_cdk.pack.failure_kinds import OUTSIDE
from factory_cdk.pack.failures import uv_failure
from factory_cdk.pack.paths import native
from factory_cdk.pack.requirements.indexes import asked, environment_for_uv, flags_for_uv
from factory_cdk.pack.requirements.policy import check_requirement, local_place
from factory_cdk.pack.requirements.wheelhouse import with_all_hashes

_HASH = re.compile(r"\s+--hash[= ]sha(?:256|384|512):[0-9a-f]+")
_PACKAGE = "package-of-the-plan.in"
_PYLOCK = "pylock.toml"
_PINNED = re.compile(r"@\s*git\+[^@\s]+(?:@[^@/\s]+)?@[0-9a-f]{40}(?:#\S*)?\s*(?:;.*)?$")


@dataclass(frozen=True, slots=True)
class Uv:
    """How uv is run: the program, the environment it gets (see `indexes`), what stops it, and options for `uv pip`."""

    program: str
    env: Mapping[str, str]
    stop: threading.Event
    flags: tuple[str, ...] = ()
    logs: Path | None = None
    """The folder for all that it prints when it fails, see `failures`."""

    def failure(self, output: Output, what: str) -> FactoryError:
        """The FactoryError for what uv printed when `what` failed."""
        return uv_failure(output, what, self.logs)

    def with_variables(self, variables: Mapping[str, str]) -> Uv:
        """The same with more environment variables, where the user's environment does not have them."""
        return replace(self, env={**variables, **self.env})

    @property
    def asks(self) -> dict[str, str]:
        """What of its configuration decides on its answers, without credentials."""
        return asked(self.env, self.flags)

    def say(self, arguments: Sequence[str], cwd: Path) -> Output:
        """Run `uv pip …` in `cwd` and return what it said, whatever its exit code."""
        command = [self.program, *arguments[:2], *self.flags, *arguments[2:]]
        return run(command, cwd=cwd, env=self.env, stop=self.stop)


def uv_with(env: Mapping[str, str], stop: threading.Event, logs: Path | None = None) -> Uv:
    """Uv under the user's environment `env`; FactoryError where it is not installed.

    To be called by one thread: sysconfig, by which uv finds itself, is not safe in several at first.
    """
    try:
        program = uv.find_uv_bin()
    except FileNotFoundError as error:
        raise FactoryError(f"uv is not installed: {error}", "reinstall factory-cdk") from error
    return Uv(program, environment_for_uv(env), stop, flags_for_uv(env), logs)


@dataclass(frozen=True, slots=True)
class Locked:
    """Locked lines, and the local projects beside them, as paths in the source with their markers (`libs/one ; …`)."""

    lines: tuple[str, ...]
    projects: tuple[str, ...] = ()


def lock_file(
    tool: Uv,
    root: Path,
    path: str,
    python: str,
    preferred: Sequence[str],
    workspace: Path,
    *,
    of: str = "",
    source: Path | None = None,
) -> Locked:
    """The locked lines of the manifest at `path` below `root`, which is a private copy of a bot's tree.

    They hold for Python `python` and later on Linux, macOS and Windows alike: a line that one of them does
    not need carries a marker, and the hashes are those of every file of a version. Versions in `preferred`
    (the lines of an older lock) are kept where they still fit. A project that computes its dependencies runs
    its build backend here, as it does wherever it is installed; UV_NO_BUILD=1 refuses that.

    FactoryError with uv's own words when there is no solution, the index cannot be reached, or a requirement
    has neither hash nor commit. `of` names in messages whose requirements they are. Projects in the folder `source`,
    if one is given, are local ones, that of `root` among them.
    """
    file = workspace / "requirements.lock"
    file.write_text("".join(f"{line}\n" for line in preferred), encoding="utf-8")
    said = tool.say(
        ["pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate",
         "--no-emit-index-url", "--no-emit-find-links", "--no-emit-build-options",
         "--python-version", python, "--python", sys.executable, "--output-file", str(file), "--", path],
        root,
    )  # fmt: skip
    if said.code:
        raise tool.failure(said, f"the requirements{of} in {path} cannot be locked for Python {python} and later")
    lines = _lines(file.read_text("utf-8"))
    local = [line for line in lines if source is not None and local_place(_without_hashes(line)) is not None]
    checked = [_checked(line, path) for line in lines if line not in local]
    projects = _local_projects(tool, root, path, python, workspace, source) if local and source is not None else ()
    return Locked(tuple(with_all_hashes(checked, tool.env)), projects)


def _local_projects(tool: Uv, root: Path, path: str, python: str, workspace: Path, source: Path) -> tuple[str, ...]:
    """The local projects, and archives of some, that the manifest at `path` below `root` comes to, as paths in the
    `source` with their markers.

    A requirements file cannot say where they are: a project that another one requires is named there by its path from
    that one. FactoryError for one that is outside of the source.
    """
    file = workspace / _PYLOCK
    said = tool.say(
        ["pip", "compile", "--quiet", "--universal", "--no-header", "--format", "pylock.toml",
         "--python-version", python, "--python", sys.executable, "--output-file", str(file), "--", path],
        root,
    )  # fmt: skip
    if said.code:
        raise tool.failure(said, f"the local projects in {path} cannot be told")
    found = []
    for one in tomllib.loads(file.read_text("utf-8")).get("packages", ()):
        place = (one.get("directory") or one.get("archive") or {}).get("path")
        if place is None:
            continue
        if (below := path_below(source, workspace / place)) is None:
            raise FactoryError(f"{path}: the project {one['name']} is outside of the source", OUTSIDE)
        found.append(f"{below} ; {one['marker']}" if "marker" in one else below)
    return tuple(sorted(found))


def lock_package(
    tool: Uv, requirement: str, python: str, preferred: Sequence[str], workspace: Path, more: Mapping[str, bytes]
) -> Locked:
    """The locked lines of one requirement (`tool[fast]==1.5.9`): the package itself and all that it needs, and what
    `more` adds: requirements files by their paths, the first of which includes the others.
    """
    folder = workspace / "package"
    for path, content in more.items():
        target = folder / native(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    folder.mkdir(exist_ok=True)
    lines = [requirement, *(f"-r {path}" for path in list(more)[:1])]
    (folder / _PACKAGE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    try:
        return lock_file(tool, folder, _PACKAGE, python, preferred, workspace)
    except FactoryError as error:
        raise FactoryError(error.message.replace(f"in {_PACKAGE}", f"of {requirement}"), error.remedy) from error


def install(tool: Uv, lines: Sequence[str], into: Path, workspace: Path) -> Output:
    """Install exactly the locked `lines` into the folder `into`, without what they depend on."""
    file = workspace / "install.txt"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tool.say(
        ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", sys.executable,
         "--target", str(into), "-r", str(file)],
        workspace,
    )  # fmt: skip


def digest_of_lines(lines: Sequence[str]) -> str:
    """SHA-256, in hex, of locked lines: the name of the environment that they make."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def is_locked(line: str) -> bool:
    """Whether a requirement names what it means by a hash, or by a commit of git."""
    return _HASH.search(line) is not None or _PINNED.search(line) is not None


def _lines(text: str) -> list[str]:
    """Uv's output as one line per requirement."""
    lines = (line.strip() for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _checked(line: str, path: str) -> str:
    check_requirement(path, line)
    if not is_locked(line):
        raise FactoryError(
            f"{path}: {_HASH.sub('', line).strip()!r} cannot be locked, because it has neither a hash nor a commit",
            "name a package of an index, or a git address with a commit; code in the source needs no line",
        )
    return line


def _without_hashes(line: str) -> str:
    return _HASH.sub("", line).strip()


def path_below(source: Path, folder: Path) -> str | None:
    """The path of `folder` in `source`, or None where it is outside of it."""
    real = (source.resolve(), folder.resolve())
    return real[1].relative_to(real[0]).as_posix() if real[1].is_relative_to(real[0]) else None
