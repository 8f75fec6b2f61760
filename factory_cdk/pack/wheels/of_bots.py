"""The wheels of a bot for the offline sectors that run it: those that plan.lock names, those that were made before from
the same locked requirements, or new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from factory_cdk.bundle import Bundle, layout_as_json
from factory_cdk.canonical_json import json_digest
from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.archive import unpack
from factory_cdk.pack.context import PackContext
from factory_cdk.pack.lockfile import LockedBot
from factory_cdk.pack.requirements.indexes import anywhere
from factory_cdk.pack.requirements.installable import lay_out_projects
from factory_cdk.pack.requirements.outside import SourceFacts
from factory_cdk.pack.wheels.making import built_wheels, fetched_wheels, write_wheels
from factory_cdk.pack.wheels.pip import Pip
from factory_cdk.wheels import BotWheels, Target, WheelArchive, archive_as_json, archive_from_json, wheels_key

_FORMAT = 1
"""Part of the key of what was made: another one makes it again."""


def with_wheels(
    context: PackContext, pip: Pip, targets: Sequence[Target], bundle: Bundle, locked: LockedBot
) -> tuple[Bundle, LockedBot]:
    """A packed bundle with its wheels for `targets`, and what plan.lock should hold of it. NotAtHand, FactoryError."""
    found: dict[str, BotWheels] = {}
    for target in targets:
        was = context.locked.wheels.get(str(target), BotWheels()) if context.locked else BotWheels()
        found[str(target)] = BotWheels(
            _requirements(context, pip, target, bundle, was.requirements),
            _projects(context, pip, target, bundle, was.projects),
        )
    pinned = locked.digest is not None  # the projects of a path source change with its files
    kept = {name: wheels if pinned else replace(wheels, projects=None) for name, wheels in found.items()}
    return replace(bundle, wheels=found), replace(locked, wheels=kept)


def _requirements(
    context: PackContext, pip: Pip, target: Target, bundle: Bundle, locked: WheelArchive | None
) -> WheelArchive | None:
    if not bundle.requirements:
        return None
    options = bundle.layout.index_options
    relative = bundle.digest if any(folder or "://" not in line for line, folder in options) else None
    key = json_digest([_FORMAT, str(target), bundle.lock_digest, options, relative])

    def make(work: Path) -> list[Path]:
        return fetched_wheels(pip, bundle.requirements, _options(bundle, work), target, work / "wheels")

    return _archive(context, key, target, locked, make)


def _projects(
    context: PackContext, pip: Pip, target: Target, bundle: Bundle, locked: WheelArchive | None
) -> WheelArchive | None:
    layout = bundle.layout
    if layout.project is None and not layout.projects:
        return None
    key = json_digest([_FORMAT, str(target), bundle.digest, layout_as_json(layout)])

    def make(work: Path) -> list[Path]:
        facts = SourceFacts(layout.subdirectory, layout.projects, layout.version)
        found = lay_out_projects(
            Path(bundle.archive or ""), bundle.digest, layout.project, facts, work / "packed", work / "source"
        )
        options = _options(bundle, work)
        return built_wheels(
            pip, found.lines, options, target, work / "wheels", f"the project of {bundle.bot}", found.variables
        )

    return _archive(context, key, target, locked, make)


def _archive(
    context: PackContext,
    key: str,
    target: Target,
    locked: WheelArchive | None,
    make: Callable[[Path], list[Path]],
) -> WheelArchive:
    """The archive of wheels that is known by `key`, made if need be. FactoryError when plan.lock names another one."""
    record = None if context.fresh else context.cache.read_record("wheels", key)
    known = locked or (archive_from_json(record) if record else None)
    if known is not None and (context.offline or context.cache.file(wheels_key(known.sha256)).is_file()):
        return known
    context.about_to_fetch("fetching", f"wheels for {target}")
    work = context.workspace / f"wheels-{target}-{key[:8]}"
    work.mkdir()
    archive = work / "wheels.zip"
    made = write_wheels(make(work), archive)
    if locked is not None and made != locked:
        raise FactoryError(
            f"the wheels for {target} are not those of plan.lock: {made.sha256[:12]} instead of {locked.sha256[:12]}",
            f"if you trust them as they are now, run `factory-cdk lock --upgrade {context.bot.name}` and review the "
            "change",
        )
    context.cache.keep_file(archive, wheels_key(made.sha256))
    context.cache.write_record("wheels", key, archive_as_json(made), context.workspace)
    return made


def _options(bundle: Bundle, work: Path) -> list[str]:
    """The lines of a bot's requirements files that say which indexes are asked, with folders where they are now."""
    options = bundle.layout.index_options
    if not options:
        return []
    code = work / "code"
    if not code.exists():
        unpack(Path(bundle.archive or ""), code)
    return [anywhere(option, code / folder) for option, folder in options]
