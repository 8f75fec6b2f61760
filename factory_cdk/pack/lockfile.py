"""plan.lock: which commit, versions, regions and stacks a plan means, so that every machine means the same.

The file is sorted JSON beside the plan, made to be committed and reviewed: one requirement a line, no
credential, no address of an index but those that a bot's own requirements file names, no path of a machine, no time.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from factory_cdk.atomic import replace_file
from factory_cdk.bundle import Layout, layout_as_json, layout_from_json
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.paths import checked
from factory_cdk.pack.requirements.locking import is_locked
from factory_cdk.pack.requirements.outside import AROUND
from factory_cdk.plan.model import Bot, Plan
from factory_cdk.wheels import BotWheels, wheels_as_json, wheels_from_json

NAME = "plan.lock"
FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
"""A larger plan.lock is refused: a thousand requirements with all their hashes take about 2 MB."""

MAX_GENERATION = 9999
"""Instances that a sector has had, one after another."""

_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_TARGET = re.compile(r"[a-z0-9_]{1,20}-3\.[0-9]{1,2}")
_PYTHON = re.compile(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!]{0,99}")
_PROJECT = re.compile(r"(?!/)(?!(?:[^;]*/)?\.\.(?:/|\s|$))[^\x00-\x1f\x7f\\]+")
_PINNED_BY: Mapping[str, tuple[str, ...]] = {
    "git": ("commit", "digest", "archive_sha256"),
    "pypi": ("requirements", "digest", "archive_sha256"),
    "path": (),
}
"""What the entry of a bot must hold, by the kind of its source: without it, something else could be packed."""
_NO_LONGER_WRITTEN = frozenset({"images"})
"""Keys that an earlier factory-cdk wrote; they are read over."""

_MEND = "restore the last version from version control, or delete it and run `factory-cdk lock`"


@dataclass(frozen=True, slots=True)
class LockedBot:
    """What plan.lock holds of one bot.

    `source` is what the plan said of it (see `bundle.described`), `module` that of its bot_path.
    `requirements` are the locked lines, `manifest` the digest of the file they were made from (None: there is
    none), `python` the lowest version that they hold for. `commit` is git's. `digest`, `archive_sha256`,
    `size`, `files` and `layout` are those of the bundle, and None for a path source: its files are in the checkout,
    and change. A lock of an earlier factory-cdk holds no layout. `projects` are local ones that the requirements name
    (see `outside.SourceFacts`), `version` is what git says that the project's is. `wheels` are those for offline
    sectors, by their targets; of a path source those of its requirements alone.
    """

    source: Mapping[str, Any]
    requirements: tuple[str, ...] = ()
    manifest: str | None = None
    python: str | None = None
    requirements_path: str | None = None
    module: str | None = None
    commit: str | None = None
    digest: str | None = None
    archive_sha256: str | None = None
    size: int | None = None
    files: int | None = None
    projects: tuple[str, ...] = ()
    version: str | None = None
    layout: Layout | None = None
    wheels: Mapping[str, BotWheels] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a plan.lock.

    `home_regions` maps a stage to the region of its queues, `default_region` is that of sectors which name none,
    `stacks` maps a stage to its sectors' stacks, and `queue_stacks` to those of its queues by the plan's names.
    `generations` maps a stage to those of its sectors whose instance had to be made again, from 2.
    """

    factory: str
    bots: Mapping[str, LockedBot] = field(default_factory=dict)
    home_regions: Mapping[str, str] = field(default_factory=dict)
    default_region: str | None = None
    stacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    queue_stacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    generations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def lock_path(plan: Plan) -> Path:
    """Where the lock of a plan lies: `plan.lock` in the folder of the plan's file."""
    return plan.folder / NAME


