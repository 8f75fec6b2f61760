"""The queues of a stage after damage: what is wrong with them, and what can be read put in their place.

The new database is made beside the damaged one, in `queues.rescued`; then the folders change places, one after the
other. Whoever is killed in between leaves a stage without queues, which nobody opens until the rescue is run again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import delete_folder, disk, make_private, sync_folder
from factory_cdk.lifecycle.local.control import changing
from factory_cdk.lifecycle.local.demolish import nobody_submitting
from factory_cdk.queues.repair import Rescue, problems, rescue
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import database_location, queues_in
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import read_status, runner_pid, write_status


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong with the queues of a stage, a sentence each, and what of them can be saved: None when nothing is
    wrong.
    """

    problems: tuple[str, ...]
    rescue: Rescue | None


def examine(factory: Factory) -> Examination:
    """Read all that is in the queues of `factory`. FactoryError when they are of a newer version."""
    folder = factory.folder
    found = _problems(folder)
    if not found:
        return Examination((), None)
    with disk(folder.path), tempfile.TemporaryDirectory(prefix=".examined-", dir=folder.path) as copy:
        try:
            return Examination(found, rescue(database_location(folder), queues_in(Path(copy))))
        except FactoryError:  # what is wrong has been said
            return Examination(found, Rescue(0, 0))


def put_right(factory: Factory, agree: Callable[[Rescue], bool]) -> Path | None:
    """Put what can be read of the damaged queues of `factory` in their place, if `agree` says so of it; the folder in
    which the damaged ones are kept, or None when it said no.

    FactoryError when its runner runs, nothing is wrong, or nothing can be read.
    """
    folder = factory.folder
    with changing(folder), nobody_submitting(folder):
        if runner_pid(folder) is not None:
            raise FactoryError(
                f"the runner of {folder.name} has its queues open", f"factory-cdk stop --cold {folder.options}"
            )
        if folder.shares_queues:
            raise FactoryError(
                f"the queues of {folder.name} are shared with other bots ({database_location(folder).database})",
                "end them all, then python -m factory_cdk.queues.sqlite.check FILE --rescue NEW",
            )
        rescued = folder.path / "queues.rescued"
        kept = folder.path / time.strftime("queues.damaged-%Y%m%dT%H%M%SZ", time.gmtime())
        with disk(folder.path):
            if folder.database.exists() or not rescued.exists():
                if not _problems(folder):
                    raise FactoryError(f"nothing is wrong with the queues of {folder.name}")
                if not _rescue_into(rescued, folder, agree):
                    return None
                folder.database.rename(kept)
            rescued.rename(folder.database)
            sync_folder(folder.path)
        _forget_trouble(folder)
    return max(folder.path.glob("queues.damaged-*"))


def _problems(folder: StageFolder) -> tuple[str, ...]:
    return problems(database_location(folder), built=not folder.unfinished.exists())


def _rescue_into(rescued: Path, folder: StageFolder, agree: Callable[[Rescue], bool]) -> bool:
    """Make the folder `rescued`, whole or not at all; whether it was agreed to."""
    part = rescued.with_name(f".{rescued.name}")
    for left in (part, rescued):
        if left.exists():
            delete_folder(left)
    make_private(part)
    try:
        agreed = agree(rescue(database_location(folder), queues_in(part)))
        if agreed:
            part.rename(rescued)
    finally:
        if part.exists():
            delete_folder(part)
    return agreed


def _forget_trouble(folder: StageFolder) -> None:
    """What its last runner said of the damaged queues holds no longer."""
    status = read_status(folder)
    if status is not None:
        write_status(folder, replace(status, trouble=None))
