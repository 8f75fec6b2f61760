"""Submodules: fetched only where the plan says `recurse-submodules`, at the commit that the tree names.

Git's own submodule commands are not used: the urls stand in a file of the repository, so they go through the
same check as a plan's, and a repository that came over a network cannot name a folder of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from factory_cdk.bundle import without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.sources.clone import COMMIT
from factory_cdk.pack.sources.git import Git, address

_KEY = re.compile(r"submodule\.(.*)\.(path|url)", re.DOTALL)

_PLACE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*/?|[^/:]+:/?|[^/@]+@[^/]+/|/")
"""What of a url is no path: scheme and host, `host:`, `user@host/`, or the root."""


def module_urls(git: Git, repository: Path, commit: str, parent_url: str) -> Mapping[str, str]:
    """The submodules that a commit's .gitmodules declares: path → url, relative ones made absolute.

    FactoryError, naming the submodule, for a url that is an option, runs a program or turns to this machine.
    """
    said = git.say(["config", "--blob", f"{commit}:.gitmodules", "--list", "-z"], cwd=repository)
    declared: dict[str, dict[str, str]] = {}
    for entry in said.stdout.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        if found := _KEY.fullmatch(key):
            declared.setdefault(found[1], {})[found[2]] = value
    return {
        module["path"]: safe_url(module["url"], parent_url, module["path"])
        for module in declared.values()
        if "path" in module and "url" in module
    }


def url_of(urls: Mapping[str, str], path: str, commit: str, shown: str) -> str:
    """The url of the submodule at `path`, whose commit the tree gives."""
    if path not in urls or not COMMIT.fullmatch(commit):
        raise FactoryError(
            f"{shown}: .gitmodules has no url for the submodule {path!r}", "correct .gitmodules in the repository"
        )
    return urls[path]


def safe_url(url: str, parent_url: str, path: str) -> str:
    """The absolute url of the submodule at `path`; FactoryError where git should not be given it."""
    whole = joined(parent_url, url) if url.startswith(("./", "../")) else url
    try:
        local = address(whole).startswith("file:")
    except FactoryError as error:
        raise FactoryError(f"submodule {path!r}: {error.message}", "correct .gitmodules in the repository") from error
    if local and not address(parent_url).startswith("file:"):
        raise FactoryError(
            f"submodule {path!r}: a remote repository names {without_credentials(whole)!r}, which is on this machine",
            "correct .gitmodules in the repository",
        )
    return whole


def joined(parent_url: str, relative: str) -> str:
    """A submodule's relative url made absolute, the way `git submodule` does; it stays on its host."""
    found = _PLACE.match(parent_url)
    place = found[0] if found else ""
    parts = [part for part in parent_url[len(place) :].split("/") if part]
    for part in relative.split("/"):
        if part == "..":
            if not parts:
                raise FactoryError(
                    f"the submodule url {relative!r} leaves its host", "correct .gitmodules in the repository"
                )
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if not parts:
        raise FactoryError(f"the submodule url {relative!r} leaves its host", "correct .gitmodules in the repository")
    return place + "/".join(parts)
