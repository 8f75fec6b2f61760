"""Packing a bot that is a package of a Python index: its bundle is its locked requirements, itself the first."""

from __future__ import annotations

import re
from pathlib import Path

from factory_cdk.bundle import Bundle, described
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.bench import Bench
from factory_cdk.pack.code import refuse_another
from factory_cdk.pack.lock import LockedBot, module_of
from factory_cdk.pack.requirements import PYTHON, failure, install, lock_package
from factory_cdk.pack.store import key_of
from factory_cdk.pack.target import find_target
from factory_cdk.pack.tree import Tree, hashed, tree_of
from factory_cdk.plan.model import PypiSource


def pack_pypi(bench: Bench, source: PypiSource) -> tuple[Bundle, LockedBot]:
    """The bundle of a bot from an index, and what plan.lock should hold of it.

    The package is installed once, alone and into a folder that is thrown away, which shows that it can be
    had; its bot_path is checked there. uv leaves out what a wheel names outside of itself. Without a lock,
    what was resolved before stays until it is asked anew.
    """
    python = bench.python or PYTHON
    lines, known_since = _lines(bench, source, python)
    own = _own_line(lines, source)
    checked = {"line": own, "bot_path": bench.bot.bot_path}
    known = bench.store.recall("installed", key_of(checked))
    if known is None:
        bench.about_to_fetch("fetching", own.partition(" ")[0])
        before = len(bench.notes)
        _check(bench, own)
        bench.store.remember("installed", key_of(checked), {"notes": bench.notes[before:]}, bench.workspace)
    else:
        bench.notes.extend(known["notes"])
    stored = bench.store_bundle(Tree(bench.workspace, ()), lines)
    if known_since is not None:
        bench.store.remember("requirements", known_since, {"lines": lines}, bench.workspace)
    refuse_another(bench, stored)
    return bench.bundle(stored, lines), LockedBot(
        source=described(source),
        requirements=lines,
        python=bench.locked.python if bench.locked is not None else python,
        requirements_path=bench.bot.requirements_path,
        module=module_of(bench.bot),
        digest=stored.digest,
        archive_sha256=stored.archive_sha256,
        size=stored.size,
        files=stored.files,
    )


def _lines(bench: Bench, source: PypiSource, python: str) -> tuple[tuple[str, ...], str | None]:
    """The locked lines: of plan.lock, else found before, else asked of the index (then with the key to keep)."""
    if bench.locked is not None:
        return bench.locked.requirements, None
    key = key_of([described(source), python, bench.uv.asks, list(bench.preferred)])
    known = None if bench.fresh else bench.store.recall("requirements", key)
    if known is not None:
        return tuple(known["lines"]), None
    version = source.version or ""
    requirement = f"{source.package}=={version}" if version[:1].isdigit() else f"{source.package}{version}"
    bench.about_to_fetch("locking", requirement)
    return tuple(lock_package(bench.uv, requirement, python, bench.preferred, bench.workspace)), key


def _own_line(lines: tuple[str, ...], source: PypiSource) -> str:
    """The line of the package itself."""
    wanted = _normal(source.package.partition("[")[0])
    for line in lines:
        if _normal(re.split(r"[\[=<>~!;@ ]", line, maxsplit=1)[0]) == wanted:
            return line
    raise FactoryError(f"{source.package} is not among its own locked requirements", "lock it again")


def _normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).strip().lower()


def _check(bench: Bench, line: str) -> None:
    """Install the package alone and look for the bot's target in it."""
    folder = bench.workspace / "installed"
    name = line.partition(" ")[0]
    said = install(bench.uv, [line], folder, bench.workspace)
    if said.code and re.search(r"platform|not compatible|no wheels|Python (?:version|ABI)", said.stderr):
        bench.notes.append(f"{name} does not install on this machine, so its bot_path is unchecked")
        return
    if said.code:
        raise failure(said, f"{name} was resolved but cannot be installed")
    if bench.bot.bot_path is not None:
        bench.tell("checking", bench.bot.bot_path)
        tree = _installed(folder)
        bench.notes.extend(find_target(tree, bench.bot.bot_path, others_bring_code=True).notes)


def _installed(folder: Path) -> Tree:
    """The Python files of what was installed."""
    files = (path for path in sorted(folder.rglob("*.py")) if path.is_file() and not path.is_symlink())
    return tree_of(
        folder, (hashed(path, path.relative_to(folder).as_posix(), executable=False) for path in files), str(folder)
    )
