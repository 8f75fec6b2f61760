"""Where the queues of a stage are, and whether they must be there; opened where they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.opening import Location, QueueNames, Queues, SqliteLocation, SqsLocation
from factory_cdk.queues.opening import open_queues as open_location
from factory_cdk.queues.port import DamagedError
from factory_cdk.state.files import read_json, write_json
from factory_cdk.state.stage_folder import StageFolder

DATABASE = "queues.sqlite3"


def queues_in(folder: Path, *, shared: bool = False) -> SqliteLocation:
    """The queues whose files are in `folder`."""
    return SqliteLocation(folder / DATABASE, shared)


def database_location(folder: StageFolder) -> SqliteLocation:
    """The queues of a stage in a database of this machine, wherever the stage's folder leads to."""
    return queues_in(folder.database.resolve(), shared=folder.shares_queues)


def queues_location(folder: StageFolder) -> Location:
    """The queues of a stage. FactoryError."""
    said = read_json(folder.aws_queues)
    if said is None:
        return database_location(folder)
    try:
        names = {name: QueueNames(**one) for name, one in said["queues"].items()}
        return SqsLocation(**{**said, "queues": names})
    except (AttributeError, KeyError, TypeError) as error:
        raise FactoryError(
            f"{folder.aws_queues} is damaged: {error}", f"factory-cdk demolish {folder.options}, then build it again"
        ) from error


def keep_on_aws(folder: StageFolder, location: SqsLocation) -> None:
    """Have `folder` say that the queues of its stage are at `location`. FactoryError."""
    write_json(folder.aws_queues, asdict(location))


def has_queues(folder: StageFolder) -> bool:
    """Whether `folder` must have queues: a build that is not at its end may have none yet."""
    return has_stored_queues(folder) or not folder.unfinished.exists()


def has_stored_queues(folder: StageFolder) -> bool:
    """Whether `folder` has queues, here or on AWS."""
    return folder.database.exists() or folder.aws_queues.exists()


@contextmanager
def open_queues(folder: StageFolder) -> Iterator[Queues]:
    """The queues of `folder`. FactoryError; of queues that are damaged, or missing though the stage was built to its
    end, it names the command that says what of them can be saved, whenever that turns out.
    """
    try:
        with open_location(queues_location(folder), create=folder.unfinished.exists()) as queues:
            yield queues
    except DamagedError as error:
        if not folder.aws_queues.exists():
            error.remedy = f"see what can be saved: factory-cdk jobs check {folder.options}"
        raise


def queues_trouble(folder: StageFolder) -> FactoryError | None:
    """Why the queues of `folder` cannot be used, as far as opening them and a look at them tells."""
    try:
        with open_queues(folder) as queues:
            queues.history.remaining("")
    except FactoryError as error:
        return error
    return None
