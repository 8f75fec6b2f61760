"""Packing a bot whose code is a git repository or a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_cdk.bundle import Bundle, Layout, described, layout_as_json, layout_from_json, without_credentials
from factory_cdk.canonical_json import json_digest
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.archive import copy, unpack
from factory_cdk.pack.cache import CachedBundle
from factory_cdk.pack.context import LARGE, NotAtHand, PackContext
from factory_cdk.pack.layout import layout_of
from factory_cdk.pack.left_out import LeftOut
from factory_cdk.pack.lockfile import LockedBot, module_of
from factory_cdk.pack.paths import REQUIREMENTS, native
from factory_cdk.pack.requirements.locking import digest_of_lines
from factory_cdk.pack.requirements.manifest import locate, reaches_outside, reader_of
from factory_cdk.pack.requirements.outside import AROUND, SOURCE, SourceFacts, with_around, without_around
from factory_cdk.pack.shadowing import shadowing
from factory_cdk.pack.sources.checkout import Checkout, check_out
from factory_cdk.pack.sources.clone import commit_at_remote
from factory_cdk.pack.sources.folder import tree_of_checkout, tree_of_folder
from factory_cdk.pack.sources.requirements import Requirements, locked_requirements, module_path, version_tool
from factory_cdk.pack.sources.version import version_of_commit, version_of_folder
from factory_cdk.pack.target import Found, find_target
from factory_cdk.pack.tree import Tree
from factory_cdk.plan.model import Bot, GitSource, PathSource


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing a bot's code came to: its bundle in the cache, its layout, its locked requirements."""

    stored: CachedBundle
    layout: Layout
    requirements: Requirements


def pack_git(context: PackContext, source: GitSource) -> tuple[Bundle, LockedBot]:
    """The bundle of a bot from a git repository, and what plan.lock should hold of it.

    With a commit of plan.lock and its bundle in the cache nothing is asked of the remote. Without a lock the
    remote is asked which commit the branch names, and nothing is fetched when that was packed before.
    """
    commit = _commit(context, source)
    packed = _recalled(context, _identity(source, commit)) if commit is not None else None
    if commit is None or packed is None:
        code, commit = _tree_of_commit(context, source, commit)
        fetched = commit

        def ask_version() -> str | None:
            context.about_to_fetch("fetching", f"the tags of {without_credentials(source.url)}")
            return version_of_commit(context.git, source.url, fetched, context.workspace)

        packed = _pack(context, code, _identity(source, commit), source.subdirectory, ask_version)
    if not context.offline and context.locked is None:
        context.cache.write_record("commit", json_digest(described(source)), {"commit": commit}, context.workspace)
    return _made(context, packed, commit)


def pack_path(context: PackContext, source: PathSource) -> tuple[Bundle, LockedBot]:
    """The bundle of a bot whose code is a folder, and what plan.lock should hold of it."""
    context.tell("reading", source.path)
    code = code_of_folder(source, context.bot)
    context.left_out = code.left_out
    if code.size > LARGE:
        largest = max(code.files, key=lambda file: file.size)
        context.notes.append(
            f"{source.path} is large: {code.size / 1024**2:,.0f} MB in {len(code.files):,} files, "
            f"{largest.size / 1024**2:,.0f} MB of them {largest.path}; .factoryignore leaves files out"
        )
    located = locate(code.paths, reader_of(code), context.bot.requirements_path, module_path(code, context.bot))
    tool = version_tool(code, context.bot, located, source.subdirectory)
    version = version_of_folder(context.git, source.folder) if tool else None
    identity = {"kind": "path", "code": code.digest, "subdirectory": source.subdirectory, "version": version}
    known = _recalled(context, identity)
    if known is None:
        copied = copy(code, context.workspace / "code")
        known = _pack(context, copied, identity, source.subdirectory, lambda: version)
    return _made(context, known, None)


def code_of_folder(source: PathSource, bot: Bot) -> Tree:
    """The tree of a path source, with what is around its subdirectory where the bot's project refers to that."""
    code = tree_of_folder(source.folder, source.path, source.subdirectory)
    return _with_around(
        code, bot, source.subdirectory, source.folder, lambda: tree_of_folder(source.folder, source.path)
    )


def _with_around(code: Tree, bot: Bot, subdirectory: str | None, folder: Path, read_whole: Callable[[], Tree]) -> Tree:
    if subdirectory is None or not reaches_outside(
        code, bot, module_path(code, bot), subdirectory, lambda path: _read(folder / native(path))
    ):
        return code
    return with_around(code, read_whole(), subdirectory)


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _commit(context: PackContext, source: GitSource) -> str | None:
    """The commit to pack, where that is known or can be asked cheaply; None: clone and see."""
    if context.locked is not None:
        return context.locked.commit
    known = context.cache.read_record("commit", json_digest(described(source)))
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
    record = None if context.fresh else context.cache.read_record("packed", _key(context, identity, context.locked))
    stored = context.cache.find(record["digest"]) if record else None
    if record is None or stored is None or "layout" not in record:
        return None
    context.notes.extend(record["notes"])
    context.read = tuple(record["read"])
    if identity["kind"] == "git":
        context.left_out = tuple(LeftOut(path, files) for path, files in record["left_out"])
    lines, projects = tuple(record["requirements"]), tuple(record["projects"])
    requirements = Requirements(lines, record["manifest"], record["python"], projects, record["version"])
    return Packed(stored, layout_from_json(record["layout"]), requirements)


