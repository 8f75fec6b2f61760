"""The system's git, asked so that the user's credentials work and a hostile repository cannot do a thing.

Nothing is ever checked out: trees are read from a bare repository's objects, so there is no work tree that a
link could lead out of, no filter or attribute that could run or change anything, no difference between
machines in line ends, and no file name that a file system folds. Hooks and templates are off.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from factory_cdk.bundle import without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import MOST_OUTPUT, OnPercent, Output, run
from factory_cdk.pack.failures import git_failure
from factory_cdk.pack.paths import native

_HARDENED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.showForcedUpdates=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "log.showSignature=false",
)
_TREES_ALONE = "safe.bareRepository=explicit"
"""A folder of a work tree that looks like a bare repository is none: its config would be that of whoever wrote it."""

_ABOUT_ANOTHER_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE", "GIT_EXTERNAL_DIFF", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE",
)  # fmt: skip
_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_WITHOUT_COLON = re.compile(r"([A-Za-z0-9_.][A-Za-z0-9_.+-]*)@([A-Za-z0-9][A-Za-z0-9.-]*)/(.+)")
_WITH_COLON = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_.+-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:).+")


@dataclass(frozen=True, slots=True)
class Git:
    """How git is run: the environment it gets (the user's, made safe) and what stops it."""

    env: Mapping[str, str]
    stop: threading.Event
    logs: Path | None = None
    """The folder for all that it prints when it fails, see `failures`."""
    settings: tuple[str, ...] = _HARDENED
    """The configuration that is laid over the user's and the repository's."""

    def here(self) -> Git:
        """The same git, which fetches nothing, not even what a partial clone lacks."""
        return replace(self, env={**self.env, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"})

    def in_work_tree(self) -> Git:
        """The same git for folders of a work tree, whose files anybody may have written: it fetches nothing, and only
        `.git` is a repository there.
        """
        return replace(self.here(), settings=(*self.settings, _TREES_ALONE))

    def failure(self, output: Output, doing: str, url: str) -> FactoryError:
        """The FactoryError for what git printed when `doing` something with `url` failed."""
        return git_failure(output, doing, url, self.logs)

    def say(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        stdin: bytes = b"",
        on_percent: OnPercent | None = None,
        most: int = MOST_OUTPUT,
        into: IO[bytes] | None = None,
    ) -> Output:
        """Run `git …` in `cwd` and return what it said, whatever its exit code; see `command.run`."""
        config = [part for setting in self.settings for part in ("-c", setting)]
        return run(
            ["git", *config, *arguments],
            cwd=cwd, env=self.env, stop=self.stop, stdin=stdin, on_percent=on_percent, most=most, into=into,
        )  # fmt: skip


def git_with(env: Mapping[str, str], stop: threading.Event, logs: Path | None = None) -> Git:
    """Git under the user's environment `env`: it never prompts, speaks English, and only over known protocols.

    Credential helpers, ssh agents, keys and `url.….insteadOf` of the user's configuration stay in force.
    """
    kept = {name: value for name, value in env.items() if name not in _ABOUT_ANOTHER_REPOSITORY}
    safe = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES),
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        "LANGUAGE": "C",
    }
    return Git({**kept, **safe, "PATH": env.get("PATH", os.defpath)}, stop, logs)


def address(url: str) -> str:
    """The address that git is given for a url of a plan or of a .gitmodules file.

    `git@host/repo`, as the reference writes it, means `ssh://git@host/repo`. FactoryError for what is an
    option, runs a program (`ext::…`) or speaks an unknown protocol; absolute paths become file:// urls.
    """
    shown = without_credentials(url)
    scheme = _SCHEME.match(url)
    if any(sign < " " or sign == "\x7f" for sign in url):
        raise FactoryError(f"the git url {shown!r} contains a control character", "correct it")
    if scheme is not None:
        if scheme[1].lower() in _SCHEMES and not url[scheme.end() :].startswith("-"):
            return native(url)
    elif url.startswith("/"):
        return f"file://{native(url)}"
    elif found := _WITHOUT_COLON.fullmatch(url):
        return native(f"ssh://{found[1]}@{found[2]}/{found[3]}")
    elif _WITH_COLON.fullmatch(url):
        return native(url)
    raise FactoryError(
        f"the git url {shown!r} is not supported",
        f"write {', '.join(f'{name}://' for name in _SCHEMES)} or user@host:path",
    )