def module_of(bot: Bot) -> str | None:
    """The module of a bot's bot_path, or None for a command."""
    return bot.bot_path.partition(":")[0] if bot.bot_path else None


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, or None where there is none. FactoryError for one that cannot be read or understood."""
    try:
        if path.exists() and not path.is_file():
            raise FactoryError(f"{path} is not a file", "remove it and run `factory-cdk lock`")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise FactoryError(f"{path} is larger than {MAX_BYTES:,} bytes", _MEND)
        text = data.decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FactoryError(f"{path} cannot be read: {error}", _MEND) from error
    if any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()):
        raise FactoryError(f"{path} contains an unresolved merge conflict", "resolve it, then run `factory-cdk lock`")
    try:
        said = json.loads(text, object_pairs_hook=_each_once)
    except _Twice as error:
        raise FactoryError(f"{path} has a duplicate key {error}", _MEND) from error
    except (ValueError, RecursionError) as error:
        raise FactoryError(f"{path} is not valid JSON: {error}", _MEND) from error
    if not isinstance(said, dict) or type(said.get("format")) is not int or said["format"] < 1:
        raise FactoryError(f"{path} is not a plan.lock file", _MEND)
    if said["format"] > FORMAT:
        raise FactoryError(f"{path} was written by a newer factory-cdk", "upgrade factory-cdk")
    try:
        return _read(said)
    except ValueError as error:
        raise FactoryError(f"{path} is not a valid plan.lock: {error}", _MEND) from error


def write_lock(path: Path, lock: Lock) -> bool:
    """Write `lock` to `path`, whole or not at all; returns whether that changed the file."""
    text = text_of(lock)
    try:
        if path.is_file() and path.read_text("utf-8") == text:
            return False
        replace_file(path, text.encode())
    except OSError as error:
        raise FactoryError(f"{path} cannot be written: {error.strerror}", "see who may write there") from error
    return True


def text_of(lock: Lock) -> str:
    """The content of a plan.lock: sorted JSON without what is None or empty."""
    said = {"format": FORMAT, **_plain(lock), "bots": {name: _plain(bot) for name, bot in lock.bots.items()}}
    return json.dumps(said, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _plain(record: Lock | LockedBot) -> dict[str, Any]:
    said = {part.name: getattr(record, part.name) for part in fields(record)}
    if isinstance(record, LockedBot) and record.layout is not None:
        own = replace(record.layout, projects=(), version=None)  # they are in the entry itself
        said["layout"] = layout_as_json(own)
    if isinstance(record, LockedBot):
        said["wheels"] = {target: wheels_as_json(wheels) for target, wheels in record.wheels.items()}
    return {name: value for name, value in said.items() if value not in (None, (), {})}


class _Twice(Exception):
    """A duplicate key: its meaning would depend on which program reads the file."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, value in pairs:
        if key in said:
            raise _Twice(repr(key))
        said[key] = value
    return said


def _read(said: Mapping[str, Any]) -> Lock:
    """The lock that `said` is; ValueError, naming the place, for what no factory-cdk has written."""
    _known(said, {"format", *_NO_LONGER_WRITTEN, *(part.name for part in fields(Lock))}, "plan.lock")
    return Lock(
        factory=_text(said.get("factory"), "factory"),
        bots={name: _read_bot(name, bot) for name, bot in _mapping(said.get("bots", {}), "bots").items()},
        home_regions=_each(said.get("home_regions", {}), "home_regions", _REGION),
        default_region=_text(said["default_region"], "default_region", _REGION) if "default_region" in said else None,
        stacks=_stacks(said, "stacks"),
        queue_stacks=_stacks(said, "queue_stacks"),
        generations={
            stage: _generations(sectors, f"generations of {stage!r}")
            for stage, sectors in _mapping(said.get("generations", {}), "generations").items()
        },
    )


def _generations(value: Any, where: str) -> dict[str, int]:
    sectors = _mapping(value, where)
    for name, number in sectors.items():
        if type(number) is not int or not 1 <= number <= MAX_GENERATION:
            raise ValueError(f"{where}, {name!r} is not a whole number from 1 to {MAX_GENERATION}")
    return sectors


def _stacks(said: Mapping[str, Any], key: str) -> dict[str, dict[str, str]]:
    """The stacks of sectors, or of queues, by stage."""
    stages = _mapping(said.get(key, {}), key)
    return {stage: _each(stacks, f"{key} of {stage!r}", _STACK) for stage, stacks in stages.items()}


