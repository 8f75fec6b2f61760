"""A cloud assembly as the old side: what `synth` wrote from a plan is the same as the plan."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from two_versions import REGION, base, sector, side, stage, write

from factory_cdk.compile import compile_at_hand
from factory_cdk.diagnostics import FactoryError
from factory_cdk.plan.load import read_plan
from factory_cdk.review.model import Report, Verdict
from factory_cdk.review.reviewing import reviewed
from factory_cdk.review.sides.of_assembly import side_of_assembly
from factory_cdk.stacks.assembly import write_assembly

CODE = {"code/reader/requirements.txt": ""}


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assembly of the stage `prod` of the base plan, in a folder beside the plan's."""
    folder = tmp_path_factory.mktemp("assembly")
    plan = base()
    plan["factory"]["bots"]["reader"]["config"] = {"TEXT": "x" * 5000}  # more than one parameter
    plan["factory"]["stages"]["prod"]["there"] = {
        **plan["factory"]["stages"]["prod"]["box"],
        "region_name": "eu-west-1",
        "platform": "windows",
        "bots": {"writer": {"queue-name": "later", "visibility-timeout": 300}},
    }
    file = write(folder / "plan", plan)
    design = compile_at_hand(read_plan(file), "prod", cache=folder / "plan" / ".cache", region=REGION)
    write_assembly(design, folder / "cdk.out")
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def review(synthesized: Path, change: Any = None, **more: Any) -> Report:
    plan = json.loads((synthesized / "plan.json").read_text())
    if change is not None:
        change(plan["factory"])
    after = side(synthesized / "plan", plan)
    return reviewed("factory-plan.yml", side_of_assembly(synthesized / "cdk.out"), after, **more)


def test_the_plan_that_was_synthesized_is_unchanged(synthesized: Path) -> None:
    found = review(synthesized)
    assert not found.differs, found
    assert {one.name for one in stage(found).sectors} == {"box", "there"}
    assert stage(found).versions is None


def test_what_was_changed_since_is_told(synthesized: Path) -> None:
    def change(factory: dict[str, Any]) -> None:
        factory["stages"]["prod"]["box"]["parameters"]["ImageId"] = "ami-0fedcba9876543210"
        factory["config"]["LEVEL"] = "debug"
        factory["stages"]["prod"]["there"]["bots"]["writer"]["visibility-timeout"] = 600

    found = review(synthesized, change)
    assert {one.what for one in sector(found).why} == {"ImageId", "config.reader.LEVEL"}
    assert sector(found).verdict is Verdict.REPLACED
    assert {one.what for one in sector(found, "there").why} == {
        "bots.writer.visibility-timeout",
        "config.writer.LEVEL",
    }
    queues = {one.name: one.verdict for one in stage(found).queues}
    assert queues["later"] is Verdict.CHANGED


def test_a_stage_that_the_assembly_has_not_is_not_compared_unless_it_is_named(synthesized: Path) -> None:
    def change(factory: dict[str, Any]) -> None:
        factory["stages"]["test"] = {"here": {"type": "local", "bots": {"writer": {}}}}

    found = review(synthesized, change)
    assert [one.name for one in found.stages] == ["prod"]
    assert any("test" in note for note in found.notes)
    named = review(synthesized, change, stages=["test"])
    assert [one.verdict for one in named.stages] == [Verdict.ADDED]


