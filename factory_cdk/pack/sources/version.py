"""The version that git gives a commit, from its tags, as setuptools-scm reads them."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.version import InvalidVersion, Version

from factory_cdk.pack.command import OnPercent
from factory_cdk.pack.sources.git import Git, address

_DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<distance>[0-9]+)-g(?P<commit>[0-9a-f]+)")
_TAG = re.compile(r"(?:.*?[-_/])?[vV]?(?P<version>[0-9].*)")


def version_of_folder(git: Git, folder: Path) -> str | None:
    """The version of the commit that is checked out in a work tree around `folder`, or None where there is none.

    Changes that are not committed do not count: they would give the same code another version every day.
    """
    return _version(git.in_work_tree(), folder, "HEAD")


def version_of_commit(
    git: Git, url: str, commit: str, workspace: Path, on_percent: OnPercent | None = None
) -> str | None:
    """The version of a commit of the repository at `url`, whose history and tags are fetched, without its files where
    the remote can leave them out. None where the commit is in no branch or the history cannot be had.
    """
    history = workspace / "history.git"
    clone = ["clone", "--bare", "--progress", "--template=", "--no-local", "--filter=tree:0"]
    said = git.say([*clone, "--", address(url), str(history)], cwd=workspace, on_percent=on_percent)
    return None if said.code else _version(git, history, commit)


def _version(git: Git, folder: Path, commit: str) -> str | None:
    said = git.say(["describe", "--tags", "--long", "--abbrev=9", "--match=*[0-9]*", commit], cwd=folder)
    if said.code == 0 and (found := _DESCRIBED.fullmatch(said.stdout.decode("utf-8", "replace").strip())):
        return version_of_tag(found["tag"], int(found["distance"]), found["commit"])
    count = git.say(["rev-list", "--count", commit, "--"], cwd=folder)
    short = git.say(["rev-parse", "--short=9", "--verify", "--quiet", f"{commit}^{{commit}}"], cwd=folder)
    if count.code or short.code:
        return None
    return f"0.1.dev{count.stdout.decode().strip()}+g{short.stdout.decode().strip()}"


def version_of_tag(tag: str, distance: int, commit: str) -> str | None:
    """The version of a commit `distance` commits after a tag: the tag's own, or a development version of the next one.

    None for a tag that names no version.
    """
    found = _TAG.fullmatch(tag)
    try:
        version = Version(found["version"].partition("+")[0]) if found else None
    except InvalidVersion:
        return None
    if version is None or distance == 0:
        return str(version) if version else None
    if version.is_prerelease or version.is_postrelease:
        kind, number = version.pre or ("post" if version.post is not None else "dev", version.post or version.dev or 0)
        mark = f".{kind}{number + 1}" if kind in ("post", "dev") else f"{kind}{number + 1}"
        following = f"{version.base_version}{mark}"
        return f"{following}{'' if kind == 'dev' else f'.dev{distance}'}+g{commit}"
    *first, last = version.release
    return f"{'.'.join(map(str, (*first, last + 1)))}.dev{distance}+g{commit}"
