"""What a runner starts from: the same, whether the design of a sector gave it or the manifest written for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from local_works import Works, bot, stage

from factory_cdk.bundle import Bundle, Layout
from factory_cdk.compile import compile_stage
from factory_cdk.design.model import BotDesign, SectorDesign, StageDesign
from factory_cdk.design.naming import Names
from factory_cdk.design.release import manifest, runner_assets, sector_release
from factory_cdk.install.pool_specs import pool_spec
from factory_cdk.install.runtime import bot_runtime
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Platform, SecretReference, SectorType
from factory_cdk.release import SectorRelease, release_from_json
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, spec_as_json, spec_from_json

REFERENCE = Path(__file__).parents[2] / "plans" / "reference" / "factory-plan.yml"
ARCHIVE = Path("/cache/archive.zip")

EVERYTHING = """
factory:
  name: every
  config: {LEVEL: 3, DEEP: {a: ["{{x}}", null]}}
  bots:
    read: {source: {path: code}, bot_path: "a.b:read", secrets: [TOKEN], requirements_path: more.txt}
    solve:
      source: {url: "https://host/repo.git", branch: main, subdirectory: in}
      command: [./solve, "--fast", "é ${Token"]
      config: {MOOD: loud}
      secrets: {TOKEN: {env: MINE}, OTHER: {secret: prod/token, key: k}, WHOLE: {secret: prod/whole}}
    plain: {source: {pypi: tool, version: 1.5.9}, bot_path: "tool:run"}
    old: {source: {path: code}, bot_path: "c:old"}
  workflows:
    flow: {read: [solve, plain]}
  stages:
    cloud:
      workflow: flow
      one:
        type: aws
        region_name: eu-west-2
        python: 3.12
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots:
          solve: {-p: 3, timeout: 1.5, max-attempts: 7, visibility-timeout: 30, batch: 4, stop: true}
          read: {-q: readings, meta: {owner: [1, {a: null}]}, python: 3.11}
      two:
        type: aws
        region_name: eu-west-1
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots:
          plain: {launcher: python}
          old:
            launcher: qalx
            skip-ini: true
            entity-class: mine:Entity
            workflow: []
            processes: 4
    here:
      workflow: flow
      desk:
        type: local
        bots: {read: {}, solve: {stop: true}, plain: }
