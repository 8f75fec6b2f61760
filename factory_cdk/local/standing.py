"""What is built under a home, and how each stage of it is: its files, its lock and its last status, put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from factory_cdk.diagnostics import FactoryError
from factory_cdk.local.roster import Roster, roster_from_json
from factory_cdk.local.state import StageState, read_json, stage_states
from factory_cdk.local.status import Status, read_status, runner_pid
from factory_cdk.plan.spelling import closest

Standing = Literal["running", "stopping", "stopped", "ended", "killed", "building", "unfinished", "damaged"]


@dataclass(frozen=True, slots=True)
class Factory:
    """One stage that was built here. `standing`: `running`; `stopping` and `stopped` (its gate is closed);
    `ended` (its runner was ended in order) and `killed` (it was not): `resume` helps both; `building`, and
    `unfinished` (a build was killed); `damaged` (its roster cannot be read): it can be demolished, no more.
    """

    state: StageState
    standing: Standing
    pid: int | None
    roster: Roster | None
    status: Status | None

    @property
    def name(self) -> str:
        """The factory's name."""
        return self.state.factory

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self.state.stage


def list_factories(home: Path) -> list[Factory]:
    """Every stage that was built, or half built, under `home`, sorted by name."""
    return [_factory(state) for state in stage_states(home)]


def matches(home: Path, name: str, stage: str | None = None) -> list[Factory]:
    """The stages of the factory `name`, or its `stage` alone."""
    return [_factory(state) for state in stage_states(home, name) if stage in (None, state.stage)]


def find(home: Path, name: str, stage: str | None = None) -> Factory:
    """The one stage of that name. FactoryError when there is none, or several and no `stage`."""
    found = matches(home, name, stage)
    if not found:
        wanted = f"{name}/{stage}" if stage else name
        raise FactoryError(f"{wanted} is not built here", _instead(list_factories(home), name, stage))
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
    return f"did you mean {near}?" if near else f"built: {', '.join(one.state.name for one in built)}"


def _factory(state: StageState) -> Factory:
    pid, status = runner_pid(state), read_status(state)
    roster, damaged = None, False
    try:
        content = read_json(state.roster)
        roster = roster_from_json(content) if content is not None else None
    except (FactoryError, ValueError, KeyError, TypeError, AttributeError):
        damaged = True  # or of another version: it can be listed and demolished
    standing = _standing(state, pid, status)
    return Factory(state, "damaged" if damaged and standing != "building" else standing, pid, roster, status)


def _standing(state: StageState, pid: int | None, status: Status | None) -> Standing:
    if state.unfinished.exists():
        return "unfinished" if pid is None else "building"
    if pid is None:
        return "ended" if status and status.gate == "ended" else "killed"
    if status is None or status.gate == "open":
        return "running"
    return "stopped" if status.gate == "closed" else "stopping"
