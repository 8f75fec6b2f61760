"""The commits between two of a bot's repository, where its objects are on this machine; nothing is fetched."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from factory_cdk.bundle import without_credentials
from factory_cdk.pack.command import Output
from factory_cdk.pack.sources.git import Git, git_with
from factory_cdk.review.model import Commit

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

MOST_COMMITS = 20
"""Commits that a report names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Commits:
    """The commits between two: how many, the newest of them first, and whether the change goes back in history."""

    count: int
    newest: tuple[Commit, ...]
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """Where commits are looked up: `git` (None: nowhere), and the repositories here by the urls that they are of."""

    git: Git | None = None
    repositories: Mapping[str, Path] = field(default_factory=dict)

    def between(self, url: str, before: str, after: str) -> Commits | None:
        """The commits of the repository at `url` from `before` to `after`; None where they are not here."""
        repository = self.repositories.get(plain(url)) or _local(url)
        if self.git is None or repository is None or not repository.is_dir():
            return None
        if not (_COMMIT.fullmatch(before) and _COMMIT.fullmatch(after)):
            return None  # a cloud assembly may say anything: nothing of it becomes an option of git
        for old, new, backwards in ((before, after, False), (after, before, True)):
            count = self._say(repository, "rev-list", "--count", f"{old}..{new}", "--")
            if count.code:
                return None
            number = int(count.stdout)
            if number:
                return Commits(number, tuple(self._titles(repository, old, new)), backwards)
        return Commits(0, ())

    def _titles(self, repository: Path, old: str, new: str) -> Iterator[Commit]:
        said = self._say(
            repository, "log", "-z", f"--max-count={MOST_COMMITS}", "--format=%H%n%an%n%s", f"{old}..{new}", "--"
        )
        for one in said.stdout.decode("utf-8", "replace").split("\0"):
            if one.count("\n") >= 2:
                identity, author, title = one.split("\n", 2)
                yield Commit(identity, title.strip(), author)

    def _say(self, repository: Path, *arguments: str) -> Output:
        assert self.git is not None  # noqa: S101 - `between` asked
        return self.git.say(arguments, cwd=repository)


def history_of(git: Git, top: Path | None) -> History:
    """The history that `git` finds in the repository of the plan, whose top folder is `top`: for the urls that it has
    as remotes, and for urls that are folders of this machine.
    """
    if top is None:
        return History(git)
    said = git.say(["config", "--local", "--get-regexp", r"^remote\..*\.url$"], cwd=top)
    lines = said.stdout.decode("utf-8", "surrogateescape").splitlines()
    urls = [line.partition(" ")[2] for line in lines]
    return History(git, {plain(url): top for url in urls if url})


def plain(url: str) -> str:
    """`url` so that two ways to write the address of one repository are the same text."""
    shown = without_credentials(url).removesuffix("/").removesuffix(".git")
    scheme, separator, rest = shown.partition("://")
    if separator:
        return rest.removeprefix("git@").lower() if scheme in ("ssh", "https", "http", "git") else rest
    host, colon, path = shown.rpartition("@")[2].partition(":")
    return f"{host}/{path}".lower() if colon else shown


def _local(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(url) if os.path.isabs(url) else None  # noqa: PTH117 - it is a text


def history_here(file: str) -> History:
    """The history that can be looked up from the plan in `file`, which need not be in a repository."""
    git = git_with({**os.environ}, threading.Event()).here()
    folder = Path(file).absolute().parent
    said = git.in_work_tree().say(["rev-parse", "--show-toplevel"], cwd=folder)
    return history_of(git, Path(said.stdout.decode("utf-8", "surrogateescape").rstrip("\n")) if not said.code else None)
