"""The Bundle: a bot's code, packed, as plain data that names it by its content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from factory_cdk.canonical_json import json_digest
from factory_cdk.plan.model import Bot, GitSource, PathSource, Source
from factory_cdk.plan.tokens import credential_in_url
from factory_cdk.wheels import BotWheels

_MISSED = re.compile(r"No module named '([^']+)'|No such file or directory: '([^']+)'|cannot import name '([^']+)'")
_AUTHORITY = re.compile(r"(?:.*@)?(?:\[[^\]]*\]|[^:@]*)(?::\d*)?")


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a bot's code decides how it is run. Paths are relative to the bundle's root, `/` between their parts,
    `""` is the root itself.

    `roots` are the folders that modules are imported from, that of the bot's own module first. `requirements_file` is
    what its requirements were read from (None: it has none), and `project` the folder of the project that is built and
    installed (None: the code is used as it is). `index_options` are the lines of its requirements files that say which
    indexes are asked, each with the folder of its file: a folder of wheels is relative to it. `subdirectory`,
    `projects` and `version` are what installing the project needs to know of its source (see `outside.SourceFacts`).
    """

    roots: tuple[str, ...] = ("",)
    requirements_file: str | None = None
    project: str | None = None
    index_options: tuple[tuple[str, str], ...] = ()
    subdirectory: str | None = None
    projects: tuple[str, ...] = ()
    version: str | None = None


def layout_as_json(layout: Layout) -> dict[str, Any]:
    """The plain mapping that `layout_from_json` reads, without what is None or empty."""
    said = asdict(layout)
    return {key: value for key, value in said.items() if value not in (None, ())}


def layout_from_json(said: Mapping[str, Any]) -> Layout:
    """The layout that `layout_as_json` wrote. KeyError, TypeError or ValueError for anything else."""
    return Layout(
        roots=tuple(said["roots"]),
        requirements_file=said.get("requirements_file"),
        project=said.get("project"),
        index_options=tuple((line, folder) for line, folder in said.get("index_options", ())),
        subdirectory=said.get("subdirectory"),
        projects=tuple(said.get("projects", ())),
        version=said.get("version"),
    )


@dataclass(frozen=True, slots=True)
class Bundle:
    """What `pack` made of one bot's source, or, for an unpacked bot, what stands in for it.

    `digest` is a SHA-256 in hex: of the packed files (paths, contents and run bits; not times, order, owner
    or umask), or of the source's own text where `packed` is False. `kind` and `origin` say where the code
    came from (`git`, `https://host/repo@<commit>`; never a credential); `commit` is git's, else None.
    `requirements` are the locked requirements, one line each, with hashes; `lock_digest` is their SHA-256.
    `size` is in bytes and `files` a count, both of the unpacked tree; `archive` is the zip in the cache, as an
    absolute path, or None where nothing is packed; `archive_sha256` is the SHA-256 of that file in hex. `layout` says
    how the code is run, so that nobody has to open the archive to find out. `left_out` are the first paths that ignore
    files kept out of it, a folder's with a `/` at its end. `wheels` are those for offline sectors, by their targets.
    """

    bot: str
    digest: str
    packed: bool
    kind: Literal["git", "path", "pypi"]
    origin: str
    commit: str | None = None
    requirements: tuple[str, ...] = ()
    lock_digest: str | None = None
    size: int = 0
    files: int = 0
    archive: str | None = None
    archive_sha256: str | None = None
    layout: Layout = field(default_factory=Layout)
    left_out: tuple[str, ...] = ()
    wheels: Mapping[str, BotWheels] = field(default_factory=dict, hash=False)


def missed(left_out: Iterable[str], message: str) -> str | None:
    """The path among `left_out` (see `Bundle`) that the `message` of a bot's error is about, or None.

    A FileNotFoundError names a path, a ModuleNotFoundError a module; a file in a folder that was left out is its.
    An error that came of another one names both.
    """
    paths = tuple(left_out)
    found = (_missed(paths, *named.groups()) for named in _MISSED.finditer(message) if paths)
    return next((path for path in found if path is not None), None)


def told_as_missed(bot: str, left_out: Iterable[str], message: str) -> str | None:
    """What to say of the `message` of an error of `bot` where it is about a path among `left_out`; None: nothing."""
    path = missed(left_out, message)
    return None if path is None else f"{path} is in the source of {bot}, but an ignore file leaves it out of the bundle"


