"""Every verb is done by the backend of the place where the sectors of a stage run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from local_works import take_down

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import building
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.backend import BACKENDS, Backends
from factory_cdk.lifecycle.local.update import UpdateRequest
from factory_cdk.lifecycle.options import BuildOptions
from factory_cdk.lifecycle.progress import Say, silent
from factory_cdk.lifecycle.results import Demolished, Left, Resumed, Stopped
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Plan, SectorType
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.state.stages import Factory
from factory_cdk.state.status import UpdateStatus

PLAN = """
factory:
  name: works
  bots:
    weld: {source: {path: code}, bot_path: "bots:weld"}
  stages:
    cloud:
      box:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {weld: }
      here: {type: local, bots: {weld: }}
    desk:
      here: {type: local, bots: {weld: }}
"""


class Elsewhere:
    """A backend that runs nothing: it remembers what it was asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.asked: list[Any] = []
        self.stages: list[str] = []

    def refuse_build(self, factory: str, stage: str, options: BuildOptions) -> None:
        if stage in self.stages:
            raise FactoryError(f"{factory}/{stage} is deployed already")

    def build(self, design: Any, options: BuildOptions, say: Say) -> None:
        say("deploying")
        self.stages.append(design.stage)
        self.asked.append(("build", [sector.name for sector in design.sectors]))

    def request_update(
        self, design: Any, options: BuildOptions, say: Say, stop: threading.Event, *, pending: bool = False
    ) -> UpdateRequest:
        self.asked.append("update")
        return UpdateRequest(stage_folder(self.home, design.factory, design.stage), "1", ())

    def await_update(self, request: UpdateRequest, timeout: float | None = None) -> UpdateStatus:
        return UpdateStatus(request.request, "done", in_hand=2)

    def built(self, home: Path, name: str | None = None) -> list[Factory]:
        folders = [stage_folder(self.home, "works", stage) for stage in self.stages]
        return [Factory(folder, "running", None, None, None) for folder in folders if name in (None, "works")]

    def stop(self, factory: Factory, say: Say, *, timeout: float | None = None, cold: bool = False) -> Stopped:
        self.asked.append(("stop", timeout, cold))
        return Stopped(factory.folder.name, None)

    def resume(self, factory: Factory, say: Say, environ: Mapping[str, str]) -> Resumed:
        self.asked.append(("resume", dict(environ)))
        return Resumed(factory.folder.name, started=True)

    def demolish(
        self,
        factory: Factory,
        say: Say,
        agree: Callable[[Left], bool],
        *,
        drain: bool = False,
        timeout: float | None = None,
        cold: bool = False,
    ) -> Demolished:
        self.asked.append(("demolish", drain, timeout, cold))
        return Demolished(factory.folder.name, agree(self.left(factory)), self.left(factory))

    def left(self, factory: Factory) -> Left:
        return Left(7, 1)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    monkeypatch.setenv("FACTORY_CDK_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "bots.py").write_text("def weld(part):\n    return part\n")
    (tmp_path / "factory-plan.yml").write_text(PLAN)
    yield read_plan(tmp_path / "factory-plan.yml")
    take_down(tmp_path / "home")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "home")


@pytest.fixture
def backends(elsewhere: Elsewhere) -> Backends:
    return {**BACKENDS, SectorType.AWS: elsewhere}


def test_a_stage_with_an_aws_sector_is_built_and_updated_there(
    plan: Plan, elsewhere: Elsewhere, backends: Backends
) -> None:
    said: list[str] = []
    options = BuildOptions(elsewhere.home)
    built = building.build(plan, "cloud", options, said.append, backends=backends)
    assert (built.stage, [bot.name for bot in built.bots], built.processes) == ("works/cloud", ["weld", "weld"], 2)
    assert all(bot.bundle.packed for bot in built.bots)
    assert said[-1] == "deploying"
    with pytest.raises(FactoryError, match="works/cloud is deployed already"):
        building.build(plan, "cloud", options, backends=backends)
    assert building.update(plan, "cloud", options, backends=backends).in_hand == 2
    assert elsewhere.asked == [("build", ["box", "here"]), "update"]


def test_what_is_built_there_is_found_stopped_resumed_and_demolished_there(
    plan: Plan, elsewhere: Elsewhere, backends: Backends
) -> None:
    home = elsewhere.home
    building.build(plan, "cloud", BuildOptions(home), backends=backends)
    elsewhere.asked.clear()
    assert [one.folder.name for one in factory.list_factories(home, backends=backends)] == ["works/cloud"]
    assert factory.find(home, "works", backends=backends).stage == "cloud"
    assert factory.left(home, "works", "cloud", backends=backends) == Left(7, 1)
    assert factory.stop(home, "works", None, timeout=5, cold=True, backends=backends) == Stopped("works/cloud", None)
    assert factory.resume(home, "works", None, environ={"A": "b"}, backends=backends).started
    found = factory.demolish(home, "works", None, silent, lambda left: left.jobs > 7, drain=True, backends=backends)
    assert found == Demolished("works/cloud", gone=False, left=Left(7, 1))
    assert elsewhere.asked == [("stop", 5, True), ("resume", {"A": "b"}), ("demolish", True, None, False)]


def test_a_stage_on_this_machine_is_built_here_and_both_are_listed(
    plan: Plan, elsewhere: Elsewhere, backends: Backends
) -> None:
    home = elsewhere.home
    for stage in ("cloud", "desk"):
        building.build(plan, stage, BuildOptions(home), backends=backends)
    assert elsewhere.stages == ["cloud"]
    assert {one.stage for one in factory.matches(home, "works", backends=backends)} == {"cloud", "desk"}
    with pytest.raises(FactoryError, match="works has several stages: "):
        factory.find(home, "works", backends=backends)
    pid = factory.find(home, "works", "desk", backends=backends).pid
    assert pid and pid != os.getpid()
    assert factory.demolish(home, "works", "desk", silent, lambda left: False, backends=backends).gone
    assert {one.stage for one in factory.matches(home, "works", backends=backends)} == {"cloud"}


def test_where_there_is_no_backend_nothing_is_packed_or_made(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match="box of stage cloud run on AWS: it is deployed, not started here"):
        building.build(plan, "cloud", BuildOptions(tmp_path / "home"))
    with pytest.raises(FactoryError, match="it is deployed, not started here"):
        building.update(plan, "cloud", BuildOptions(tmp_path / "home"))
    assert not (tmp_path / "home").exists()
