"""Packing a bot whose code is a git repository or a folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory_cdk.bundle import Bundle, Layout, described, layout_as_json, layout_from_json, without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.archive import copy, unpack
from factory_cdk.pack.cache import Stored, key_of
from factory_cdk.pack.context import LARGE, NotAtHand, PackContext
from factory_cdk.pack.layout import layout_of
from factory_cdk.pack.lockfile import LockedBot, module_of
from factory_cdk.pack.paths import REQUIREMENTS, native
from factory_cdk.pack.requirements.locking import PYTHON, digest_of_lines, lock_file
from factory_cdk.pack.requirements.manifest import Manifest, find_manifest
from factory_cdk.pack.sources.checkout import check_out
from factory_cdk.pack.sources.clone import commit_at_remote
from factory_cdk.pack.sources.folder import tree_of_checkout, tree_of_folder
from factory_cdk.pack.target import Found, find_target, module_file
from factory_cdk.pack.tree import Tree
from factory_cdk.plan.model import Bot, GitSource, PathSource


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing a bot's code came to: its bundle in the cache, its layout, its locked requirements."""

    stored: Stored
    layout: Layout
    requirements: Requirements


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a bot's code requires, locked: the lines, the manifest they come from, the Python they hold from."""

    lines: tuple[str, ...] = ()
    manifest: str | None = None
    python: str | None = None


def pack_git(context: PackContext, source: GitSource) -> tuple[Bundle, LockedBot]:
    """The bundle of a bot from a git repository, and what plan.lock should hold of it.

    With a commit of plan.lock and its bundle in the cache nothing is asked of the remote. Without a lock the
    remote is asked which commit the branch names, and nothing is fetched when that was packed before.
    """
    commit = _commit(context, source)
    packed = _recalled(context, _identity(source, commit)) if commit is not None else None
    if commit is None or packed is None:
        code, commit = _tree_of_commit(context, source, commit)
        packed = _pack(context, code, _identity(source, commit))
    if not context.offline and context.locked is None:
        context.store.remember("commit", key_of(described(source)), {"commit": commit}, context.workspace)
    return _made(context, packed, commit)


def pack_path(context: PackContext, source: PathSource) -> tuple[Bundle, LockedBot]:
    """The bundle of a bot whose code is a folder, and what plan.lock should hold of it."""
    context.tell("reading", source.path)
    code = tree_of_folder(source.folder, source.path, source.subdirectory)
    if code.size > LARGE:
        largest = max(code.files, key=lambda file: file.size)
        context.notes.append(
            f"{source.path} is large: {code.size / 1024**2:,.0f} MB in {len(code.files):,} files, "
            f"{largest.size / 1024**2:,.0f} MB of them {largest.path}; .factoryignore leaves files out"
        )
    identity = {"kind": "path", "code": code.digest}
    known = _recalled(context, identity)
    if known is None:
        known = _pack(context, copy(code, context.workspace / "code"), identity)
    return _made(context, known, None)


def manifest_of(code: Tree, bot: Bot) -> Manifest | None:
    """The manifest of a bot's requirements in its code (see `find_manifest`)."""
    module = module_of(bot)
    return find_manifest(code, bot, module_file(code.paths, module) if module else None)


def _commit(context: PackContext, source: GitSource) -> str | None:
    """The commit to pack, where that is known or can be asked cheaply; None: clone and see."""
    if context.locked is not None:
        return context.locked.commit
    known = context.store.recall("commit", key_of(described(source)))
    if context.offline:
        if known is None:
            raise NotAtHand
        return str(known["commit"])
    if known is None:
        return None
    context.tell("asking", without_credentials(source.url))
    return commit_at_remote(context.git, source, cwd=context.workspace)


def _identity(source: GitSource, commit: str) -> Mapping[str, object]:
    return {**described(source), "ref": None, "commit": commit}


def _recalled(context: PackContext, identity: Mapping[str, object]) -> Packed | None:
    """What was packed before from the same code for the same bot_path, and, with a lock, the same lock.

    An earlier factory-cdk kept no layout: such a bot is packed again, from the code in the cache and with the
    requirements that were found before.
    """
    said = None if context.fresh else context.store.recall("packed", _key(context, identity, context.locked))
    stored = context.store.stored(said["digest"]) if said else None
    if said is None or stored is None or "layout" not in said:
        return None
    context.notes.extend(said["notes"])
    requirements = Requirements(tuple(said["requirements"]), said["manifest"], said["python"])
    return Packed(stored, layout_from_json(said["layout"]), requirements)


def _key(context: PackContext, identity: Mapping[str, object], locked: Requirements | LockedBot | None) -> str:
    """What the outcome depends on: the code, the plan, and the locked requirements or whom they are asked of."""
    return key_of(
        {
            "identity": identity,
            "bot_path": context.bot.bot_path,
            "requirements_path": context.bot.requirements_path,
            "python": context.python,
            "lock": [locked.manifest, digest_of_lines(_lines(locked))] if locked else context.uv.asks,
        }
    )


def _lines(locked: Requirements | LockedBot) -> Sequence[str]:
    return locked.lines if isinstance(locked, Requirements) else locked.requirements


