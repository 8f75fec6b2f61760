"""Packing a bot that is a package of a Python index: its bundle is its locked requirements, itself the first."""

from __future__ import annotations

import re
from pathlib import Path

from factory_cdk.bundle import Bundle, Layout, described
from factory_cdk.canonical_json import json_digest
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.context import PackContext
from factory_cdk.pack.failures import kind_of_uv_error, read_uv_error
from factory_cdk.pack.lockfile import LockedBot, module_of
from factory_cdk.pack.requirements.additional import Additional, additional
from factory_cdk.pack.requirements.locking import install, lock_package
from factory_cdk.pack.requirements.python_version import DEFAULT_PYTHON
from factory_cdk.pack.sources.code import refuse_another
from factory_cdk.pack.target import find_target
from factory_cdk.pack.tree import Tree, hashed, tree_of
from factory_cdk.plan.model import PypiSource


def pack_pypi(context: PackContext, source: PypiSource) -> tuple[Bundle, LockedBot]:
    """The bundle of a bot from an index, and what plan.lock should hold of it.

    The package is installed once, alone and into a folder that is thrown away, which shows that it can be
    had; its bot_path is checked there. uv leaves out what a wheel names outside of itself. Without a lock,
    what was resolved before stays until it is asked anew.
    """
    python = context.python or DEFAULT_PYTHON
    more = additional(context.folder, context.bot)
    context.read = (more.path,) if more else ()
    lines, known_since = _lines(context, source, python, more)
    own = _own_line(lines, source)
    checked = {"line": own, "bot_path": context.bot.bot_path}
    known = context.cache.read_record("installed", json_digest(checked))
    if known is None:
        context.about_to_fetch("fetching", own.partition(" ")[0])
        before = len(context.notes)
        _check(context, own)
        found = {"notes": context.notes[before:]}
        context.cache.write_record("installed", json_digest(checked), found, context.workspace)
    else:
        context.notes.extend(known["notes"])
    stored = context.add_bundle(Tree(context.workspace, ()), lines)
    if known_since is not None:
        context.cache.write_record("requirements", known_since, {"lines": lines}, context.workspace)
    refuse_another(context, stored, Layout())
    return context.bundle(stored, lines, Layout()), LockedBot(
        source=described(source),
        requirements=lines,
        manifest=more.digest if more else None,
        python=context.locked.python if context.locked is not None else python,
        requirements_path=context.bot.requirements_path,
        module=module_of(context.bot),
        digest=stored.digest,
        archive_sha256=stored.archive_sha256,
        size=stored.size,
        files=stored.files,
        layout=Layout(),
    )


def _lines(
    context: PackContext, source: PypiSource, python: str, more: Additional | None
) -> tuple[tuple[str, ...], str | None]:
    """The locked lines: of plan.lock, else found before, else asked of the index (then with the key to keep)."""
    digest = more.digest if more else None
    if context.locked is not None and context.locked.manifest != digest:
        context.outdated([f"{more.path if more else 'its requirements file'} changed"])
    if context.locked is not None:
        return context.locked.requirements, None
    key = json_digest([described(source), python, context.uv.asks, list(context.preferred), digest])
    known = None if context.fresh else context.cache.read_record("requirements", key)
    if known is not None:
        return tuple(known["lines"]), None
    version = source.version or ""
    requirement = f"{source.package}=={version}" if version[:1].isdigit() else f"{source.package}{version}"
    context.about_to_fetch("locking", requirement)
    files = more.files if more else {}
    locked = lock_package(context.uv, requirement, python, context.preferred, context.workspace, files)
    return locked.lines, key


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


def _check(context: PackContext, line: str) -> None:
    """Install the package alone and look for the bot's target in it."""
    folder = context.workspace / "installed"
    name = line.partition(" ")[0]
    said = install(context.uv, [line], folder, context.workspace)
    if said.code and kind_of_uv_error(read_uv_error(said.stderr))[0] in ("platform", "python"):
        context.notes.append(f"{name} does not install on this machine, so its bot_path is not checked")
        return
    if said.code:
        raise context.uv.failure(said, f"{name} was resolved but cannot be installed")
    if context.bot.bot_path is not None:
        context.tell("checking", context.bot.bot_path)
        tree = _installed(folder)
        context.notes.extend(find_target(tree, context.bot.bot_path, others_bring_code=True).notes)


def _installed(folder: Path) -> Tree:
    """The Python files of what was installed."""
    files = (path for path in sorted(folder.rglob("*.py")) if path.is_file() and not path.is_symlink())
    return tree_of(
        folder, (hashed(path, path.relative_to(folder).as_posix(), executable=False) for path in files), str(folder)
    )
