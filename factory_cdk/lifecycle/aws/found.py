"""Stages that are deployed, as the commands for built stages take them: Factory, with a folder for what must be a file.

The folder is below `deployed` in the home, and holds where the stage's queues are. Nothing is lost with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

from factory_cdk.agent.aws import ATTEMPTS, PATIENT_ATTEMPTS, Aws
from factory_cdk.deploy.account import Account
from factory_cdk.deploy.finding import DeployedStage, find_deployed
from factory_cdk.deploy.record import find_record
from factory_cdk.design.naming import Names
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import make_private
from factory_cdk.lifecycle.aws.gate import closed_in, gate_of
from factory_cdk.lifecycle.aws.reading import read_content
from factory_cdk.lifecycle.instances import runners_of
from factory_cdk.lifecycle.progress import Say
from factory_cdk.queues.opening import SqsLocation
from factory_cdk.state.files import read_json
from factory_cdk.state.stage_folder import StageFolder
from factory_cdk.state.stage_queues import keep_on_aws
from factory_cdk.state.stages import Factory, StageStack, StageState
from factory_cdk.views.runners import ENDED, SILENT_AFTER

DEPLOYED = "deployed"
"""The folder of the home that has those of stages on AWS."""

AT_ONCE = 8
"""Stages that are read at the same time."""

_MAKING = ("CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
_UNDOING = ("ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS")
_FAILED = ("CREATE_FAILED", "ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "DELETE_FAILED")
_STUCK = ("UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED", "IMPORT_ROLLBACK_FAILED")


def find_on_aws(
    home: Path, regions: Collection[str] | None, name: str | None, say: Say, *, changes: bool = False
) -> list[Factory]:
    """The stages that are deployed in `regions` (None: everywhere), of the factory `name` if given. `say` is warned of
    what cannot be asked. FactoryError when nothing can be. `changes`: see find_deployed.
    """
    stages = find_deployed(regions, name, warn=lambda text: say(f"warning: {text}"), changes=changes)
    aws = cache(partial(Aws, attempts=PATIENT_ATTEMPTS if changes else ATTEMPTS))
    with ThreadPoolExecutor(AT_ONCE, "stages") as pool:
        return list(pool.map(lambda stage: _factory(home, stage, aws), stages))


def folder_of(home: Path, stage: DeployedStage) -> StageFolder:
    """The folder of a stage on AWS, whether it exists or not."""
    return StageFolder(stage.factory, stage.stage, home / DEPLOYED / stage.factory / stage.stage)


def _factory(home: Path, stage: DeployedStage, aws: Callable[[str], Aws]) -> Factory:
    folder = folder_of(home, stage)
    content = read_content(stage, aws)
    stacks = tuple(StageStack(one.name, one.region, one.status) for one in stage.stacks)
    state, trouble = _state_of(stacks)
    if content.queues is not None:
        _keep(folder, content.queues)
    told = [one for one in (trouble, _under_way(stage), *content.problems) if one]
    factory = Factory(folder, state, None, None, None, content.instances, local=False, stacks=stacks)
    if content.instances is None:
        if state == "running":
            state, told = "damaged", told or [f"none of its stacks has a release: {', '.join(stage.regions)}"]
    elif state == "running":
        state, problem = _gate_state(factory)
        told += [problem] if problem else []
    return replace(factory, state=state, trouble="; ".join(told) or None)


def _under_way(stage: DeployedStage) -> str | None:
    """What a command that deploys or demolishes the stage has left half done, or does now."""
    names, home = Names(stage.factory, stage.stage), (stage.queue_stacks or stage.stacks)[0].region
    try:
        found = find_record(Account(), names, home)
    except FactoryError as error:
        return f"whether it is being deployed is not known: {error.message}"
    if found is None:
        return None
    record = found.record
    if found.lives:
        return f"a {record.verb} is under way: {record.who}"
    decided = {"commit": "it is committed, and not ended", "take back": "it is being taken back"}
    return (
        f"a {record.verb} of {record.who} did not end ({decided.get(record.decision, 'nothing is decided')}): "
        f"run the same command again, or demolish"
    )


def _keep(folder: StageFolder, queues: SqsLocation) -> None:
    """Have `folder` say where the queues are; it is written where it differs."""
    make_private(folder.path)
    try:
        known = read_json(folder.aws_queues)
    except FactoryError:
        known = None
    if known != asdict(queues):
        keep_on_aws(folder, queues)


def _state_of(stacks: Collection[StageStack]) -> tuple[StageState, str | None]:
    """The state of a stage with `stacks`, as far as these tell, and what is wrong with them."""

    def named(statuses: Collection[str]) -> str:
        found = [f"{one.name} ({one.region}) is {one.status}" for one in stacks if one.status in statuses]
        return "; ".join(f"stack {one}" for one in found)

    if undoing := named(_UNDOING):
        return "stopping", undoing
    if failed := named(_FAILED):
        return "unfinished", failed
    if named(_MAKING):
        return "building", None
    return "running", named(_STUCK) or None


def _gate_state(factory: Factory) -> tuple[StageState, str | None]:
    """The state of a stage whose stacks are well, by its gate and what its runners said last, and what is unknown."""
    try:
        closed = closed_in(gate_of(factory)).values()
        runners = runners_of(factory)
    except FactoryError as error:
        return "running", error.message
    if any(closed):
        shut = all(closed) and all(one.state in ("closed", ENDED) for one in runners if one.silent_since is None)
        return ("stopped" if shut else "stopping"), None
    has_table = factory.instances is not None and factory.instances.table is not None
    if has_table and all(time.time() - one.said > SILENT_AFTER for one in runners):
        return "silent", None
    return "running", None
