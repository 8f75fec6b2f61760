"""Where the queues of a stage are, and whether they must be there; opened where they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import Queues, SqliteLocation
from factory_cdk.queues.opening import open_queues as open_location
from factory_cdk.queues.port import DamagedError
from factory_cdk.state.stage_folder import StageFolder

DATABASE = "queues.sqlite3"


def queues_in(folder: Path, *, shared: bool = False) -> SqliteLocation:
    """The queues whose files are in `folder`."""
    return SqliteLocation(folder / DATABASE, shared)


def queues_location(folder: StageFolder) -> SqliteLocation:
    """The queues of a stage, wherever the stage's folder leads to."""
    return queues_in(folder.database.resolve(), shared=folder.shares_queues)


def has_queues(folder: StageFolder) -> bool:
    """Whether `folder` must have queues: a build that is not at its end may have none yet."""
    return folder.database.exists() or not folder.unfinished.exists()


@contextmanager
def open_queues(folder: StageFolder) -> Iterator[Queues]:
    """The queues of `folder`. FactoryError; of queues that are damaged, or missing though the stage was built to its
    end, it names the command that says what of them can be saved, whenever that turns out.
    """
    try:
        with open_location(queues_location(folder), create=folder.unfinished.exists()) as queues:
            yield queues
    except DamagedError as error:
        stage = f"--name {folder.factory} --stage {folder.stage}"
        error.remedy = f"see what can be saved: factory-cdk jobs check {stage}"
        raise


def queues_trouble(folder: StageFolder) -> FactoryError | None:
    """Why the queues of `folder` cannot be used, as far as opening them and a look at them tells."""
    try:
        with open_queues(folder) as queues:
            queues.history.remaining("")
    except FactoryError as error:
        return error
    return None
