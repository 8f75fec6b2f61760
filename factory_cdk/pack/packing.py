"""Packing the bots of a plan: several at once, each on its own, all of them to the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.bundle import Bundle, described, kind_of, origin_of, unpacked
from factory_cdk.canonical_json import json_digest
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk_error
from factory_cdk.pack.awaiting import results
from factory_cdk.pack.cache import LOGS, BundleCache
from factory_cdk.pack.context import NotAtHand, PackContext
from factory_cdk.pack.keep import keep_tree
from factory_cdk.pack.lockfile import Lock, LockedBot
from factory_cdk.pack.report import OnProgress, PackedBot, PackReport, Progress
from factory_cdk.pack.requirements.locking import Uv, digest_of_lines, uv_with
from factory_cdk.pack.requirements.python_version import lowest_python
from factory_cdk.pack.sources.code import pack_git, pack_path
from factory_cdk.pack.sources.git import Git, git_with
from factory_cdk.pack.sources.package import pack_pypi
from factory_cdk.pack.staleness import changes_of
from factory_cdk.pack.wheels.of_bots import with_wheels
from factory_cdk.pack.wheels.of_runner import runner_files
from factory_cdk.pack.wheels.pip import Pip, pip_with
from factory_cdk.plan.model import Bot, GitSource, PathSource, Plan
from factory_cdk.wheels import targets_of

AT_ONCE = 8
"""How many bots are packed at the same time: most of it is waiting for remotes."""


def pack(
    plan: Plan,
    bots: Sequence[Bot],
    *,
    cache: Path,
    on_progress: OnProgress | None = None,
    keep: Path | None = None,
    lock: Lock | None = None,
    fresh: Collection[str] = (),
    jobs: int = AT_ONCE,
    env: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> PackReport:
    """Make a bundle of every one of `bots`, which are bots of `plan`, in the cache below `cache`.

    With `lock`, what it says is packed, and nothing is asked of a remote or an index for a bundle that is in
    the cache; a bot that it does not cover is packed as if there were none, with a note. Without a lock a
    remote is asked for the commit of a branch, and requirements stay as they were resolved before for the
    same manifest. Bots named in `fresh` are asked anew in both. `keep` gets every bundle's tree, unpacked, in
    a folder of the bot's name. `on_progress` is called from several threads, one at a time. `env` is the
    environment for git and uv (that of this process). `stop` ends it from another thread, with `Stopped`.

    One bot's failure, as a FactoryError in the report, leaves the others alone. A Ctrl-C ends all of them,
    and what they started, before it goes on to the caller; nothing half-written is left. Raises FactoryError
    itself only when the cache cannot be written, or what offline sectors need beside their bots cannot be had.
    """
    said = dict(os.environ if env is None else env)
    stop = stop or threading.Event()
    work = _work(plan, cache, said, stop, on_progress)
    work.cache.prepare()
    held = {bot.name: lock for bot in bots if lock is not None and bot.name not in fresh}
    with ThreadPoolExecutor(max(1, min(jobs, len(bots))), thread_name_prefix="pack") as pool:
        try:
            attempts = [pool.submit(work.attempt, bot, held.get(bot.name), bot.name in fresh, keep) for bot in bots]
            files = runner_files(plan, bots, work.cache, work.pip)
            return PackReport(tuple(results(attempts)), files)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def bundles_at_hand(
    plan: Plan, bots: Sequence[Bot], *, cache: Path, lock: Lock | None = None, env: Mapping[str, str] | None = None
) -> dict[str, Bundle]:
    """The bundles of `bots` without asking anybody: what synth, review and dry runs embed.

    A bot that `lock` covers has the bundle that it says, and the same one on every machine (`archive` is None
    where the cache does not have it; pack first to deploy). Path sources that exist are packed. Without a
    lock it is what was packed here last. Everything else is `unpacked`, and so is what cannot be packed:
    `pack` says why.
    """
    said = dict(os.environ if env is None else env)
    stop = threading.Event()
    work = _work(plan, cache, said, stop, None)
    try:
        work.cache.prepare()
        with work.cache.workspace() as workspace:
            return {bot.name: work.at_hand(bot, lock, workspace / bot.name) for bot in bots}
    except FactoryError:  # a dry run shows what it can; `pack` tells what is wrong
        return {bot.name: work.of_lock(bot, lock) for bot in bots}


@dataclass(frozen=True, slots=True)
class _Work:
    """What all bots of one pack have in common."""

    plan: Plan
    cache: BundleCache
    git: Git
    uv: Uv
    pip: Pip
    on_progress: OnProgress

    def attempt(self, bot: Bot, lock: Lock | None, fresh: bool, keep: Path | None) -> PackedBot:
        """Pack one bot and tell what came of it; `Stopped` when told to stop."""
        started = time.monotonic()
        try:
            key = json_digest(described(bot.source))
            with self.cache.exclusive(key, self.git.stop), self.cache.workspace() as workspace:
                context = self._context(bot, lock, workspace, fresh=fresh)
                bundle, locked = self.with_wheels(context, *_packed(context))
                if keep is not None:
                    keep_tree(bundle, keep, workspace)
                made = PackedBot(
                    bot.name, bundle, None, locked, context.fetched, tuple(context.notes),
                    read=context.read, left_out=context.left_out, version=context.version,
                )  # fmt: skip
        except FactoryError as error:
            made = PackedBot(bot.name, error=error)
        except UnicodeError as error:
            said = f"a file name cannot be written in this locale: {error}"
            made = PackedBot(bot.name, error=FactoryError(said, "pack under a UTF-8 locale (LC_ALL=C.UTF-8)"))
        except OSError as error:
            made = PackedBot(bot.name, error=disk_error(error, self.cache.folder))
        last = Progress(bot.name, "done" if made.error is None else "failed", made.error.message if made.error else "")
        self.on_progress(last)
        return replace(made, seconds=time.monotonic() - started)

    def at_hand(self, bot: Bot, lock: Lock | None, workspace: Path) -> Bundle:
        """The bundle of one bot without asking anybody; `workspace` is a folder to make where one is needed."""
        try:
            context = self._context(bot, lock, workspace, offline=True)
            return self.with_wheels(context, *_packed(context))[0]
        except (NotAtHand, FactoryError):  # a dry run shows what it can; `pack` tells what is wrong
            return self.of_lock(bot, lock)

    def with_wheels(self, context: PackContext, bundle: Bundle, locked: LockedBot) -> tuple[Bundle, LockedBot]:
        """The same with the wheels for the offline sectors that run the bot."""
        return with_wheels(context, self.pip, targets_of(self.plan, context.bot), bundle, locked)

    def of_lock(self, bot: Bot, lock: Lock | None) -> Bundle:
        """The bundle that `lock` names where it still holds, else the stand-in for one."""
        covered = lock.bots[bot.name] if lock is not None and not changes_of(lock, self.plan, bot) else None
        return unpacked(bot) if covered is None else _of_lock(bot, covered)

    def _context(
        self, bot: Bot, lock: Lock | None, workspace: Path, *, fresh: bool = False, offline: bool = False
    ) -> PackContext:
        """What one bot is packed with."""
        python = lowest_python(self.plan, bot)
        context = PackContext(
            bot,
            python,
            self.cache,
            self.git,
            self.uv,
            workspace,
            self.plan.folder,
            self.on_progress,
            fresh=fresh,
            offline=offline,
        )
        if lock is not None:
            context.locked = lock.bots.get(bot.name)
            if changes := changes_of(lock, self.plan, bot):
                context.outdated(changes)
        return context


def _work(
    plan: Plan, cache: Path, env: Mapping[str, str], stop: threading.Event, on_progress: OnProgress | None
) -> _Work:
    logs = cache / LOGS
    return _Work(
        plan,
        BundleCache(cache),
        git_with(env, stop, logs),
        uv_with(env, stop, logs),
        pip_with(env, stop),
        _in_turn(on_progress),
    )


def _packed(context: PackContext) -> tuple[Bundle, LockedBot]:
    source = context.bot.source
    if isinstance(source, GitSource):
        return pack_git(context, source)
    return pack_path(context, source) if isinstance(source, PathSource) else pack_pypi(context, source)


def _of_lock(bot: Bot, locked: LockedBot) -> Bundle:
    """The bundle that plan.lock names, which is not in the cache. One of an earlier factory-cdk does not say how the
    code is laid out: its bot is unpacked until it is packed here.
    """
    if locked.digest is None or locked.layout is None:
        return unpacked(bot)
    return Bundle(
        bot=bot.name,
        digest=locked.digest,
        packed=True,
        kind=kind_of(bot.source),
        origin=origin_of(bot.source, locked.commit),
        commit=locked.commit,
        requirements=locked.requirements,
        lock_digest=digest_of_lines(locked.requirements) if locked.requirements else None,
        size=locked.size or 0,
        files=locked.files or 0,
        archive_sha256=locked.archive_sha256,
        layout=locked.layout,
        wheels=locked.wheels,
    )


def _in_turn(on_progress: OnProgress | None) -> OnProgress:
    """`on_progress`, called by one thread at a time."""
    turn = threading.Lock()

    def tell(progress: Progress) -> None:
        if on_progress is not None:
            with turn:
                on_progress(progress)

    return tell
