"""What an update does: a change of every key of the plan language, on stacks that an emulated CloudFormation has."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from emulator import Emulator
from patience import until
from stack_templates import read, resources, stage_plan, synthesized, with_empty_assets
from update_plans import (
    CHANGES,
    ELSEWHERE,
    IN_PLACE,
    PLAN,
    REPLACED,
    RESTARTED,
    SIGNALLED,
    UNCHANGED,
    Change,
    Yaml,
    all_keys,
)

from factory_cdk.bundle import Bundle, unpacked
from factory_cdk.design.designing import design_stage
from factory_cdk.design.model import StageDesign
from factory_cdk.design.stale import ExistingStack, stale_stacks
from factory_cdk.plan.model import StagePlan

FAST = ("factory.tags", "argument.processes", "sector.parameters", "sector.availability", "sector.region_name")
"""The keys whose changes are tried in every run of the tests."""


def packed(plan: StagePlan, folder: Path) -> dict[str, Bundle]:
    """A bundle for every bot that is another one when the plan says anything else of its source."""
    bundles = {}
    for bot in plan.bots:
        stand_in = unpacked(bot)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(zipfile.ZipInfo("bots.py"), f"{stand_in.digest} {bot.requirements_path}")
        file = folder / f"{bot.name}.zip"
        file.write_bytes(content.getvalue())
        digest = sha256(content.getvalue()).hexdigest()
        bundles[bot.name] = replace(stand_in, packed=True, archive=str(file), archive_sha256=digest)
    return bundles


@dataclass(frozen=True)
class Version:
    """A version of the plan: its design and its assembly."""

    design: StageDesign
    assembly: Path

    @property
    def where(self) -> dict[str, str]:
        """The regions of the stacks by their names."""
        return {stack.name: stack.region for stack in self.design.stacks}

    def stack_of_box(self) -> str:
        (box,) = [sector for sector in self.design.sectors if sector.name == "box"]
        assert box.stack is not None
        return box.stack


def version(plan: Yaml, folder: Path, **more: Any) -> Version:
    folder.mkdir()
    staged = stage_plan(json.dumps(plan), folder)
    design = design_stage(staged, packed(staged, folder), **more)
    synthesized(design, folder / "cdk.out")
    with_empty_assets(design, folder / "cdk.out")
    return Version(design, folder / "cdk.out")


def ended(aws: Emulator, stack: str, region: str) -> str:
    """The status in which what is done to `stack` ends."""

    def status() -> str | None:
        found = aws.status(stack, region)
        return None if found.endswith("IN_PROGRESS") else found

    return until(status)


class Deployed:
    """The stacks of a stage in the emulator."""

    def __init__(
        self, aws: Emulator, first: Version, release_parameter: str = "/factory-cdk/matrix/dev/box/release"
    ) -> None:
        self.aws = aws
        self.version = first
        self.release_parameter = release_parameter
        for stack, region in first.where.items():
            aws.publish(first.assembly, stack)
            aws.create(first.assembly, stack, region)
            if stack == first.stack_of_box():
                aws.signal(self.release_parameter, region)
            assert ended(self.aws, stack, region) == "CREATE_COMPLETE"

    def replace_gone(self, new: Version) -> str:
        """Update the stack of a sector whose instance is gone; the id of the new one."""
        self._update(new, new.stack_of_box(), "eu-west-2", self.release())
        return self.instance()[0]

    def instance(self) -> tuple[str, str]:
        """The id of the running instance, and since when it runs."""
        filters = [
            {"Name": "tag:factory-cdk:sector", "Values": ["box"]},
            {"Name": "tag:factory-cdk:factory", "Values": [self.version.design.factory]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        found = self.aws.client("ec2").describe_instances(Filters=filters)["Reservations"]
        (one,) = [instance for reservation in found for instance in reservation["Instances"]]
        return one["InstanceId"], str(one["LaunchTime"])

    def release(self) -> dict[str, Any]:
        value = self.aws.client("ssm").get_parameter(Name=self.release_parameter)["Parameter"]["Value"]
        found = json.loads(value)
        assert isinstance(found, dict)
        return found

    def update(self, new: Version) -> str:
        """Update every stack to `new`, answering as an instance does that is told to install something; the effect."""
        if set(self.version.where.items()) != set(new.where.items()) and new.stack_of_box() not in self.version.where:
            return ELSEWHERE
        before, told = self.instance(), self.release()
        changed = [self._update(new, stack, region, told) for stack, region in new.where.items()]
        after, now = self.instance(), self.release()
        self.version = new
        if after[0] != before[0]:
            return REPLACED
        if after[1] != before[1]:
            return RESTARTED
        if now["signal"] != told["signal"]:
            return SIGNALLED
        assert now["booted"] == told["booted"]
        return IN_PLACE if any(changed) else UNCHANGED

    def _update(self, new: Version, stack: str, region: str, told: dict[str, Any]) -> bool:
        """Whether there was anything to update in the stack of the instance."""
        self.aws.publish(new.assembly, stack)
        template = read(new.assembly / f"{stack}.template.json")
        if stack not in self.version.where or self.version.where[stack] != region:
            if self.aws.status(stack, region) == "GONE":  # else it is stale, and has been left
                self.aws.create(new.assembly, stack, region)
                assert ended(self.aws, stack, region) == "CREATE_COMPLETE"
            return False
        old = read(self.version.assembly / f"{stack}.template.json")
        if template["Resources"] == old["Resources"]:
            return False  # CloudFormation: "No updates are to be performed", whatever the metadata says
        self.aws.update(new.assembly, stack, region)
        kind = "AWS::CloudFormation::WaitConditionHandle"
        handles, before = resources(template, kind), resources(old, kind)
        if handles.keys() != before.keys():
            until(lambda: self.release()["signal"] != told["signal"])
            self.aws.signal(self.release_parameter, region)
        assert ended(self.aws, stack, region) == "UPDATE_COMPLETE"
        return stack == new.stack_of_box()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return version(PLAN, tmp_path_factory.mktemp("first") / "plan")


@pytest.fixture(scope="module")
def deployed(aws: Emulator, first: Version) -> Deployed:
    for region in ("eu-west-1", "eu-west-2"):
        aws.bootstrap(region)
    return Deployed(aws, first)


def named(change: Change) -> str:
    return f"{change.covers}={json.dumps(change.value, default=str)[:20]}"


SLOW = [change for change in CHANGES if change.covers not in FAST]
QUICK = [change for change in CHANGES if change.covers in FAST]


def test_every_key_of_the_plan_language_is_changed_once() -> None:
    assert {change.covers for change in CHANGES} == all_keys()


@pytest.mark.parametrize(
    "change", [*QUICK, *(pytest.param(change, marks=pytest.mark.e2e) for change in SLOW)], ids=named
)
def test_a_change_does_to_the_instance_what_the_table_says(
    change: Change, deployed: Deployed, first: Version, tmp_path: Path
) -> None:
    deployed.update(first)  # nothing, unless the test before this one has failed
    new = version(change.plan, tmp_path / "new")
    assert deployed.update(new) == change.effect
    if change.effect == ELSEWHERE:
        existing = [ExistingStack(stack.name, stack.region, stack.tags) for stack in first.design.stacks]
        stale = {stack.name for stack in stale_stacks(new.design, existing)}
        assert (first.stack_of_box() in stale) == (new.design.factory == first.design.factory)
    else:
        back = deployed.update(first)
        assert back == change.effect, "the way back"


@pytest.mark.e2e
def test_a_queue_that_the_plan_has_no_more_keeps_its_jobs(
    aws: Emulator, deployed: Deployed, first: Version, tmp_path: Path
) -> None:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="matrix-dev-spare")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a job")
    deployed.update(first)
    (change,) = [change for change in CHANGES if change.path.endswith("box.bots.spare")]
    assert deployed.update(version(change.plan, tmp_path / "without")) == SIGNALLED
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
    assert message["Body"] == "a job"


@pytest.mark.e2e
def test_an_instance_that_is_gone_is_made_again_by_the_next_generation(aws: Emulator, tmp_path: Path) -> None:
    plan = Change("", "name", "again", "").plan
    before = version(plan, tmp_path / "before")
    deployed = Deployed(aws, before, "/factory-cdk/again/dev/box/release")
    old, _ = deployed.instance()
    aws.client("ec2").terminate_instances(InstanceIds=[old])
    after = version(plan, tmp_path / "after", generations={"box": 2})
    assert deployed.replace_gone(after) != old


@pytest.mark.e2e
def test_a_sector_moves_to_another_stack_and_back_beside_the_one_it_leaves(aws: Emulator, tmp_path: Path) -> None:
    plan = Change("", "name", "moving", "").plan
    before = version(plan, tmp_path / "before")
    Deployed(aws, before, "/factory-cdk/moving/dev/box/release")
    after = version(plan, tmp_path / "after", pinned={"box": "moving-dev-eu-west-2-2"})
    stack = after.stack_of_box()
    assert stack == "moving-dev-eu-west-2-2"
    aws.publish(after.assembly, stack)
    aws.create(after.assembly, stack, "eu-west-2")
    aws.signal("/factory-cdk/moving/dev/box.2/release", "eu-west-2")
    assert ended(aws, stack, "eu-west-2") == "CREATE_COMPLETE"
    existing = [ExistingStack(one.name, one.region, one.tags) for one in (*before.design.stacks, *after.design.stacks)]
    assert [one.name for one in stale_stacks(after.design, existing)] == ["moving-dev-eu-west-2"]
