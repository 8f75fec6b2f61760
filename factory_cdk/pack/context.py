"""What the packing of one bot works with: the cache, git, uv, the plan's say, and a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from factory_cdk.bundle import Bundle, Layout, kind_of, origin_of
from factory_cdk.home import disk
from factory_cdk.pack.cache import BundleCache, CachedBundle
from factory_cdk.pack.left_out import LeftOut
from factory_cdk.pack.lockfile import LockedBot
from factory_cdk.pack.paths import REQUIREMENTS
from factory_cdk.pack.report import OnProgress, Progress, Step
from factory_cdk.pack.requirements.locking import Uv, digest_of_lines
from factory_cdk.pack.sources.git import Git
from factory_cdk.pack.tree import Tree
from factory_cdk.plan.model import Bot

LARGE = 50 * 1024**2
"""Bytes from which on a bundle's size is a warning."""


MOST_LEFT_OUT = 1_000
"""Paths that a bundle remembers of what was left out of it."""


class NotAtHand(Exception):
    """What is asked for is not in the cache, and nothing may be fetched."""


@dataclass(slots=True)
class PackContext:
    """One bot's packing. `scratch` is a private folder of it, made when it is first needed (see `workspace`), `folder`
    that of the plan. `locked` is what plan.lock says of it where that still holds;
    `older` what an outdated lock said, whose versions are preferred; `fresh` asks remotes and indexes anew; `offline`
    forbids to ask them at all (`NotAtHand`). `fetched`, `notes`, what was `left_out` and which files were
    `read` for the requirements tell in the end what happened.
    """

    bot: Bot
    python: str | None
    cache: BundleCache
    git: Git
    uv: Uv
    scratch: Path
    folder: Path
    on_progress: OnProgress
    locked: LockedBot | None = None
    older: LockedBot | None = None
    fresh: bool = False
    offline: bool = False
    fetched: bool = False
    notes: list[str] = field(default_factory=list)
    left_out: tuple[LeftOut, ...] = ()
    read: tuple[str, ...] = ()
    version: str | None = None

    @property
    def workspace(self) -> Path:
        """A private folder for what is made on the way."""
        with disk(self.scratch):
            self.scratch.mkdir(exist_ok=True)
        return self.scratch

    def tell(self, step: Step, detail: str = "", share: float | None = None) -> None:
        """Say how far it is."""
        self.on_progress(Progress(self.bot.name, step, detail, share))

    def about_to_fetch(self, step: Step, detail: str) -> None:
        """To be called before anything goes over a network."""
        if self.offline:
            raise NotAtHand
        self.fetched = True
        self.tell(step, detail)

    def outdated(self, changes: Sequence[str]) -> None:
        """Go on without plan.lock, which does not say what this bot is now: its versions are still preferred."""
        self.locked, self.older = None, self.locked or self.older
        self.notes.append(f"plan.lock is out of date: {'; '.join(changes)}")

    @property
    def preferred(self) -> Sequence[str]:
        """The locked lines whose versions are kept where they still fit."""
        return self.older.requirements if self.older is not None and not self.fresh else ()

    def add_bundle(self, code: Tree, lines: Sequence[str]) -> CachedBundle:
        """Put a bundle of `code` and its locked requirements into the cache.

        The requirements become a file of the bundle, so that its digest covers them.
        """
        self.tell("storing", f"{code.size:,} bytes")
        return self.cache.add(with_requirements(code, lines), self.workspace)

    def bundle(self, stored: CachedBundle, lines: Sequence[str], layout: Layout, commit: str | None = None) -> Bundle:
        """The Bundle of this bot for what is in the cache."""
        return Bundle(
            bot=self.bot.name,
            digest=stored.digest,
            packed=True,
            kind=kind_of(self.bot.source),
            origin=origin_of(self.bot.source, commit),
            commit=commit,
            requirements=tuple(lines),
            lock_digest=digest_of_lines(lines) if lines else None,
            size=stored.size,
            files=stored.files,
            archive=str(stored.archive.absolute()),
            archive_sha256=stored.archive_sha256,
            layout=layout,
            left_out=tuple(one.path for one in self.left_out[:MOST_LEFT_OUT]),
        )


def with_requirements(code: Tree, lines: Sequence[str]) -> Tree:
    """`code` and the file of its locked requirements; a bundle is never empty, so without code there is one."""
    if not lines and code.files:
        return code
    return code.adding(REQUIREMENTS, "".join(f"{line}\n" for line in lines).encode())
