"""What a bot's code requires, locked: by plan.lock, by an earlier pack, or by asking the indexes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from factory_cdk.canonical_json import json_digest
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.context import PackContext
from factory_cdk.pack.lockfile import module_of
from factory_cdk.pack.paths import native
from factory_cdk.pack.requirements.building import (
    build_variables,
    can_be_told,
    make_all_buildable,
    make_package_of_poetry,
    runs_git,
    versioned_by,
)
from factory_cdk.pack.requirements.locking import Locked, lock_file, path_below
from factory_cdk.pack.requirements.manifest import Located, Manifest, find_manifest, included, local_projects, reader_of
from factory_cdk.pack.requirements.outside import lay_out_source
from factory_cdk.pack.requirements.python_version import default_python
from factory_cdk.pack.requirements.unread import unread
from factory_cdk.pack.target import module_file
from factory_cdk.pack.tree import Tree
from factory_cdk.plan.model import Bot

_NO_VERSION = "0+unknown"

_FORMAT = 2
"""Part of the key of what was locked: another one locks again."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a bot's code requires, locked: the lines, the manifest they come from, the Python they hold from; the local
    projects beside them, and the version that git gives the bot's own project.
    """

    lines: tuple[str, ...] = ()
    manifest: str | None = None
    python: str | None = None
    projects: tuple[str, ...] = ()
    version: str | None = None


def module_path(code: Tree, bot: Bot) -> str | None:
    """The path of a bot's module in its code; None for a command, and where it is not there."""
    module = module_of(bot)
    return module_file(code.paths, module) if module else None


def manifest_of(code: Tree, bot: Bot, subdirectory: str | None = None) -> tuple[Located, Manifest] | None:
    """Where a bot's requirements stand in its code, and the manifest (see `find_manifest`)."""
    return find_manifest(code, bot, module_path(code, bot), subdirectory)


def version_tool(code: Tree, bot: Bot, found: Located | None, subdirectory: str | None) -> str | None:
    """The tool by which a project that is installed for a bot, whose requirements are at `found`, takes its version
    from git, or None.
    """
    tools = (versioned_by(texts) for texts in _installed(code, bot, found, subdirectory))
    return next((tool for tool in tools if tool is not None), None)


def _installed(code: Tree, bot: Bot, found: Located | None, subdirectory: str | None) -> Iterator[dict[str, str]]:
    """The files right in the folder of every project that is installed for a bot, its own and those that its
    requirements file names, which are TOML, Python or an ini file: their texts by their paths.
    """
    folders = [found.folder] if found is not None and found.builds else []
    if found is not None and found.kind == "requirements":
        folders = list(local_projects(code, found.path, bot, subdirectory))
    for folder in folders:
        start = f"{folder}/" if folder else ""
        paths = [path for path in code.paths if path.startswith(start) and path.endswith((".toml", ".py", ".cfg"))]
        beside = sorted(path for path in paths if "/" not in path[len(start) :])
        yield {path: code.at(path).read_bytes().decode("utf-8", "replace") for path in beside}


def locked_requirements(
    context: PackContext, code: Tree, subdirectory: str | None, ask_version: Callable[[], str | None]
) -> Requirements:
    """The locked requirements of a bot's `code`: those of plan.lock, else those found before, else asked for.

    `ask_version` asks git for the version of the code, where its project takes it from there.
    """
    found = manifest_of(code, context.bot, subdirectory)
    located, manifest = found or (None, None)
    _tell_what_is_read(context, code, located, subdirectory)
    if located is None or manifest is None:
        return Requirements()
    version = _version(context, code, located, subdirectory, ask_version)
    _tell_what_runs_git(context, code, located, subdirectory)
    locked = context.locked
    if locked is not None and locked.manifest == manifest.digest:
        return Requirements(locked.requirements, manifest.digest, locked.python, locked.projects, version)
    if locked is not None and locked.commit is not None:  # a commit does not change: the lock was not made from it
        raise FactoryError(
            f"plan.lock is not valid: {manifest.path} of commit {locked.commit[:12]} is not what it was locked from",
            f"run `factory-cdk lock --upgrade {context.bot.name}` and review the change",
        )
    if locked is not None:
        context.outdated([f"{manifest.path} changed"])
    python = context.python or default_python(manifest.floor)
    key = json_digest([_FORMAT, manifest.digest, manifest.path, python, context.uv.asks, list(context.preferred)])
    known = None if context.fresh else context.cache.read_record("requirements", key)
    if known is None:
        context.about_to_fetch("locking", manifest.path)
        asked = _lock(context, code, manifest, python, subdirectory, version)
        known = {"lines": asked.lines, "projects": asked.projects}
        context.cache.write_record("requirements", key, known, context.workspace)
    return Requirements(tuple(known["lines"]), manifest.digest, python, tuple(known.get("projects", ())), version)


def _tell_what_is_read(context: PackContext, code: Tree, found: Located | None, subdirectory: str | None) -> None:
    read: tuple[str, ...] = ()
    if found is not None and found.kind == "requirements":
        files = included(code.paths, reader_of(code), found.path, context.bot.name, subdirectory)
        read = tuple(path for path, _ in files)
    elif found is not None:
        read = (found.path,)
    context.read = read
    context.notes.extend(unread(code, found, module_path(code, context.bot), read))


def _tell_what_runs_git(context: PackContext, code: Tree, found: Located, subdirectory: str | None) -> None:
    for texts in _installed(code, context.bot, found, subdirectory):
        if versioned_by(texts) is None and (path := runs_git(texts)) is not None:
            context.notes.append(
                f"{path} runs git when the project is built, and a bundle has no git repository: what it asks for, the "
                "version perhaps, is missing there; write it in a file of the source, or let setuptools-scm ask for it"
            )


def _version(
    context: PackContext, code: Tree, found: Located, subdirectory: str | None, ask: Callable[[], str | None]
) -> str | None:
    """The version that git gives a project which takes it from there: the lock's, else asked."""
    tool = version_tool(code, context.bot, found, subdirectory)
    if tool is None:
        return None
    version = context.locked.version if context.locked is not None and context.locked.commit else ask()
    if not can_be_told(tool):
        context.notes.append(
            f"{found.path}: {tool} takes the version from git, which a bundle does not have: where the bot runs it may "
            f"not be {version or 'known'}; write it in a file of the source, or let setuptools-scm ask for it"
        )
        return None
    if version is None:
        context.notes.append(
            f"{found.path}: its version comes from git, which has none for this code: it is installed as 0+b and the "
            "start of the bundle's digest"
        )
    return version


def _lock(
    context: PackContext, code: Tree, manifest: Manifest, python: str, subdirectory: str | None, version: str | None
) -> Locked:
    """Lock in a copy of the source, which a build backend may write to; from the folder of a project."""
    scratch = context.workspace / "scratch"
    try:
        root = lay_out_source(code, subdirectory, scratch)
        path = manifest.path
        if manifest.kind == "project":
            root, path = root / native(manifest.folder), path.rpartition("/")[2]
            make_package_of_poetry(root)
        make_all_buildable(scratch)
        tool = context.uv.with_variables(build_variables(scratch, version or _NO_VERSION))
        of = f" of {context.bot.name}"
        found = lock_file(tool, root, native(path), python, context.preferred, context.workspace, of=of, source=scratch)
        if manifest.kind != "project":
            return found
        own = path_below(scratch, root)  # which is installed as the bot's own project, where it can be
        return replace(found, projects=tuple(one for one in found.projects if one.partition(" ;")[0] != own))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
