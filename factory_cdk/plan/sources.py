"""Reads where a bot's code comes from; refuses what would make git or an installer do more than fetch it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from factory_cdk.plan.findings import ESCAPES, Findings, shortened
from factory_cdk.plan.model import GitSource, PathSource, PypiSource, Source
from factory_cdk.plan.schema.plan_schema import GIT_OPTIONS
from factory_cdk.plan.tokens import credential_in_url
from factory_cdk.plan.yaml.nodes import Path

KINDS = ("url", "path", "pypi")

GIT_SCHEMES = ("https", "http", "ssh", "git", "file", "git+ssh", "ssh+git")
"""The transports that git itself speaks; every other scheme would start a `git-remote-…` program."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

REFUSED_GIT_OPTIONS: Mapping[str, str] = {
    "upload-pack": "it names a program that git would run",
    "u": "it names a program that git would run",
    "config": "it can make git run programs",
    "c": "it can make git run programs",
    "template": "it can install hooks, which git would run",
    "separate-git-dir": "it writes outside the bundle",
    "reference": "it reads another repository of this machine",
    "reference-if-able": "it reads another repository of this machine",
    "shared": "the bundle would depend on another repository",
    "dissociate": "it only goes with `reference`",
    "local": "sources are fetched, never hard-linked",
    "no-hardlinks": "sources are fetched, never hard-linked",
    "mirror": "a bundle needs one tree, not every ref",
    "server-option": "it reaches the server's hooks",
    "bundle-uri": "it fetches from a second address",
    "sparse": "name the folder with `subdirectory`",
    "remote-submodules": "submodules stay at the commits that the repository names",
}
"""`git clone` options that a plan may not give, and why."""


def read_source(data: Mapping[str, Any], path: Path, folder: FilePath, findings: Findings) -> Source | None:
    """The source in the mapping `data` at `path`; None when it was refused. `folder` is the plan's."""
    kinds = [kind for kind in data if kind in KINDS]
    bot = path[-2]
    if len(kinds) != 1:
        if not kinds:
            message = f"the source of `{bot}` has no `url`, `path` or `pypi`"
            findings.missing(path, KINDS, "F210", message, "add exactly one of `url`, `path` and `pypi`")
        else:
            message = f"the source of `{bot}` has {' and '.join(f'`{kind}`' for kind in kinds)}: only one is allowed"
            findings.at_key((*path, kinds[1]), "F210", message, "keep one of them")
        return None
    kind = kinds[0]
    for key in data:
        if key in GIT_OPTIONS and kind != "url":
            findings.at_key((*path, key), "F210", f"`{key}` can be used with `url`, not with `{kind}`", "remove it")
    if "version" in data and kind != "pypi":
        hint = "use `branch` for a branch or tag" if kind == "url" else "remove it"
        findings.at_key((*path, "version"), "F210", f"`version` can be used with `pypi`, not with `{kind}`", hint)
    value = data[kind]
    if not isinstance(value, str) or not value:
        return None
    if kind == "path" and not value.isprintable():
        message = f"the path of `{bot}` contains a non-printable character"
        findings.at_value((*path, kind), "F216", message, _printable_path((*path, kind), findings))
        return None
    subdirectory = read_inner_path(data.get("subdirectory"), (*path, "subdirectory"), findings)
    if kind == "url":
        return _git(value, data, path, subdirectory, findings)
    if kind == "path":
        return PathSource(value, _absolute(value, folder), subdirectory)
    if subdirectory is not None:
        findings.at_key(
            (*path, "subdirectory"),
            "F210",
            "`subdirectory` can be used with `url` or `path`, not with `pypi`",
            "remove it",
        )
    return _pypi(value, data, path, findings)


def _printable_path(path: Path, findings: Findings) -> str:
    return f"{ESCAPES}, or `/`" if findings.is_quoted(path) else "write the exact path of the file or folder"


def _absolute(path: str, folder: FilePath) -> FilePath:
    # Not resolved: a link to the code is the user's own choice, and the folder need not exist yet.
    return FilePath(folder, path)


def read_inner_path(value: Any, path: Path, findings: Findings) -> str | None:
    """A relative path inside a source, or None when there is none or it leads out of the source (F216)."""
    if not isinstance(value, str) or not value:
        return None
    pure = PurePosixPath(value)
    if pure.is_absolute() or ".." in pure.parts or "\\" in value or re.match("[A-Za-z]:", value):
        message = f"the `{path[-1]}` of `{path[2]}` is outside the source: `{shortened(value)}`"
        findings.at_value(path, "F216", message, "write a relative path inside the source, with `/`")
        return None
    if not value.isprintable():
        message = f"the `{path[-1]}` of `{path[2]}` contains a non-printable character"
        findings.at_value(path, "F216", message, _printable_path(path, findings))
        return None
    return str(pure)


