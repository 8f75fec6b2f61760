"""plan.lock: which commit, versions, images, regions and stacks a plan means, so that every machine means the same.

The file is sorted JSON beside the plan, made to be committed and reviewed: one requirement a line, no
credential, no address of an index, no path of a machine, no time.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.model import Bot, Plan

NAME = "plan.lock"
FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
"""A larger plan.lock is refused: a thousand requirements with all their hashes take about 2 MB."""

_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
_LINE = re.compile(r"[A-Za-z0-9][^\r\n]*")
_MEND = "take the last good one from version control, or delete it and run `factory-cdk lock`"


@dataclass(frozen=True, slots=True)
class LockedBot:
    """What plan.lock holds of one bot.

    `source` is what the plan said of it (see `bundle.described`), `module` that of its bot_path.
    `requirements` are the locked lines, `manifest` the digest of the file they were made from (None: there is
    none), `python` the lowest version that they hold for. `commit` is git's. `digest`, `archive_sha256`,
    `size` and `files` are those of the bundle, and None for a path source: its files are in the checkout, and
    change.
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


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a plan.lock.

    `images` maps what a plan writes for an image to the id that it was resolved to. `home_regions` maps a
    stage to the region of its queues, `default_region` is that of sectors which name none, and `stacks` maps
    a stage to its sectors' stacks.
    """

    factory: str
    bots: Mapping[str, LockedBot] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    home_regions: Mapping[str, str] = field(default_factory=dict)
    default_region: str | None = None
    stacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


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
            raise FactoryError(f"{path} is no file", "remove it and run `factory-cdk lock`")
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
        raise FactoryError(f"{path} holds an unfinished merge", "take one side, then run `factory-cdk lock`")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FactoryError(f"{path} is no JSON: {error}", _MEND) from error
    if not isinstance(said, dict) or type(said.get("format")) is not int or said["format"] < 1:
        raise FactoryError(f"{path} is no plan.lock", _MEND)
    if said["format"] > FORMAT:
        raise FactoryError(f"{path} was written by a newer factory-cdk", "upgrade factory-cdk")
    try:
        return _read(said)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise FactoryError(f"{path} is no sound plan.lock: {error}", _MEND) from error


def write_lock(path: Path, lock: Lock) -> bool:
    """Write `lock` to `path`, whole or not at all; returns whether that changed the file."""
    text = text_of(lock)
    try:
        if path.is_file() and path.read_text("utf-8") == text:
            return False
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FactoryError(f"{path} cannot be written: {error.strerror}", "see who may write there") from error
    return True


def text_of(lock: Lock) -> str:
    """The content of a plan.lock: sorted JSON without what is None or empty."""
    said = {"format": FORMAT, **_plain(lock), "bots": {name: _plain(bot) for name, bot in lock.bots.items()}}
    return json.dumps(said, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _plain(record: Lock | LockedBot) -> dict[str, Any]:
    said = {part.name: getattr(record, part.name) for part in fields(record)}
    return {name: value for name, value in said.items() if value not in (None, (), {})}


def _read(said: Mapping[str, Any]) -> Lock:
    bots = {}
    for name, bot in said.get("bots", {}).items():
        facts = {part.name: bot[part.name] for part in fields(LockedBot) if part.name in bot}
        facts["requirements"] = tuple(_matching(line, _LINE) for line in facts.get("requirements", ()))
        for part in ("digest", "archive_sha256", "manifest", "commit"):
            if part in facts:
                _matching(facts[part], _HEX)
        if "python" in facts:
            _matching(facts["python"], _PYTHON)
        for part in ("requirements_path", "module"):
            if part in facts:
                _text(facts[part])
        for part in ("size", "files"):
            if part in facts and (type(facts[part]) is not int or facts[part] < 0):
                raise ValueError(f"{part} is no number of things")
        bots[name] = LockedBot(**{**facts, "source": dict(facts["source"])})
    return Lock(
        factory=_text(said["factory"]),
        bots=bots,
        images=_texts(said.get("images", {})),
        home_regions={stage: _matching(region, _REGION) for stage, region in said.get("home_regions", {}).items()},
        default_region=_matching(said["default_region"], _REGION) if "default_region" in said else None,
        stacks={
            _text(stage): {_text(sector): _matching(stack, _STACK) for sector, stack in stacks.items()}
            for stage, stacks in said.get("stacks", {}).items()
        },
    )


def _texts(said: Mapping[str, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in said.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _matching(value: Any, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(_text(value)):
        raise ValueError(f"{value!r} is not what belongs there")
    return str(value)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