"""


def designs(folder: Path) -> list[StageDesign]:
    """Stages of plans, their bots packed in all the ways in which code is laid out."""
    file = folder / "factory-plan.yml"
    file.write_text(EVERYTHING)
    every, reference = read_plan(file), read_plan(REFERENCE)
    layouts = (
        Layout(),
        Layout(("src", ""), "src/requirements.txt", None, (("--find-links wheels", "src"), ("--no-index", ""))),
        Layout(("",), "pyproject.toml", ""),
        Layout(("deep/src", ""), "deep/setup.py", "deep"),
    )
    bundles = {
        name: Bundle(
            name, f"{number:064d}", True, "path", ".", requirements=("lib==1.0",), lock_digest=f"{number + 9:064d}",
            archive=str(ARCHIVE), archive_sha256=f"{number + 5:064d}", layout=layouts[number % len(layouts)],
        )
        for plan in (every, reference)
        for number, name in enumerate(plan.bots)
    }  # fmt: skip
    return [
        *(compile_stage(every, name, bundles=bundles, lock=None) for name in every.stages),
        *(compile_stage(reference, name, bundles=bundles, lock=None, region="eu-west-2") for name in reference.stages),
        compile_stage(reference, "dev", lock=None, region="eu-west-2"),
    ]


def specs(release: SectorRelease, config: Mapping[str, Mapping[str, Any]], home: Path) -> list[PoolSpec]:
    return [
        pool_spec(
            release,
            one,
            bot_runtime(home, one, ARCHIVE, ("lib==1.0",)),
            config[one.name],
            home / "bytecode",
            home / "work",
        )
        for one in release.bots
    ]


def released(design: StageDesign, sector: SectorDesign) -> tuple[SectorRelease, dict[str, Mapping[str, Any]]]:
    """What an instance reads of a sector: its manifest, and the config in the parameters that the manifest names. For
    a local sector, of which no template says anything, a manifest as it would be, and the config of the plan.
    """
    if sector.type is SectorType.LOCAL:
        mine = sector_release(Names(design.factory, design.stage), sector.name, sector.bots, aws=False)
        assets = runner_assets(Platform.LINUX)
        text = json.dumps(manifest(mine, assets, routes=None, logs=None, availability=None))
        return release_from_json(json.loads(text)), {one.name: one.config for one in sector.bots}
    stack = next(stack for stack in design.stacks if stack.name == sector.stack)
    (text,) = (asset.content or "" for asset in stack.assets if asset.sha256 == sector.release)
    release = release_from_json(json.loads(text))
    values = {
        one.properties["Name"]: one.properties["Value"] for one in stack.resources if one.type == "AWS::SSM::Parameter"
    }
    config = {
        one.name: json.loads("".join(values[name] for name in one.config.parameters)) if one.config else {}
        for one in release.bots
    }
    return release, config


def test_the_manifest_of_a_sector_gives_the_specs_that_its_design_gives(tmp_path: Path) -> None:
    compared: list[PoolSpec] = []
    for design in designs(tmp_path):
        for sector in design.sectors:
            names, aws = Names(design.factory, design.stage), sector.type is SectorType.AWS
            designed = sector_release(names, sector.name, sector.bots, aws=aws)
            planned = specs(designed, {one.name: one.config for one in sector.bots}, tmp_path)
            release, config = released(design, sector)
            assert release == designed
            assert specs(release, config, tmp_path) == planned
            compared += planned
    assert {len(compared), *(spec.start.mode for spec in compared)} >= {"target", "command", "program"}
    assert len(compared) > 20
    everything = next(spec for spec in compared if spec.bot == "solve" and spec.sector == "one")
    assert (everything.arguments.timeout, everything.arguments.max_attempts, everything.processes) == (1.5, 7, 3)
    assert everything.variables["MOOD"] == "loud" and everything.variables["DEEP"] == '{"a": ["{{x}}", null]}'
    assert everything.secrets == {
        "TOKEN": SecretReference(secret="factory-cdk/every/cloud/one/6af7b7d0", key="TOKEN"),
        "OTHER": SecretReference(secret="prod/token", key="k"),
        "WHOLE": SecretReference(secret="prod/whole"),
    }


def test_a_runner_restarts_from_the_same_specs(tmp_path: Path) -> None:
    for design in designs(tmp_path):
        for sector in design.sectors:
            release, config = released(design, sector)
            spec = RunnerSpec(design.factory, design.stage, tuple(specs(release, config, tmp_path)), ("read",))
            assert spec_from_json(json.loads(json.dumps(spec_as_json(spec)))) == spec


@pytest.mark.parametrize(
    "said", [{}, {"bots": {}}, {"factory": "f", "stage": "s", "sector": "x", "bots": {}, "order": ["b"]}]
)
def test_a_manifest_that_lacks_something_is_no_release(said: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        release_from_json(said)


@pytest.mark.slow
def test_what_a_real_runner_runs_is_what_the_manifest_of_its_sector_gives(works: Works) -> None:
    works.write("src/bots.py", "def run(payload):\n    return payload\n")
    works.write("requirements.txt", "")
    given: list[BotDesign] = works.packed(
        bot("one", "bots:run", to=["two"], config={"A": [1], "B": "text"}, timeout=30.0, processes=2),
        bot("two", command=["cat"], meta={"owner": "me"}),
    )
    works.build(*given)
    assert [record.result for record in works.run("one", 5)] == [5, 5]
    running = spec_from_json(json.loads(works.folder().spec.read_text()))
    design = stage(*given)
    release, config = released(design, design.sectors[0])
    home, archives = works.home, {one.name: Path(one.bundle.archive or "") for one in given}
    for one, spec in zip(release.bots, running.pool_specs, strict=True):
        runtime = bot_runtime(home, one, archives[one.name], ())
        assert (
            pool_spec(release, one, runtime, config[one.name], home / "cache" / "bytecode", works.folder().work) == spec
        )