def _git(
    url: str, data: Mapping[str, Any], path: Path, subdirectory: str | None, findings: Findings
) -> GitSource | None:
    if refuse_secret(url, (*path, "url"), findings):
        return None
    reason = refused_url(url)
    if reason:
        hint = "write it as `https://host/repo.git`, `ssh://user@host/repo` or `git@host:repo`"
        if " " in url:
            hint += ", with each space as `%20`"
        findings.at_value((*path, "url"), "F211", f"the git URL of `{path[-2]}` {reason}", hint)
        return None
    branch = data.get("branch")
    if branch is not None and not isinstance(branch, str | bool):
        branch = findings.text_at((*path, "branch"))
    if isinstance(branch, str) and not _is_ref(branch):
        message = f"invalid branch or tag name `{shortened(branch)}`"
        findings.at_value((*path, "branch"), "F212", message, "write the name that `git branch` or `git tag` shows")
        return None
    options = {key: data[key] for key in data if key in GIT_OPTIONS and key != "branch"}
    for key, value in options.items():
        if isinstance(value, str) and (value.startswith("-") or not value.isprintable()):
            message = f"`{key}` is `{shortened(value)}`, which git could read as an option"
            findings.at_value((*path, key), "F212", message, "remove the dashes at the start")
    return GitSource(url, branch if isinstance(branch, str) else None, options, subdirectory)


def refused_url(url: str) -> str | None:
    """Why `url` may not be given to git, as the end of a sentence about it; None when it may."""
    if url.startswith("-"):
        return "starts with `-`, so git would read it as an option"
    if not url.isprintable() or " " in url:
        return "contains a space or a non-printable character"
    if re.match(r"[A-Za-z0-9+.-]+::", url):
        return f"uses the remote helper `{shortened(url.split('::', maxsplit=1)[0])}::`, which runs a program"
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    if scheme and scheme[1].lower() not in GIT_SCHEMES:
        return f"has the scheme `{shortened(scheme[1])}`, which is not allowed: git would run a program for it"
    if scheme:
        return _refused_authority(url)
    if re.match(r"([^/@]*@)?-", url):
        return "has a host that starts with `-`"
    if re.match(r"[^/]*:-", url):
        return "has a path that starts with `-`"
    return None


def refuse_secret(text: str, path: Path, findings: Findings) -> bool:
    """Add F218 when `text`, the value at `path`, is or contains a git URL with a password or token."""
    found = _URL.search(text)
    credential = credential_in_url(found[0] if found else text)
    if credential is not None:
        message = f"the git URL of `{path[2] if len(path) > 2 else path[-1]}` contains {credential}"
        hint = "remove it, and use a credential helper, an SSH key, or `insteadOf` in the git configuration"
        findings.at_value(path, "F218", message, hint)
    return credential is not None


def _refused_authority(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a valid URL"
    if (host or "").startswith("-") or (parts.username or "").startswith("-"):
        return "has a host or user that starts with `-`"
    if not host and parts.scheme != "file":
        return "has no host"
    return None


def _is_ref(name: str) -> bool:
    """Whether git takes `name` as a branch or tag (git-check-ref-format's rules that matter here)."""
    if name.startswith(("-", "/", ".")) or name.endswith(("/", ".", ".lock")) or ".." in name or "@{" in name:
        return False
    return name.isprintable() and not re.search(r"[ ~^:?*\[\\]|//", name)


def refuse_git_option(path: Path, name: str, findings: Findings) -> bool:
    """Add F212 when the unknown key `name` of a source is a `git clone` option that is refused on purpose."""
    bare = name.lstrip("-").replace("_", "-")
    if bare in REFUSED_GIT_OPTIONS:
        reason = REFUSED_GIT_OPTIONS[bare]
        allowed = ", ".join(f"`{option}`" for option in GIT_OPTIONS)
        message = f"the git clone option `{name}` is not allowed: {reason}"
        findings.at_key(path, "F212", message, f"allowed: {allowed}")
        return True
    if bare != name and bare in GIT_OPTIONS:
        findings.at_key(path, "F102", f"unknown key `{shortened(name)}` of `source`", f"did you mean `{bare}`?")
        return True
    return False


def _pypi(package: str, data: Mapping[str, Any], path: Path, findings: Findings) -> PypiSource | None:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - only plans with pypi pay
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    if refuse_secret(package, (*path, "pypi"), findings):
        return None
    try:
        requirement = Requirement(package)
    except InvalidRequirement:
        requirement = None
    if requirement is None or requirement.url or requirement.marker or requirement.specifier:
        hint = "write the name as on PyPI, with extras if needed: `tool[fast]`; the version goes under `version`"
        message = f"invalid package name `{shortened(package)}` of `{path[-2]}` (PEP 508)"
        findings.at_value((*path, "pypi"), "F213", message, hint)
        return None
    version = data.get("version")
    if version is None or isinstance(version, bool):
        return PypiSource(package)
    text = version if isinstance(version, str) else findings.text_at((*path, "version")) or str(version)
    try:
        Version(text)
    except InvalidVersion:
        try:
            SpecifierSet(text)
        except InvalidSpecifier:
            hint = "write one version, like `1.5.9`, or specifiers, like `>=1.5,<2`"
            message = f"invalid version `{shortened(text)}` of `{path[-2]}` (PEP 440)"
            findings.at_value((*path, "version"), "F214", message, hint)
            return None
    return PypiSource(package, text)


def is_target(text: str) -> bool:
    """Whether `text` is `module.path:attribute`, every part a Python name."""
    module, colon, attribute = text.partition(":")
    return bool(colon) and all(
        name.isidentifier() and not keyword.iskeyword(name) for part in (module, attribute) for name in part.split(".")
    )
