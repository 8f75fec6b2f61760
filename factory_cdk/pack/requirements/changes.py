"""What differs between two sets of locked requirements, package by package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:==\s*([^\s;]+)|@\s*(\S+))?")


@dataclass(frozen=True, slots=True)
class Dependency:
    """A package among a bot's locked requirements; `change` is up, down, added, removed or changed (another hash or
    source of the same version). Versions are None where it is not there.
    """

    name: str
    change: str
    before: str | None = None
    after: str | None = None


def dependency_changes(before: Sequence[str], after: Sequence[str]) -> Iterator[Dependency]:
    """The packages of the locked lines `before` and `after` that differ, by their names."""
    olds, news = _by_name(before), _by_name(after)
    for name in sorted({*olds, *news}):
        was, now = olds.get(name), news.get(name)
        if was != now:
            yield Dependency(name, _direction(was, now), _shown(was), _shown(now))


def _by_name(lines: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """The versions (or addresses) of each package, each with its whole line: an environment marker may choose."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        said = _NAME.match(line)
        if said is not None:
            version = said[2] or (f"@ {_without_query(said[3])}" if said[3] else "")
            found.setdefault(canonicalize_name(said[1]), []).append((version, line))
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _without_query(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _shown(versions: Sequence[tuple[str, str]] | None) -> str | None:
    return ", ".join(dict.fromkeys(version for version, _ in versions)) if versions else None


def _direction(was: Sequence[tuple[str, str]] | None, now: Sequence[tuple[str, str]] | None) -> str:
    if was is None or now is None:
        return "added" if was is None else "removed"
    try:
        old, new = (max(Version(version) for version, _ in side) for side in (was, now))
    except InvalidVersion:
        return "changed"
    return "changed" if old == new else "up" if new > old else "down"