def _tree_of_commit(context: PackContext, source: GitSource, commit: str | None) -> tuple[Tree, str]:
    """The code of a commit: out of any bundle that has it, else fetched."""
    shown = without_credentials(source.url)
    if commit is not None:
        said = context.store.recall("code", key_of(_identity(source, commit)))
        stored = context.store.stored(said["bundle"]) if said else None
        if said is not None and stored is not None:
            context.notes.extend(said["notes"])
            return unpack(stored.archive, context.workspace / "code").without(REQUIREMENTS), commit
    context.about_to_fetch("fetching", shown)
    laid_out = check_out(
        context.git, source, commit, context.workspace, lambda what, share: context.tell("fetching", what, share)
    )
    context.notes.extend(laid_out.notes)
    context.tell("reading", shown)
    return tree_of_checkout(laid_out.folder, shown, source.subdirectory), laid_out.commit


def _pack(context: PackContext, code: Tree, identity: Mapping[str, object]) -> Packed:
    """Check, lock and store a bot's code, and remember what came of it."""
    before = list(context.notes)
    manifest = manifest_of(code, context.bot)
    if context.bot.bot_path is not None:
        context.tell("checking", context.bot.bot_path)
        found: Found = find_target(code, context.bot.bot_path, others_bring_code=manifest is not None)
        context.notes.extend(found.notes)
    requirements = _requirements(context, code, manifest)
    layout = layout_of(code, context.bot)
    stored = context.store_bundle(code, requirements.lines)
    if identity["kind"] == "git":
        said = {"bundle": stored.digest, "notes": before}
        context.store.remember("code", key_of(identity), said, context.workspace)
    made: dict[str, Any] = {
        "digest": stored.digest,
        "layout": layout_as_json(layout),
        "requirements": requirements.lines,
        "manifest": requirements.manifest,
        "python": requirements.python,
        "notes": context.notes if identity["kind"] == "git" else context.notes[len(before) :],
    }
    for known_by in (context.locked, requirements):  # the next pack may have the lock that this one makes
        context.store.remember("packed", _key(context, identity, known_by), made, context.workspace)
    return Packed(stored, layout, requirements)


def _requirements(context: PackContext, code: Tree, manifest: Manifest | None) -> Requirements:
    """The locked requirements: those of plan.lock, else those found before, else asked of the indexes."""
    if manifest is None:
        return Requirements()
    if manifest.kind == "project" and context.bot.requirements_path is not None:
        context.notes.append(f"{manifest.path} says what is required, so {context.bot.requirements_path} is not read")
    locked = context.locked
    if locked is not None and locked.manifest == manifest.digest:
        return Requirements(locked.requirements, manifest.digest, locked.python)
    if locked is not None and locked.commit is not None:  # a commit does not change: the lock was not made from it
        raise FactoryError(
            f"plan.lock is not sound: {manifest.path} of commit {locked.commit[:12]} is not what it was locked from",
            f"run `factory-cdk lock --upgrade {context.bot.name}` and review the change",
        )
    if locked is not None:
        context.outdated([f"{manifest.path} changed"])
    python = context.python or _higher(manifest.floor, PYTHON)
    key = key_of([manifest.digest, manifest.path, python, context.uv.asks, list(context.preferred)])
    known = None if context.fresh else context.store.recall("requirements", key)
    if known is None:
        context.about_to_fetch("locking", manifest.path)
        lines = _lock(context, code, manifest, python)
        context.store.remember("requirements", key, {"lines": lines}, context.workspace)
    else:
        lines = known["lines"]
    return Requirements(tuple(lines), manifest.digest, python)


def _lock(context: PackContext, code: Tree, manifest: Manifest, python: str) -> Sequence[str]:
    """Lock in a copy of the code, which a build backend may write to; from the folder of a project."""
    scratch = context.workspace / "scratch"
    try:
        copy(code, scratch)
        project = manifest.kind == "project"
        root = scratch / native(manifest.folder) if project else scratch
        path = manifest.path.rpartition("/")[2] if project else manifest.path
        return lock_file(context.uv, root, native(path), python, context.preferred, context.workspace)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _higher(floor: str | None, default: str) -> str:
    return max(default, floor or default, key=lambda version: int(version.partition(".")[2]))


def refuse_another(context: PackContext, stored: Stored, layout: Layout) -> None:
    """FactoryError when plan.lock names another bundle than the one that was packed, or another archive or layout."""
    locked = context.locked
    if locked is None or locked.digest is None:
        return
    for was, now in ((locked.digest, stored.digest), (locked.archive_sha256, stored.archive_sha256)):
        if was != now:
            raise FactoryError(
                f"the bundle is not the one of plan.lock: {now[:12]} instead of {str(was)[:12]}",
                "if you trust the source as it is now, run `factory-cdk lock --upgrade "
                f"{context.bot.name}` and review the change",
            )
    if locked.layout is not None and locked.layout != layout:
        raise FactoryError(
            f"the layout of {context.bot.name} is not the one of plan.lock: {layout_as_json(layout)}",
            f"run `factory-cdk lock --upgrade {context.bot.name}` and review the change",
        )


def _made(context: PackContext, packed: Packed, commit: str | None) -> tuple[Bundle, LockedBot]:
    """The bundle and the lock's part of it, held against what the lock says."""
    stored, found = packed.stored, packed.requirements
    refuse_another(context, stored, packed.layout)
    pinned = commit is not None
    return context.bundle(stored, found.lines, packed.layout, commit), LockedBot(
        source=described(context.bot.source),
        requirements=found.lines,
        manifest=found.manifest,
        python=found.python,
        requirements_path=context.bot.requirements_path,
        module=module_of(context.bot),
        commit=commit,
        digest=stored.digest if pinned else None,
        archive_sha256=stored.archive_sha256 if pinned else None,
        size=stored.size if pinned else None,
        files=stored.files if pinned else None,
        layout=packed.layout if pinned else None,
    )