def _key(context: PackContext, identity: Mapping[str, object], locked: Requirements | LockedBot | None) -> str:
    """What the outcome depends on: the code, the plan, and the locked requirements or whom they are asked of."""
    return json_digest(
        {
            "format": 4,
            "identity": identity,
            "bot_path": context.bot.bot_path,
            "requirements_path": context.bot.requirements_path,
            "python": context.python,
            "lock": [locked.manifest, digest_of_lines(_lines(locked)), locked.projects, locked.version]
            if locked
            else context.uv.asks,
        }
    )


def _lines(locked: Requirements | LockedBot) -> Sequence[str]:
    return locked.lines if isinstance(locked, Requirements) else locked.requirements


def _tree_of_commit(context: PackContext, source: GitSource, commit: str | None) -> tuple[Tree, str]:
    """The code of a commit: out of any bundle that has it, else fetched."""
    shown = without_credentials(source.url)
    if commit is not None and (known := _unpacked(context, source, commit)) is not None:
        return known, commit
    context.about_to_fetch("fetching", shown)
    laid_out = check_out(
        context.git, source, commit, context.workspace, lambda what, share: context.tell("fetching", what, share)
    )
    context.notes.extend(laid_out.notes)
    context.tell("reading", shown)
    code = _code_of_checkout(laid_out, shown, source.subdirectory, context.bot)
    context.left_out = code.left_out
    return code, laid_out.commit


def _code_of_checkout(laid_out: Checkout, shown: str, subdirectory: str | None, bot: Bot) -> Tree:
    code = tree_of_checkout(laid_out.folder, shown, subdirectory)
    return _with_around(code, bot, subdirectory, laid_out.folder, lambda: tree_of_checkout(laid_out.folder, shown))


def _unpacked(context: PackContext, source: GitSource, commit: str) -> Tree | None:
    """The code of a commit out of a bundle that was made of it; None where no bundle has all that this bot needs."""
    record = context.cache.read_record("code", json_digest(_identity(source, commit)))
    stored = context.cache.find(record["bundle"]) if record else None
    if record is None or stored is None:
        return None
    whole = unpack(stored.archive, context.workspace / "code").select(lambda path: path not in (REQUIREMENTS, SOURCE))
    code = without_around(whole)
    if source.subdirectory is not None:
        around = context.workspace / "code" / native(AROUND)
        module = module_path(code, context.bot)
        located = locate(code.paths, reader_of(code), context.bot.requirements_path, module)
        if len(whole.files) == len(code.files):  # without what is around it, a uv workspace is not to be seen
            if located is not None and located.kind != "script":
                return None
        elif reaches_outside(code, context.bot, module, source.subdirectory, lambda path: _read(around / native(path))):
            code = whole
    context.notes.extend(record["notes"])
    context.left_out = tuple(LeftOut(path, files) for path, files in record["left_out"])
    return code


def _pack(
    context: PackContext,
    code: Tree,
    identity: Mapping[str, object],
    subdirectory: str | None,
    ask_version: Callable[[], str | None],
) -> Packed:
    """Check, lock and store a bot's code, and record what came of it."""
    before = list(context.notes)
    around = any(path.startswith(f"{AROUND}/") for path in code.paths)
    laid_out_in = subdirectory if around else None
    module = module_path(code, context.bot)
    located = locate(code.paths, reader_of(code), context.bot.requirements_path, module)
    if context.bot.bot_path is not None:
        context.tell("checking", context.bot.bot_path)
        found: Found = find_target(code, context.bot.bot_path, others_bring_code=located is not None)
        context.notes.extend(found.notes)
    requirements = locked_requirements(context, code, laid_out_in, ask_version)
    facts = SourceFacts(laid_out_in, requirements.projects, requirements.version)
    layout, said = layout_of(code, context.bot, facts), facts.to_json()
    context.notes.extend(shadowing(code.paths, layout.roots))
    stored = context.add_bundle(code.adding(SOURCE, said) if said else code, requirements.lines)
    left_out = [(one.path, one.files) for one in context.left_out]
    if identity["kind"] == "git":
        record = {"bundle": stored.digest, "notes": before, "left_out": left_out}
        context.cache.write_record("code", json_digest(identity), record, context.workspace)
    made: dict[str, Any] = {
        "digest": stored.digest,
        "layout": layout_as_json(layout),
        "requirements": requirements.lines,
        "manifest": requirements.manifest,
        "python": requirements.python,
        "projects": requirements.projects,
        "version": requirements.version,
        "read": context.read,
        "left_out": left_out,
        "notes": context.notes if identity["kind"] == "git" else context.notes[len(before) :],
    }
    for known_by in (context.locked, requirements):  # the next pack may have the lock that this one makes
        context.cache.write_record("packed", _key(context, identity, known_by), made, context.workspace)
    return Packed(stored, layout, requirements)


def refuse_another(context: PackContext, stored: CachedBundle, layout: Layout) -> None:
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
    context.version = found.version
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
        projects=found.projects,
        version=found.version if pinned else None,
        layout=packed.layout if pinned else None,
    )
