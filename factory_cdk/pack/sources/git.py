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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from factory_cdk.bundle import without_credentials
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.command import MOST_OUTPUT, OnPercent, Output, run
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
)
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
        config = [part for setting in _HARDENED for part in ("-c", setting)]
        return run(
            ["git", *config, *arguments],
            cwd=cwd, env=self.env, stop=self.stop, stdin=stdin, on_percent=on_percent, most=most, into=into,
        )  # fmt: skip


def git_with(env: Mapping[str, str], stop: threading.Event) -> Git:
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
    return Git({**kept, **safe, "PATH": env.get("PATH", os.defpath)}, stop)


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


def failure(output: Output, doing: str, url: str) -> FactoryError:
    """Git's own words as a FactoryError with what to do about them."""
    lines = [line for line in output.stderr.splitlines() if not line.startswith("Cloning into ")]
    words = "\n".join(lines).strip() or f"git ended with exit code {output.code} and said nothing"
    shown = without_credentials(url)
    return FactoryError(f"{doing} {shown} failed; git says:\n{_indented(words)}", _remedy(words, shown))


def _indented(words: str) -> str:
    return "\n".join(f"    {line}" for line in words.splitlines()[-12:])


_REMEDIES = (
    (r"host key verification failed", "connect once by hand (`ssh {host}`) so that ssh knows the host's key"),
    (r"permission denied|publickey", "add your key to the ssh agent (`ssh-add -l` lists them) and to the host"),
    (
        r"could not read (username|password)|authentication failed|terminal prompts disabled|403|401",
        "git has no credentials for it: set up a credential helper, or use the ssh address",
    ),
    (r"could not resolve host|name or service not known|temporary failure in name", "check the host and the network"),
    (r"timed out|connection refused|unable to connect|network is unreachable", "see whether the host can be reached"),
    (r"remote branch .* not found|couldn't find remote ref", "see `git ls-remote {url}` for its branches and tags"),
    (r"dubious ownership", "let git read it: `git config --global --add safe.directory PATH`"),
    (r"not found|does not appear to be a git repository|does not exist", "check the url, and that you may read it"),
    (r"no space left", "free some space on the disk of the cache"),
    (r"certificate|ssl|tls", "let git trust the host's certificate (http.sslCAInfo)"),
)


def _remedy(words: str, shown: str) -> str:
    host = re.sub(r"^[a-z+]+://|[:/].*$", "", shown.partition("@")[2] or shown)
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, words, re.IGNORECASE):
            return remedy.format(host=host, url=shown)
    return f"try `git ls-remote {shown}` by hand"
