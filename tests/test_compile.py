"""Plan + plan.lock → design: every way in gives the same one, and what the lock pins stays where it is."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE

import factory_cdk
from factory_cdk.compile import compile_at_hand, compile_packed, compile_stage, pinned_anew, stage_lock
from factory_cdk.design.model import StageDesign
from factory_cdk.pack import Lock, lock_path, read_lock, write_lock
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Plan

Done = subprocess.CompletedProcess[str]
Sectors = Mapping[str, Sequence[str]]
PARAMETERS = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}


def boxes(bots: int, *, each: int = 1) -> dict[str, list[str]]:
    """Sectors by name with `each` of `bots` bots: `box0: [b0]`, …"""
    names = [f"b{number}" for number in range(bots)]
    return {f"box{start // each}": names[start : start + each] for start in range(0, bots, each)}


def write_plan(folder: Path, sectors: Sectors, *, region: str | None = None) -> Path:
    """The file of a plan whose stage `dev` has these aws sectors; the code of every bot is in one folder."""
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "bots.py").write_text("def run(job):\n    return job\n")
    names = dict.fromkeys(bot for bots in sectors.values() for bot in bots)
    kind: dict[str, Any] = {"type": "aws", "parameters": PARAMETERS} | ({"region_name": region} if region else {})
    content = {
        "name": "works",
        "bots": {name: {"source": {"path": "code"}, "bot_path": "bots:run"} for name in names},
        "stages": {"dev": {name: {**kind, "bots": dict.fromkeys(bots)} for name, bots in sectors.items()}},
    }
    file = folder / "factory-plan.yml"
    file.write_text(json.dumps({"factory": content}))  # JSON is YAML
    return file


def plan_of(folder: Path, sectors: Sectors, *, region: str | None = "eu-west-2") -> Plan:
    return read_plan(write_plan(folder, sectors, region=region))


def run(folder: Path, *command: str, **variables: str) -> Done:
    """`python -m …` in `folder`, on a machine whose own default region is another than the plans'."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"FACTORY_CDK_HOME": str(folder / "home"), "AWS_REGION": "us-east-1", **variables}
    return subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env=environment,
        timeout=300,
        check=False,
    )