def _read_bot(name: str, said: Any) -> LockedBot:
    facts = dict(_mapping(said, f"bot {name!r}"))
    _known(facts, {part.name for part in fields(LockedBot)}, f"bot {name!r}")
    facts["source"] = source = _mapping(facts.get("source"), f"source of {name!r}")
    kind = source.get("kind")
    if not isinstance(kind, str) or kind not in _PINNED_BY:
        raise ValueError(f"the source of {name!r} has an unknown kind")
    for part in _PINNED_BY[kind]:
        if not facts.get(part):
            raise ValueError(f"{name!r} has a {kind} source but no {part}")
    lines = facts.get("requirements", [])
    if not isinstance(lines, list):
        raise ValueError(f"requirements of {name!r} is not a list")
    facts["requirements"] = tuple(_line(line, name) for line in lines)
    projects = facts.get("projects", [])
    if not isinstance(projects, list):
        raise ValueError(f"projects of {name!r} is not a list")
    facts["projects"] = tuple(_text(project, f"a project of {name!r}", _PROJECT) for project in projects)
    patterns = {
        "version": _VERSION,
        "digest": _HEX,
        "archive_sha256": _HEX,
        "manifest": _HEX,
        "commit": _HEX,
        "python": _PYTHON,
    }
    for part in (*patterns, "requirements_path", "module"):
        if part in facts:
            _text(facts[part], f"{part} of {name!r}", patterns.get(part))
    for part in ("size", "files"):
        if part in facts and (type(facts[part]) is not int or facts[part] < 0):
            raise ValueError(f"{part} of {name!r} is not a whole number of at least 0")
    if "layout" in facts:
        layout = _layout(facts["layout"], name)
        facts["layout"] = replace(layout, projects=facts["projects"], version=facts.get("version"))
    if "wheels" in facts:
        targets = _mapping(facts["wheels"], f"wheels of {name!r}")
        facts["wheels"] = {
            _text(target, f"a target of {name!r}", _TARGET): wheels_from_json(wheels)
            for target, wheels in targets.items()
        }
    return LockedBot(**facts)


def _layout(value: Any, bot: str) -> Layout:
    """The layout of a bundle, whose paths stay inside of it."""
    said = _mapping(value, where := f"layout of {bot!r}")
    _known(said, {part.name for part in fields(Layout)} - {"projects", "version"}, where)
    roots, options = said.get("roots"), said.get("index_options", [])
    pairs = isinstance(options, list) and all(isinstance(option, list) and len(option) == 2 for option in options)
    if not isinstance(roots, list) or not roots or not pairs:
        raise ValueError(f"the {where} is not complete")
    folders = (said.get("project"), said.get("subdirectory"), *(folder for _, folder in options))
    for path in (*roots, said.get("requirements_file"), *folders):
        if path is not None and not _is_inside(path):
            raise ValueError(f"the {where} names {str(path)[:80]!r}, which is not a path inside the bundle")
    for line, _ in options:
        if not isinstance(line, str) or not line.startswith("-") or not line.isprintable():
            raise ValueError(f"the {where} holds {str(line)[:80]!r}, which is not an option of an index")
    return layout_from_json(said)


def _is_inside(path: Any) -> bool:
    if not isinstance(path, str):
        return False
    inner = posixpath.normpath(path.removeprefix(f"{AROUND}/"))  # what is around a subdirectory is in our folder
    try:
        return inner in (".", AROUND) or checked(inner, NAME) == inner
    except FactoryError:
        return False


def _line(value: Any, bot: str) -> str:
    """A locked requirement: one line that names what it means by a hash or a commit, and nothing else."""
    line = _text(value, f"a requirement of {bot!r}")
    if not line[:1].isalnum() or not line.isprintable() or not is_locked(line):
        raise ValueError(
            f"the requirement {line[:80]!r} of {bot!r} has neither a hash nor a commit, or is more than one requirement"
        )
    return line


def _known(said: Mapping[str, Any], names: Set[str], where: str) -> None:
    for name in said.keys() - names:
        raise ValueError(f"{where} has an unknown key {name[:80]!r}")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not a mapping")
    return value


def _each(value: Any, where: str, pattern: re.Pattern[str] | None) -> dict[str, str]:
    return {name: _text(text, f"{where}, {name!r}", pattern) for name, text in _mapping(value, where).items()}


def _text(value: Any, where: str, pattern: re.Pattern[str] | None = None) -> str:
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        raise ValueError(f"{where} is {str(value)[:80]!r}, which is not valid there")
    return value
