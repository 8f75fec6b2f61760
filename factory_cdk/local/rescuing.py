"""The queues of a stage after damage: what is wrong with them, and what can be read put in their place.

The new database is made beside the damaged one, in `queues.rescued`; then the folders change places, one after the
other. Whoever is killed in between leaves a stage without queues, which nobody opens until the rescue is run again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.local.control import changing
from factory_cdk.local.stagequeues import queues_path, refuse_missing
from factory_cdk.local.standing import Factory
from factory_cdk.local.state import StageState, write_json
from factory_cdk.local.status import read_status, runner_pid, status_as_json
from factory_cdk.local.stopping import nobody_submitting
from factory_cdk.queues.check import check
from factory_cdk.queues.rescue import Rescue, rescue
from factory_cdk.queues.sqlite_bodies import sync_folder
from factory_cdk.queues.sqlite_faults import DamagedError


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong with the queues of a stage, a sentence each, and what of them can be saved: None when nothing is
    wrong.
    """

    problems: tuple[str, ...]
    rescue: Rescue | None


def examine(factory: Factory) -> Examination:
    """Read all that is in the queues of `factory`. FactoryError when they are of a newer version."""
    state = factory.state
    problems = _problems(state)
    if not problems:
        return Examination((), None)
    with disk(state.folder), tempfile.TemporaryDirectory(prefix=".examined-", dir=state.folder) as folder:
        try:
            return Examination(problems, rescue(queues_path(state), Path(folder) / "queues.sqlite3"))
        except FactoryError:  # what is wrong has been said
            return Examination(problems, Rescue(0, 0))


def put_right(factory: Factory, agree: Callable[[Rescue], bool]) -> Path | None:
    """Put what can be read of the damaged queues of `factory` in their place, if `agree` says so of it; the folder in
    which the damaged ones are kept, or None when it said no.

    FactoryError when its runner runs, nothing is wrong, or nothing can be read.
    """
    state = factory.state
    stage = f"--name {state.factory} --stage {state.stage}"
    with changing(state), nobody_submitting(state):
        if runner_pid(state) is not None:
            raise FactoryError(f"the runner of {state.name} has its queues open", f"factory-cdk stop --cold {stage}")
        if state.shares_queues:
            raise FactoryError(
                f"the queues of {state.name} are shared with other bots ({queues_path(state)})",
                "end them all, then python -m factory_cdk.queues.check FILE --rescue NEW",
            )
        rescued = state.folder / "queues.rescued"
        kept = state.folder / time.strftime("queues.damaged-%Y%m%dT%H%M%SZ", time.gmtime())
        with disk(state.folder):
            if state.database.exists() or not rescued.exists():
                if not _problems(state):
                    raise FactoryError(f"nothing is wrong with the queues of {state.name}")
                if not _rescue_into(rescued, state, agree):
                    return None
                state.database.rename(kept)
            rescued.rename(state.database)
            sync_folder(state.folder, os.fsync)
        _forget_trouble(state)
    return max(state.folder.glob("queues.damaged-*"))


def _problems(state: StageState) -> tuple[str, ...]:
    try:
        refuse_missing(state)
    except DamagedError as error:
        return (error.message,)
    return check(queues_path(state))


def _rescue_into(rescued: Path, state: StageState, agree: Callable[[Rescue], bool]) -> bool:
    """Make the folder `rescued`, whole or not at all; whether it was agreed to."""
    part = rescued.with_name(f".{rescued.name}")
    for left in (part, rescued):
        if left.exists():
            shutil.rmtree(left)
    make_private(part)
    try:
        agreed = agree(rescue(queues_path(state), part / queues_path(state).name))
        if agreed:
            part.rename(rescued)
    finally:
        if part.exists():
            shutil.rmtree(part)
    return agreed


def _forget_trouble(state: StageState) -> None:
    """What its last runner said of the damaged queues holds no longer."""
    status = read_status(state)
    if status is not None:
        write_json(state.status, status_as_json(replace(status, trouble=None)))
