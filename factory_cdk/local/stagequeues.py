"""The queues of a stage that is built: opened where they are whole, and what helps where they are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.state import StageState
from factory_cdk.queues.sqlite import SqliteQueues
from factory_cdk.queues.sqlite_faults import DamagedError
from factory_cdk.queues.sqlite_file import Paths

LOOKS, PAUSE = 3, 0.01
"""How often, so many seconds apart, a log has to be missed: others may open and close the database meanwhile."""


def queues_path(state: StageState) -> Path:
    """The file of the queues of a stage, wherever the stage's folder leads to."""
    return state.database.resolve() / "queues.sqlite3"


def has_queues(state: StageState) -> bool:
    """Whether `state` must have queues: a build that is not at its end may have none yet."""
    return state.database.exists() or not state.unfinished.exists()


@contextmanager
def open_queues(state: StageState) -> Iterator[SqliteQueues]:
    """The queues of `state`. FactoryError; of queues that are damaged it names the command that says what of them can
    be saved, whenever that turns out.
    """
    try:
        refuse_missing(state)
        with SqliteQueues(queues_path(state)) as queues:
            yield queues
    except DamagedError as error:
        stage = f"--name {state.factory} --stage {state.stage}"
        error.remedy = f"see what can be saved: factory-cdk jobs check {stage}"
        raise


def refuse_missing(state: StageState) -> None:
    """DamagedError when a stage that was built to its end has lost a file of its queues: SQLite would make a new one,
    and what was acknowledged would be gone without a word.
    """
    path = queues_path(state)
    if state.unfinished.exists():
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


def queues_trouble(state: StageState) -> FactoryError | None:
    """Why the queues of `state` cannot be used, as far as opening them and a look at them tells."""
    try:
        with open_queues(state) as queues:
            queues.history.remaining("")
    except FactoryError as error:
        return error
    return None
