"""What is built under a home, and how each stage of it is: its files, its lock and its last status, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.spelling import closest
from factory_cdk.state.files import read_json
from factory_cdk.state.outdated import is_outdated, outdated
from factory_cdk.state.runner_spec import RunnerSpec, spec_from_json
from factory_cdk.state.stage_folder import StageFolder, stage_folders
from factory_cdk.state.stage_instances import StageInstances, instances_of
from factory_cdk.state.status import Status, read_status, runner_pid

StageState = Literal[
    "running", "stopping", "stopped", "ended", "killed", "building", "unfinished", "damaged", "outdated", "silent"
]


@dataclass(frozen=True, slots=True)
class StageStack:
    """A CloudFormation stack of a stage, and the status that CloudFormation gives it."""

    name: str
    region: str
    status: str


@dataclass(frozen=True, slots=True)
class Factory:
    """One stage that was built. `state`: `running`; `stopping` and `stopped` (its gate is closed);
    `ended` (its runner was ended in order) and `killed` (it was not): `resume` helps both; `building`, and
    `unfinished` (a build was killed, or failed and left something); `damaged` (its spec cannot be read): it can be
    demolished, no more; `outdated` (another version of factory-cdk has built it): it can be demolished cold, no more;
    `silent` (no runner of its instances answers).

    `spec`, `status` and `pid` are of the runner on this machine; a stage without `local` sectors has none, and its
    folder holds no more than where it is on AWS. `instances` are those of its aws sectors, if it has any; `stacks` are
    known where AWS was asked, and so is `trouble`, what is wrong with these.
    """

    folder: StageFolder
    state: StageState
    pid: int | None
    spec: RunnerSpec | None
    status: Status | None
    instances: StageInstances | None = None
    local: bool = True
    stacks: tuple[StageStack, ...] = ()
    trouble: str | None = None

    @property
    def name(self) -> str:
        """The factory's name."""
        return self.folder.factory

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self.folder.stage

    @property
    def whole_spec(self) -> RunnerSpec | None:
        """The bots of all its sectors, those of this machine first; None when nothing is known of them."""
        if self.instances is None:
            return self.spec
        own = self.spec or RunnerSpec(self.name, self.stage, (), ())
        return replace(own, pool_specs=own.pool_specs + self.instances.pool_specs)


def list_factories(home: Path) -> list[Factory]:
    """Every stage that was built, or half built, under `home`, sorted by name."""
    return [_factory(folder) for folder in stage_folders(home)]


def matches(home: Path, name: str, stage: str | None = None) -> list[Factory]:
    """The stages of the factory `name`, or its `stage` alone."""
    return [_factory(folder) for folder in stage_folders(home, name) if stage in (None, folder.stage)]


def find(home: Path, name: str, stage: str | None = None) -> Factory:
    """The one stage of that name. FactoryError when there is none, or several and no `stage`, or when another version
    of factory-cdk has built it.
    """
    found = find_any(home, name, stage)
    if found.state == "outdated":
        raise outdated(found.folder)
    return found


def find_any(home: Path, name: str, stage: str | None = None) -> Factory:
    """The one stage of that name, whatever version has built it. FactoryError when there is none, or several and no
    `stage`.
    """
    return only(matches(home, name, stage), name, stage, lambda: list_factories(home))


def only(
    found: Sequence[Factory],
    name: str,
    stage: str | None,
    built: Callable[[], list[Factory]],
    not_found: str = "is not built here",
) -> Factory:
    """The one stage that was `found` under that name. FactoryError, which says what is `built`, when there is none
    (that it was `not_found`), or several and no `stage`.
    """
    if not found:
        wanted = f"{name}/{stage}" if stage else name
        raise FactoryError(f"{wanted} {not_found}", _instead(built(), name, stage))
    if len(found) > 1:
        stages = ", ".join(factory.stage for factory in found)
        raise FactoryError(f"{name} has several stages: {stages}", "choose one with --stage", exit_code=2)
    return found[0]


def _instead(built: list[Factory], name: str, stage: str | None) -> str:
    """What to do when `name`, or its `stage`, is not among what is `built`."""
    if not built:
        if name == "bot-start":
            return "factory-cdk bot-start -q QUEUE TARGET, which is at work until Ctrl-C"
        return "factory-cdk build --plan FILE --stage STAGE"
    stages = [one.stage for one in built if one.name == name]
    near = closest(stage, stages) if stage and stages else closest(name, {one.name for one in built} - {name})
    return f"did you mean {near}?" if near else f"built: {', '.join(one.folder.name for one in built)}"


def _factory(folder: StageFolder) -> Factory:
    pid, status = runner_pid(folder), read_status(folder)
    spec, instances, state = None, None, _state_of(folder, pid, status)
    try:
        content = read_json(folder.spec)
        if is_outdated(folder, content):
            return Factory(folder, "outdated", pid, None, None)
        spec, instances = spec_from_json(content) if content is not None else None, instances_of(folder)
    except (FactoryError, ValueError):
        state = state if state == "building" else "damaged"
    return Factory(folder, state, pid, spec, status, instances)


def _state_of(folder: StageFolder, pid: int | None, status: Status | None) -> StageState:
    if folder.unfinished.exists():
        return "unfinished" if pid is None else "building"
    if pid is None:
        return "ended" if status and status.gate == "ended" else "killed"
    if status is None or status.gate == "open":
        return "running"
    return "stopped" if status.gate == "closed" else "stopping"
