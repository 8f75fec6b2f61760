"""Getting one commit of a git source into a bare repository, with as little as the remote lets us fetch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from factory_cdk.bundle import without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import OnPercent
from factory_cdk.pack.paths import native
from factory_cdk.pack.sources.git import Git, address
from factory_cdk.plan.model import GitSource

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A full commit id of git, in SHA-1 or SHA-256."""

_TRANSFER = ("depth", "shallow-since", "single-branch", "no-single-branch", "no-tags", "origin")
"""The plan's clone options that change what is fetched, and so go to git. The others (bare, quiet, verbose,
progress, no-checkout: the clone is bare and silent as it is; jobs, recurse-submodules, shallow-submodules:
submodules are fetched here, see `submodules`; filter: every file is needed) have their meaning kept."""


def commit_at_remote(git: Git, source: GitSource, *, cwd: Path) -> str:
    """The commit that a source's branch or tag (or the remote's default branch) names now, by `git ls-remote`."""
    if source.branch and COMMIT.fullmatch(source.branch):
        return source.branch
    ref = native(source.branch) if source.branch else None
    names = [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"] if ref else ["HEAD"]
    said = git.say(["ls-remote", "--quiet", "--", address(source.url), *names], cwd=cwd)
    if said.code:
        raise git.failure(said, "asking", source.url)
    lines = (line.partition("\t") for line in said.stdout.decode("utf-8", "replace").splitlines())
    found = {name: commit for commit, _, name in lines}
    commit = next((found[name] for name in names if name in found), None)
    if commit is None or not COMMIT.fullmatch(commit):
        shown = without_credentials(source.url)
        what = f"no branch or tag {ref!r}" if ref else "no default branch (it may be empty)"
        raise FactoryError(f"{shown} has {what}", f"see `git ls-remote {shown}` for its branches and tags")
    return commit


def clone_branch(git: Git, source: GitSource, into: Path, on_percent: OnPercent | None = None) -> str:
    """Clone a source's branch or tag, shallow unless the plan says otherwise, to the bare repository `into`.

    Returns the commit.
    """
    branch = [f"--branch={native(source.branch)}"] if source.branch else []
    said = git.say(
        ["clone", "--bare", "--progress", "--template=", "--no-local", *_options(source), *branch,
         "--", address(source.url), str(into)],
        cwd=into.parent, on_percent=on_percent,
    )  # fmt: skip
    if said.code:
        raise git.failure(said, "cloning", source.url)
    return _only_line(git, ["rev-parse", "--verify", "--end-of-options", "HEAD^{commit}"], into, source.url)


def fetch_commit(git: Git, url: str, commit: str, into: Path, on_percent: OnPercent | None = None) -> None:
    """Fetch exactly `commit` to the bare repository `into`, made where it is not there yet.

    One commit where the remote hands it out by its id, else the history of every branch and tag.
    """
    if not into.exists():
        made = git.say(["init", "--quiet", "--bare", "--template=", "--", str(into)], cwd=into.parent)
        if made.code:
            raise git.failure(made, "making a repository for", url)
    if _has(git, commit, into):
        return
    fetch = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head"]
    by_id = git.say([*fetch, "--depth=1", "--", address(url), commit], cwd=into, on_percent=on_percent)
    if _has(git, commit, into):
        return
    every = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    whole = ["--unshallow"] if (into / "shallow").exists() else []
    said = git.say([*fetch, *whole, "--update-head-ok", "--", address(url), *every], cwd=into, on_percent=on_percent)
    if _has(git, commit, into):
        return
    if said.code:
        raise git.failure(said, "fetching", url)
    raise FactoryError(
        f"{without_credentials(url)} no longer has commit {commit}"
        + (f"; git says:\n    {by_id.stderr.splitlines()[-1]}" if by_id.stderr else ""),
        "the branch may have been rewritten: `factory-cdk lock --upgrade` takes its present commit",
    )


def _options(source: GitSource) -> list[str]:
    """The plan's options as arguments, `--depth=1 --single-branch` where the plan says nothing of them."""
    said = {name: value for name, value in source.options.items() if name in _TRANSFER and value is not False}
    options = [f"--{name}" if value is True else f"--{name}={value}" for name, value in said.items()]
    if not {"depth", "shallow-since"} & set(said):
        options.append("--depth=1")
    if not {"single-branch", "no-single-branch"} & set(said):
        options.append("--single-branch")
    return options


def _has(git: Git, commit: str, repository: Path) -> bool:
    return git.say(["cat-file", "-e", f"{commit}^{{tree}}"], cwd=repository).code == 0


def _only_line(git: Git, arguments: Sequence[str], repository: Path, url: str) -> str:
    said = git.say(arguments, cwd=repository)
    if said.code:
        raise git.failure(said, "reading", url)
    return said.stdout.decode().strip()
