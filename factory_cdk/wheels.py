"""What an instance that asks no index installs: archives of wheels, for one architecture and one version of Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from factory_cdk.plan.model import Bot, Json, Offline, Plan

_SHA256 = re.compile("[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}\.whl")


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where wheels are installed: Linux with glibc on this `architecture` (`x86_64`, `aarch64`), and CPython of this
    version (`3.12`).
    """

    architecture: str
    python: str

    def __str__(self) -> str:
        """How it is called in plan.lock: `x86_64-3.12`."""
        return f"{self.architecture}-{self.python}"


@dataclass(frozen=True, slots=True)
class WheelArchive:
    """A zip of wheels: its SHA-256 in hex, its `size` in bytes, and the names of the wheels, sorted."""

    sha256: str
    size: int
    wheels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BotWheels:
    """The wheels of a bot for one target: those of its locked `requirements` and those of its own projects, which are
    built (None: it has none).
    """

    requirements: WheelArchive | None = None
    projects: WheelArchive | None = None

    @property
    def archives(self) -> tuple[WheelArchive, ...]:
        """Those that there are."""
        return tuple(one for one in (self.requirements, self.projects) if one is not None)


def wheels_key(sha256: str) -> str:
    """The key of an archive of wheels in the bucket of assets."""
    return f"{sha256}.zip"


def build_key(sha256: str) -> str:
    """The key of a build of Python in the bucket of assets. CDK keeps the last suffix of a name alone."""
    return f"{sha256}.tgz"


def bot_target(offline: Offline, python: str | None) -> Target:
    """The target of a bot on an offline sector, which names the Python version `python` or none."""
    return Target(offline.architecture, ".".join((python or offline.python).split(".")[:2]))


def targets_of(plan: Plan, bot: Bot) -> tuple[Target, ...]:
    """The targets of `bot` on the offline sectors of all stages, sorted."""
    found = {
        bot_target(sector.options.offline, sector_bot.arguments.python)
        for stage in plan.stages.values()
        for sector in stage.sectors
        if sector.options.offline is not None
        for sector_bot in sector.bots
        if sector_bot.name == bot.name
    }
    return tuple(sorted(found))


def wheels_as_json(wheels: BotWheels) -> dict[str, Json]:
    """The plain mapping that `wheels_from_json` reads."""
    return {name: value for name, value in asdict(wheels).items() if value is not None}


def wheels_from_json(said: Mapping[str, Any]) -> BotWheels:
    """What `wheels_as_json` gave. ValueError for anything else."""
    if not isinstance(said, dict) or said.keys() - {"requirements", "projects"}:
        raise ValueError("wheels are those of requirements and of projects")
    return BotWheels(**{name: archive_from_json(value) for name, value in said.items()})


def archive_as_json(archive: WheelArchive) -> dict[str, Json]:
    """The plain mapping that `archive_from_json` reads."""
    return asdict(archive)


def archive_from_json(said: Any) -> WheelArchive:
    """An archive from plain JSON by its field names. ValueError."""
    try:
        found = WheelArchive(said["sha256"], said["size"], tuple(said["wheels"]))
        named = found.wheels and all(map(_NAME.fullmatch, found.wheels))
        if len(said) == 3 and _SHA256.fullmatch(found.sha256) and type(found.size) is int and named:
            return found
    except (KeyError, TypeError) as error:
        raise ValueError(f"an archive of wheels lacks {error}") from error
    raise ValueError("an archive of wheels is not valid")