def told_as_not_installed(bundle: Bundle, files: Iterable[str], message: str) -> str | None:
    """What to say of the `message` of an error where it is about one of the `files` of a bundle whose project is
    installed, but without that file; None: nothing.
    """
    paths = {*files} if bundle.layout.project is not None else set()
    for named in _MISSED.finditer(message) if paths else ():
        module, file, _ = named.groups()
        inside = file.rpartition("/site-packages/")[2] if file and "/site-packages/" in file else None
        stem = (module or "").replace(".", "/")
        wanted = [inside] if inside else [f"{stem}.py", f"{stem}/__init__.py"] if stem else []
        for path in (f"{root}/{one}" if root else one for root in bundle.layout.roots for one in wanted):
            if path in paths:
                return (
                    f"{path} is in the source of {bundle.bot}, but its project is installed without it: add it to the "
                    "packages, or the package data, of the project"
                )
    return None


def _missed(left_out: Iterable[str], module: str | None, file: str | None, name: str | None) -> str | None:
    wanted = file or (module or name or "").replace(".", "/")
    parts = [part for part in wanted.split("/") if part not in ("", ".", "..")]
    for path in left_out:
        own = path.rstrip("/").split("/")
        names = {tuple(own), (*own[:-1], own[-1].removesuffix(".py"))}
        if any(tuple(parts[at : at + len(one)]) == one for one in names for at in range(len(parts))):
            return path
        if not path.endswith("/") and any(one[-1:] == tuple(parts[-1:]) for one in names):
            return path
    return None


def unpacked(bot: Bot) -> Bundle:
    """What stands in for the bundle of a bot that is not packed: named by its source, nothing read or fetched."""
    return Bundle(
        bot=bot.name,
        digest=digest_of_source(bot.source),
        packed=False,
        kind=kind_of(bot.source),
        origin=origin_of(bot.source),
    )


def kind_of(source: Source) -> Literal["git", "path", "pypi"]:
    """The word by which bundles, locks and people name the kind of a source."""
    if isinstance(source, GitSource):
        return "git"
    return "path" if isinstance(source, PathSource) else "pypi"


def origin_of(source: Source, commit: str | None = None) -> str:
    """Where code came from, in one line for people, and never with a credential.

    `https://host/repo@develop` (or `@<commit>` where one is given), a path as the plan writes it, or
    `package==1.5.9`.
    """
    if isinstance(source, GitSource):
        ref = commit or source.branch
        return without_credentials(source.url) + (f"@{ref}" if ref else "") + _below(source.subdirectory)
    if isinstance(source, PathSource):
        return source.path + _below(source.subdirectory)
    version = source.version or ""
    return f"{source.package}=={version}" if version[:1].isdigit() else f"{source.package}{version}"


def described(source: Source) -> dict[str, Any]:
    """A source as the plain mapping that names it in digests and in plan.lock: what the plan says of it,
    without credentials, without what is None, and without how it is transferred (depth, quiet).
    """
    if isinstance(source, GitSource):
        said: dict[str, Any] = {
            "url": without_credentials(source.url),
            "ref": source.branch,
            "submodules": True if source.options.get("recurse-submodules") else None,
            "subdirectory": source.subdirectory,
        }
    elif isinstance(source, PathSource):
        said = {"path": source.path, "subdirectory": source.subdirectory}
    else:
        said = {"package": source.package, "version": source.version}
    return {"kind": kind_of(source), **{key: value for key, value in said.items() if value is not None}}


def digest_of_source(source: Source) -> str:
    """SHA-256, in hex, of the canonical JSON of what the plan says of `source` (see `described`)."""
    return json_digest(described(source))


def without_credentials(url: str) -> str:
    """`url` as it may be shown and stored: no password, no token, no query.

    The user of an ssh address stays (`git@host`: it says who is asked, and is no secret) unless it is a token; that of
    an http address goes, since hosts take a token in its place.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.rpartition("@")[2] if credential_in_url(url) is not None else url
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and not _AUTHORITY.fullmatch(authority):
        authority, rest = "", rest.rpartition("@")[2]  # a password with a slash: the host is behind the last @
    path = re.split(r"[?#]", rest[len(authority) :], maxsplit=1)[0]
    user_info, at, host = authority.rpartition("@")
    user = user_info.partition(":")[0]
    shown = at and scheme.lower() not in ("http", "https") and credential_in_url(f"{scheme}://{user}@host") is None
    user = f"{user}@" if shown else ""
    return f"{scheme}://{user}{host}{path}"


def _below(subdirectory: str | None) -> str:
    return f" (in {subdirectory})" if subdirectory else ""