def test_an_upgrade_of_factory_cdk_is_told(synthesized: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(synthesized / "cdk.out", old)
    for file in old.glob("*.template.json"):
        text = file.read_text()
        version = json.loads(text)["Metadata"]["factory-cdk"]["version"]
        file.write_text(text.replace(f'"{version}"', '"0.0.9"'))
    plan = json.loads((synthesized / "plan.json").read_text())
    found = reviewed("plan", side_of_assembly(old), side(synthesized / "plan", plan))
    versions = stage(found).versions
    assert versions is not None and versions[0] == "0.0.9"
    assert sector(found).why == (), "a version alone does nothing to a sector"
    assert sector(found).verdict is Verdict.UNCHANGED


def test_a_queue_that_its_template_does_not_keep_is_deleted_with_its_jobs(synthesized: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(synthesized / "cdk.out", old)
    for file in old.glob("*.template.json"):
        template = json.loads(file.read_text())
        for resource in template["Resources"].values():
            resource.pop("DeletionPolicy", None)
        file.write_text(json.dumps(template))
    plan = json.loads((synthesized / "plan.json").read_text())
    plan["factory"]["stages"]["prod"]["there"]["bots"]["writer"]["queue-name"] = "other"
    found = reviewed("plan", side_of_assembly(old), side(synthesized / "plan", plan))
    (gone,) = (one for one in stage(found).queues if one.name == "later")
    assert gone.loses_jobs and "deleted, with the jobs" in gone.jobs
    (kept,) = (one for one in stage(review(synthesized, lambda factory: None)).queues if one.name == "later")
    assert kept.verdict is Verdict.UNCHANGED


def damage(folder: Path, name: str, content: str | None) -> None:
    (file,) = folder.glob(name)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", None),
        ("manifest.json", "{"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"artifacts": {"a": {"type": "aws:cloudformation:stack", "properties": {}}}}'),
        (
            "manifest.json",
            '{"artifacts": {"a": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "../../x"}}}}',
        ),
        ("manifest.json", '{"artifacts": {}}'),
        ("manifest.json", '{"artifacts": {"a": []}}'),
        ("manifest.json", '{"artifacts": {"a": {"type": "aws:cloudformation:stack", "properties": []}}}'),
        ("mill-prod-queues.template.json", None),
        ("mill-prod-queues.template.json", "[" * 100_000),
        ("mill-prod-eu-west-2.template.json", '{"Metadata": {"factory-cdk": {"stage": "prod"}}}'),
        (
            "mill-prod-eu-west-2.template.json",
            '{"Metadata": {"factory-cdk": {"stage": "prod", "factory": "mill", "version": "1", "sectors": ["box"]}}}',
        ),
    ],
)
def test_what_is_no_assembly_is_refused(name: str, content: str | None, synthesized: Path, tmp_path: Path) -> None:
    shutil.copytree(synthesized / "cdk.out", tmp_path / "cdk.out")
    damage(tmp_path / "cdk.out", name, content)
    with pytest.raises(FactoryError) as refused:
        side_of_assembly(tmp_path / "cdk.out").stage("prod")
    assert refused.value.remedy


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(FactoryError, match="is not a file"):
        side_of_assembly(tmp_path)


def test_a_manifest_of_a_release_that_is_not_there_is_refused(synthesized: Path, tmp_path: Path) -> None:
    shutil.copytree(synthesized / "cdk.out", tmp_path / "cdk.out")
    for file in (tmp_path / "cdk.out").glob("asset.*.json"):
        file.unlink()
    with pytest.raises(FactoryError, match="cannot be read"):
        side_of_assembly(tmp_path / "cdk.out").stage("prod")


def test_the_assembly_of_an_app_of_typed_constructs_is_the_same(tmp_path: Path) -> None:
    """The construct library writes the same resources in another order."""
    file = write(tmp_path / "plan", base())
    app = tmp_path / "app.py"
    app.write_text(
        "from factory_cdk.stacks.library import FactoryStage\n"
        "import aws_cdk as cdk\n"
        f"app = cdk.App(outdir={str(tmp_path / 'cdk.out')!r})\n"
        f"FactoryStage(app, plan={str(file)!r}, stage='prod', region={REGION!r})\n"
        "app.synth()\n"
    )
    environment = {"FACTORY_CDK_HOME": str(tmp_path / "home"), "CDK_VALIDATION": "false", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, str(app)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = side(tmp_path / "plan", base())
    found = reviewed("plan", side_of_assembly(tmp_path / "cdk.out"), after)
    assert not found.differs, list(stage(found).resources)
