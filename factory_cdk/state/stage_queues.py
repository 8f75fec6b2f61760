"""The queues of a stage that is built: opened where they are whole, and what helps where they are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.queues.sqlite.engine import SqliteQueues
from factory_cdk.queues.sqlite.faults import DamagedError
from factory_cdk.queues.sqlite.file import Paths
from factory_cdk.state.stage_folder import StageFolder

LOOKS, PAUSE = 3, 0.01
"""How often, so many seconds apart, a log has to be missed: others may open and close the database meanwhile."""


def queues_path(folder: StageFolder) -> Path:
    """The file of the queues of a stage, wherever the stage's folder leads to."""
    return folder.database.resolve() / "queues.sqlite3"


def has_queues(folder: StageFolder) -> bool:
    """Whether `folder` must have queues: a build that is not at its end may have none yet."""
    return folder.database.exists() or not folder.unfinished.exists()


@contextmanager
def open_queues(folder: StageFolder) -> Iterator[SqliteQueues]:
    """The queues of `folder`. FactoryError; of queues that are damaged it names the command that says what of them can
    be saved, whenever that turns out.
    """
    try:
        refuse_missing(folder)
        with SqliteQueues(queues_path(folder)) as queues:
            yield queues
    except DamagedError as error:
        stage = f"--name {folder.factory} --stage {folder.stage}"
        error.remedy = f"see what can be saved: factory-cdk jobs check {stage}"
        raise


def refuse_missing(folder: StageFolder) -> None:
    """DamagedError when a stage that was built to its end has lost a file of its queues: SQLite would make a new one,
    and what was acknowledged would be gone without a word.
    """
    path = queues_path(folder)
    if folder.unfinished.exists():
        return
    if path.is_dir():
        raise DamagedError(f"queue database {path} is a folder")
    if not path.exists():
        raise DamagedError(f"queue database {path} is missing")
    if not path.stat().st_size:
        raise DamagedError(f"queue database {path} is empty")
    for look in range(LOOKS):
        if not Paths(path).log_is_missing:
            return
        if look < LOOKS - 1:
            time.sleep(PAUSE)
    raise DamagedError(f"queue database {path}: its log (-wal) is missing, and with it what was done last")


def queues_trouble(folder: StageFolder) -> FactoryError | None:
    """Why the queues of `folder` cannot be used, as far as opening them and a look at them tells."""
    try:
        with open_queues(folder) as queues:
            queues.history.remaining("")
    except FactoryError as error:
        return error
    return None