def cli(folder: Path, verb: str, *arguments: str) -> Done:
    done = run(folder, "factory_cdk", verb, "--plan", "factory-plan.yml", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def queues_of(assembly: Path) -> dict[str, str]:
    """The templates of an assembly by the physical names of the queues and dead-letter queues in them."""
    found: dict[str, str] = {}
    for file in assembly.glob("*.template.json"):
        for resource in json.loads(file.read_text())["Resources"].values():
            if resource["Type"] == "AWS::SQS::Queue":
                assert found.setdefault(resource["Properties"]["QueueName"], file.name) == file.name
    return found


def queue_resources(design: StageDesign) -> dict[str, str]:
    """The stacks of a design by the physical names of the queues and dead-letter queues in them."""
    return {
        str(one.properties["QueueName"]): stack.name
        for stack in design.stacks
        for one in stack.resources
        if one.type == "AWS::SQS::Queue"
    }


@pytest.mark.slow
def test_every_command_takes_the_stacks_and_the_region_of_the_lock(tmp_path: Path) -> None:
    write_plan(tmp_path, boxes(80))
    stage = ("--stage", "dev")
    assert "F605" in cli(tmp_path, "validate", *stage).stdout
    cli(tmp_path, "lock", "--region", "eu-west-2")
    said = {
        "validate": cli(tmp_path, "validate", *stage, "--format", "json"),
        "lint": cli(tmp_path, "lint", *stage, "--format", "json"),
        "graph": cli(tmp_path, "graph", *stage),
        "build": cli(tmp_path, "build", *stage, "--dry-run", "--format", "json"),
        "synth": cli(tmp_path, "synth", *stage),
    }
    assert [verb for verb, done in said.items() if "F605" in done.stdout + done.stderr] == []
    found = {verb: json.loads(said[verb].stdout)["diagnostics"] for verb in ("validate", "lint")}
    assert found["validate"] == [one for one in found["lint"] if not one["code"].startswith("F7")]
    assert "80 queues, 80 sectors, 1 region (queues in eu-west-2)" in said["graph"].stdout
    pins = json.loads((tmp_path / "plan.lock").read_text())
    assert set(pins["stacks"]["dev"].values()) == {"works-dev-eu-west-2", "works-dev-eu-west-2-2"}
    written = {file.name.partition(".")[0] for file in (tmp_path / "cdk.out").glob("*.template.json")}
    assert written == {*pins["stacks"]["dev"].values(), *pins["queue_stacks"]["dev"].values()}
    queues = {row["name"] for row in json.loads(said["build"].stdout)["queues"]}
    assert queues == set(pins["queue_stacks"]["dev"])


@pytest.mark.slow
def test_a_locked_queue_and_its_dead_letters_keep_their_stack_through_synth(tmp_path: Path) -> None:
    sectors = boxes(300, each=10)
    write_plan(tmp_path, sectors, region="eu-west-2")
    cli(tmp_path, "lock", "--quiet")
    cli(tmp_path, "synth", "--stage", "dev", "-o", "before")
    before = queues_of(tmp_path / "before")
    assert len(before) == 600
    assert set(before.values()) == {"works-dev-queues.template.json", "works-dev-queues-2.template.json"}

    inserted = {"first": ["new"], **sectors}
    write_plan(tmp_path, inserted, region="eu-west-2")
    cli(tmp_path, "synth", "--stage", "dev", "-o", "inserted")
    after = queues_of(tmp_path / "inserted")
    assert after.keys() - before.keys() == {"works-dev-new", "works-dev-new-dlq"}
    assert {name: after[name] for name in before} == before

    cli(tmp_path, "lock", "--quiet")
    cli(tmp_path, "synth", "--stage", "dev", "-o", "again")
    assert queues_of(tmp_path / "again") == after

    write_plan(tmp_path, {**sectors, "box0": sectors["box0"][1:]}, region="eu-west-2")
    cli(tmp_path, "synth", "--stage", "dev", "-o", "removed")
    removed = queues_of(tmp_path / "removed")
    assert before.keys() - removed.keys() == {"works-dev-b0", "works-dev-b0-dlq"}
    assert removed == {name: before[name] for name in removed}


@pytest.fixture
def sectors() -> dict[str, list[str]]:
    return boxes(300, each=10)


@pytest.fixture
def lock(sectors: Sectors, tmp_path: Path) -> Lock:
    """The pins of a stage with 300 bots."""
    return pinned_anew(plan_of(tmp_path, sectors), Lock("works"))[0]


def test_a_bot_inserted_or_removed_moves_no_other_queue(sectors: Sectors, lock: Lock, tmp_path: Path) -> None:
    before = queue_resources(compile_stage(plan_of(tmp_path, sectors), "dev", lock=lock))
    assert len(before) == 600
    assert set(before.values()) == {"works-dev-queues", "works-dev-queues-2"}
    for changed in (
        {"first": ["new"], **sectors},
        {**sectors, "box0": sectors["box0"][1:]},
        {"first": ["new"], **dict(reversed(sectors.items())), "box3": sectors["box3"][:2]},
    ):
        plan = plan_of(tmp_path, changed)
        after = queue_resources(compile_stage(plan, "dev", lock=lock))
        kept = before.keys() & after.keys()
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert queue_resources(compile_stage(plan, "dev", lock=pinned_anew(plan, lock)[0])) == after


def test_a_queue_knows_the_stack_that_it_is_in(sectors: Sectors, lock: Lock, tmp_path: Path) -> None:
    design = compile_stage(plan_of(tmp_path, sectors), "dev", lock=None)
    where = queue_resources(design)
    assert {one.physical_name: one.stack for one in design.queues} == {
        name: stack for name, stack in where.items() if not name.endswith("-dlq")
    }
    assert {one.name: one.stack for one in design.queues} == lock.queue_stacks["dev"]


def test_a_lock_from_before_queues_were_pinned_fills_first_fit_and_is_then_completed(
    sectors: Sectors, lock: Lock, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, sectors)
    write_lock(lock_path(plan), lock)
    said = json.loads(lock_path(plan).read_text())
    del said["queue_stacks"]
    lock_path(plan).write_text(json.dumps({**said, "images": {"debian-12": "ami-0123456789abcdef0"}}))
    old = read_lock(lock_path(plan))
    assert old is not None
    assert (old.queue_stacks, old.stacks) == ({}, lock.stacks)
    unpinned = queue_resources(compile_stage(plan, "dev", lock=None))
    assert queue_resources(compile_stage(plan, "dev", lock=old)) == unpinned
    assert pinned_anew(plan, old)[0] == lock
    write_lock(lock_path(plan), old)
    assert "images" not in json.loads(lock_path(plan).read_text())


def test_a_stage_that_has_no_region_now_keeps_its_pins(
    sectors: Sectors, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no config"))
    again, left_out = pinned_anew(plan_of(tmp_path, sectors, region=None), lock)
    assert left_out == ("dev",)
    assert again == lock


APP = """
import json, sys
from factory_cdk.stacks.library import FactoryStage, cdk
stage = FactoryStage(cdk.App(outdir=sys.argv[1]), plan="factory-plan.yml", stage="dev")
print(json.dumps({stack.name: [one.logical_id for one in stack.resources] for stack in stage.design.stacks}))
"""


@pytest.mark.slow
def test_the_cdk_app_the_construct_library_and_python_give_the_design_of_the_command_line(tmp_path: Path) -> None:
    write_plan(tmp_path, boxes(300, each=10))
    cli(tmp_path, "lock", "--quiet", "--region", "eu-west-2")
    write_plan(tmp_path, {"first": ["new"], **boxes(300, each=10)})
    cli(tmp_path, "synth", "--stage", "dev", "-o", "synth")
    written = {file.name: file.read_bytes() for file in (tmp_path / "synth").glob("*.template.json")}
    assert len(written) == 3
    placed = queues_of(tmp_path / "synth")
    for queue, stack in json.loads((tmp_path / "plan.lock").read_text())["queue_stacks"]["dev"].items():
        assert placed[f"works-dev-{queue}"] == f"{stack}.template.json"

    for pack in ("true", "false"):
        context = json.dumps({"plan": "factory-plan.yml", "stage": "dev", "pack": pack})
        outdir = tmp_path / f"app-{pack}"
        done = run(tmp_path, "factory_cdk.stacks", CDK_CONTEXT_JSON=context, CDK_OUTDIR=str(outdir))
        assert done.returncode == 0, done.stderr
        assert {file.name: file.read_bytes() for file in outdir.glob("*.template.json")} == written

    resources = {
        name.removesuffix(".template.json"): set(json.loads(content)["Resources"]) for name, content in written.items()
    }
    (tmp_path / "app.py").write_text(APP)
    done = run(tmp_path, "app", str(tmp_path / "library"))
    assert done.returncode == 0, done.stderr
    assert {stack: set(ids) for stack, ids in json.loads(done.stdout).items()} == resources

    plan, cache = read_plan(tmp_path / "factory-plan.yml"), tmp_path / "home" / "cache"
    design = compile_packed(plan, "dev", cache=cache)
    assert {stack.name: {one.logical_id for one in stack.resources} for stack in design.stacks} == resources
    assert compile_at_hand(plan, "dev", cache=cache) == design


def test_validating_a_stage_needs_no_lock_and_says_so_when_there_is_a_broken_one(tmp_path: Path) -> None:
    write_plan(tmp_path, boxes(2), region="eu-west-2")
    assert stage_lock(read_plan(tmp_path / "factory-plan.yml"), "dev") is None
    cli(tmp_path, "validate", "--stage", "dev")
    (tmp_path / "plan.lock").write_text("<<<<<<< ours\n")
    cli(tmp_path, "validate")  # the plan alone is not about its lock
    done = run(tmp_path, "factory_cdk", "validate", "--plan", "factory-plan.yml", "--stage", "dev")
    assert (done.returncode, done.stdout) == (1, "")
    assert "plan.lock contains an unresolved merge conflict" in done.stderr
    assert "help: resolve it, then run `factory-cdk lock`" in done.stderr
    assert "Traceback" not in done.stderr


def test_validating_without_a_stage_imports_neither_the_design_nor_the_packing(tmp_path: Path) -> None:
    write_plan(tmp_path, boxes(2), region="eu-west-2")

    def imported(*more: str) -> set[str]:
        command = ["-X", "importtime", "-m", "factory_cdk", "validate", "--plan", "factory-plan.yml", *more]
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    heavy = {"jinja2", "factory_cdk.compile", "factory_cdk.design.designing", "factory_cdk.pack"}
    assert imported() & heavy == set()
    assert imported("--stage", "dev") & heavy == heavy


def test_nobody_but_compile_resolves_or_designs_a_stage() -> None:
    package = Path(factory_cdk.__file__).parent
    users: dict[str, set[str]] = {"resolve_stage": set(), "design_stage": set()}
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.id] if isinstance(node, ast.Name) else [node.attr] if isinstance(node, ast.Attribute) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            for name in users.keys() & set(names):
                users[name].add(file.relative_to(package).as_posix())
    assert users == {"resolve_stage": {"compile.py"}, "design_stage": {"compile.py"}}
