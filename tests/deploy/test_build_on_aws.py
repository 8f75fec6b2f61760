"""`build` and `demolish` of a stage in two regions: all of it or nothing, whatever happens in between."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from answering import FAILURE, SILENT, SUCCESS, Answering, answering
from emulator import ACCOUNT, Emulator
from patience import PATIENCE, until

HOME, AWAY = "eu-west-2", "eu-west-1"
INSTANCE = "type: aws, parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}"
PLAN = """
factory:
  name: FACTORY
  debug: {demolish_on_failure: TAKE_BACK}
  bots:
    cut: {source: {path: code}, bot_path: "bots:run", secrets: [TOKEN]}
    weigh: {source: {path: code}, bot_path: "bots:run"}
  workflows: {flow: {cut: weigh}}
  alarms:
    idle: {MetricName: CPUUtilization, Namespace: AWS/EC2, Statistic: Average, Period: 60, EvaluationPeriods: 10,
           ComparisonOperator: LessThanThreshold, Threshold: IDLE, AlarmActions: [stop]}
  stages:
    prod:
      workflow: flow
      MORE
      north: {INSTANCE, region_name: eu-west-2, alarm: idle, bots: {cut: {}}}
      south: {INSTANCE, region_name: SOUTH, bots: {weigh: {}}}
"""
SECRET = "violet-harbour"
_numbers = itertools.count(1)


@dataclass
class Works:
    """A plan in a folder of its own, whose instances answer as `instances` says."""

    aws: Emulator
    folder: Path
    factory: str
    instances: Answering
    more: str = ""
    south: str = AWAY
    take_back: bool = True
    idle: int = 5

    @property
    def path(self) -> str:
        return f"/factory-cdk/{self.factory}/prod"

    @property
    def stacks(self) -> dict[str, str]:
        """The regions of its stacks by their names."""
        prefix = f"{self.factory}-prod"
        return {f"{prefix}-queues": HOME, f"{prefix}-{HOME}": HOME, f"{prefix}-{self.south}": self.south}

    def write(self, code: str) -> None:
        """Write the plan, and the code of its bots."""
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code/bots.py").write_text(f"def run(payload):\n    return {code}\n")
        text = PLAN.replace("FACTORY", self.factory).replace("INSTANCE", INSTANCE).replace("MORE", self.more)
        text = (
            text.replace("SOUTH", self.south)
            .replace("TAKE_BACK", str(self.take_back).lower())
            .replace("IDLE", str(self.idle))
        )
        (self.folder / "factory-plan.yml").write_text(text)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environ = {**os.environ, **self.aws.environment, "AWS_REGION": HOME, "TOKEN": SECRET, **variables}
        environ["FACTORY_CDK_HOME"] = str(self.folder / "home")
        command = [sys.executable, "-m", "factory_cdk", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """What a command says."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=PATIENCE)
        said = out + err
        assert process.returncode == code, said
        assert "Traceback" not in said
        assert SECRET not in said
        return said

    def build(self, code: int = 0, **variables: str) -> str:
        return self.run(*self.BUILD, code=code, **variables)

    BUILD = ("build", "--plan", "factory-plan.yml", "--stage", "prod", "--yes")

    def demolish(self, *arguments: str, code: int = 0) -> str:
        return self.run("demolish", "--name", self.factory, "--stage", "prod", "--yes", *arguments, code=code)

    # What is there

    def statuses(self) -> list[str]:
        return [self.aws.status(name, region) for name, region in self.stacks.items()]

    def releases(self) -> list[str]:
        """The releases that the parameters name."""
        found = []
        for sector, region in (("north", HOME), ("south", self.south)):
            answer = self.aws.client("ssm", region).get_parameters(Names=[f"{self.path}/{sector}/release"])
            found += [json.loads(one["Value"])["release"] for one in answer["Parameters"]]
        return found

    def gates(self) -> list[str]:
        answers = [
            self.aws.client("ssm", region).get_parameters(Names=[f"{self.path}/gate"]) for region in (HOME, AWAY)
        ]
        return [one["Value"] for answer in answers for one in answer["Parameters"]]

    def parameters(self) -> list[str]:
        """The names of all that is under the path of the stage."""
        found = []
        for region in (HOME, AWAY, self.south):
            pages = self.aws.client("ssm", region).get_paginator("get_parameters_by_path")
            found += [
                one["Name"] for page in pages.paginate(Path=self.path, Recursive=True) for one in page["Parameters"]
            ]
        return found

    def remains(self) -> list[str]:
        """Whatever the account has of the stage."""
        found = [
            name
            for name, region in self.stacks.items()
            if self.aws.status(name, region) not in ("GONE", "DELETE_COMPLETE")
        ]
        found += self.parameters()
        for region in (HOME, AWAY):
            logs = self.aws.client("logs", region).describe_log_groups(logGroupNamePrefix=self.path)["logGroups"]
            found += [one["logGroupName"] for one in logs]
            secrets = self.aws.client("secretsmanager", region).list_secrets()["SecretList"]
            found += [one["Name"] for one in secrets if self.path[1:] in one["Name"]]
            for reservation in self.aws.client("ec2", region).describe_instances()["Reservations"]:
                found += [
                    one["InstanceId"]
                    for one in reservation["Instances"]
                    if {"Key": "factory-cdk:factory", "Value": self.factory} in one.get("Tags", [])
                    and one["State"]["Name"] != "terminated"
                ]
        found += self.aws.client("sqs", HOME).list_queues(QueueNamePrefix=self.factory).get("QueueUrls", [])
        found += [one for one in self.aws.client("dynamodb", HOME).list_tables()["TableNames"] if self.factory in one]
        return found

    def instance(self, sector: str, region: str) -> Any:
        """The running instance of a sector."""
        filters = [
            {"Name": "tag:Name", "Values": [f"{self.factory}.prod.{sector}"]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        reservations = self.aws.client("ec2", region).describe_instances(Filters=filters)["Reservations"]
        (one,) = [one for reservation in reservations for one in reservation["Instances"]]
        return one["InstanceId"]

    def build_until_one_waits(self, then: signal.Signals | None = None) -> subprocess.Popen[str]:
        """A build whose north is ready and waits for the south, which says nothing; it gets the signal `then`."""
        self.instances.says["south"] = SILENT
        process = self.start(*self.BUILD)
        self.until_said(process, f"{self.factory}-prod-{HOME}: ready")
        if then is not None:
            process.send_signal(then)
        return process

    def until_said(self, process: subprocess.Popen[str], text: str) -> str:
        """Read what a command says until `text` is in it."""
        said = ""
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if text in line:
                return said
        raise AssertionError(said)


@pytest.fixture
def works(aws: Emulator, tmp_path: Path, worker_id: str) -> Iterator[Works]:
    for region in (HOME, AWAY, "eu-central-1"):
        aws.bootstrap(region)
    factory = f"built{worker_id.removeprefix('gw')}x{next(_numbers)}"
    with answering(aws, f"/factory-cdk/{factory}/prod", {"north": HOME, "south": AWAY}) as instances:
        made = Works(aws, tmp_path, factory, instances)
        made.write("1")
        yield made


DONE = ["CREATE_COMPLETE"] * 3


@pytest.mark.slow
def test_a_stage_is_built_updated_and_demolished(works: Works) -> None:
    said = works.build()
    assert works.statuses() == DONE
    assert works.gates() == [], "bots get jobs"
    assert len(works.releases()) == 2
    (secret,) = [
        one
        for one in works.aws.client("secretsmanager", HOME).list_secrets()["SecretList"]
        if works.path[1:] in one["Name"]
    ]
    value = works.aws.client("secretsmanager", HOME).get_secret_value(SecretId=secret["ARN"])["SecretString"]
    assert json.loads(value) == {"TOKEN": SECRET}
    assert f"{works.factory}/prod is built" in said
    assert [name for name in works.parameters() if "deployment" in name] == []

    assert "nothing was changed" in works.build()
    assert works.statuses() == DONE

    before = works.releases()
    works.write("2")
    reviewed = works.run("review", "--plan", "factory-plan.yml", "--against", "deployed", code=2)
    assert "bots.cut.code" in reviewed and "AWS was asked" in reviewed
    assert "bots.cut.code" in works.build(), "the review is shown before the question"
    assert works.statuses() == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]
    assert not set(before) & set(works.releases())
    assert "nothing was changed" in works.build()

    listed = json.loads(works.run("list", "--aws", "--format", "json").partition("\n\n")[0].rpartition("]")[0] + "]")
    assert works.factory in [one["factory"] for one in listed]
    said = works.demolish("--cold")
    assert "is demolished" in said
    assert works.remains() == []


@pytest.mark.slow
def test_an_update_that_fails_in_one_region_is_taken_back_in_all(works: Works) -> None:
    works.build()
    before = works.releases()
    works.write("2")
    works.instances.says["south"] = FAILURE
    said = works.build(code=1)
    assert f"{works.factory}-prod-{AWAY}" in said and "everything is as it was before" in said
    assert works.statuses() == ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
    assert works.releases() == before
    assert [name for name in works.parameters() if "deployment" in name] == []
    works.instances.says["south"] = SUCCESS
    works.build()
    assert not set(before) & set(works.releases())


@pytest.mark.slow
def test_a_first_build_that_fails_leaves_nothing(works: Works) -> None:
    works.instances.says["south"] = FAILURE
    said = works.build(code=1)
    assert "WaitCondition received failed message" in said
    assert works.remains() == []


@pytest.mark.e2e
def test_what_fails_is_kept_where_the_plan_says_so_and_the_next_build_goes_on(works: Works) -> None:
    works.take_back = False
    works.write("1")
    works.instances.says["south"] = FAILURE
    said = works.build(code=1)
    assert "demolish_on_failure is false" in said and "factory-cdk demolish" in said
    _, north, south = works.statuses()
    assert south == "CREATE_FAILED"
    assert north == "CREATE_IN_PROGRESS", "it waits at its gate, to be looked at"
    works.instances.says["south"] = SUCCESS
    works.build()
    assert works.statuses() == DONE
    assert works.gates() == []


@pytest.mark.e2e
@pytest.mark.parametrize("first", [True, False], ids=["first build", "update"])
def test_a_build_that_is_killed_is_gone_on_with(works: Works, first: bool) -> None:
    if not first:
        works.build()
        works.write("2")
    process = works.build_until_one_waits()
    second = works.build(code=1)
    assert "is being deployed already: build of" in second and f"process {process.pid}" in second
    process.kill()
    process.wait()
    told = works.run("info", "--name", works.factory, "--stage", "prod")
    assert "did not end" in told, "info says what is half done"
    if first:
        assert works.gates(), "no bot gets a job yet"
    instances = works.instance("north", HOME)
    works.instances.says["south"] = SUCCESS
    said = works.build()
    assert "did not end" in said and "going on" in said
    assert works.statuses() == (DONE if first else ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"])
    assert works.instance("north", HOME) == instances, "nothing is made twice"
    assert works.gates() == []


@pytest.mark.e2e
def test_another_plan_after_a_killed_build_takes_that_back_first(works: Works) -> None:
    works.build()
    works.write("2")
    works.build_until_one_waits(then=signal.SIGKILL).wait()
    works.write("3")
    works.instances.says["south"] = SUCCESS
    said = works.build()
    assert "taking back" in said
    assert works.statuses() == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]
    assert "nothing was changed" in works.build()


@pytest.mark.e2e
def test_a_build_that_is_interrupted_takes_everything_back(works: Works) -> None:
    works.build()
    before = works.releases()
    works.write("2")
    process = works.build_until_one_waits(then=signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert works.releases() == before
    assert works.statuses() == ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
    assert [name for name in works.parameters() if "deployment" in name] == []


@pytest.mark.e2e
def test_a_commit_that_was_decided_is_finished_by_the_next_command(works: Works) -> None:
    """What can tear is mended: one region has got its signal, and the process dies before the other has."""
    works.build()
    works.write("2")
    works.build_until_one_waits(then=signal.SIGKILL).wait()
    works.instances.says["south"] = SUCCESS
    until(lambda: gate_of(works, AWAY))
    ssm = works.aws.client("ssm", HOME)
    (name,) = [one for one in works.parameters() if "deployment" in one]
    record = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    ssm.put_parameter(Name=name, Value=json.dumps({**record, "decision": "commit"}), Type="String", Overwrite=True)
    works.aws.answer(gate_of(works, HOME), "SUCCESS")
    until(lambda: works.aws.status(f"{works.factory}-prod-{HOME}", HOME) == "UPDATE_COMPLETE")
    works.write("3")
    said = works.build()
    assert "finishing its commit" in said
    assert works.statuses() == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]
    assert "nothing was changed" in works.build()


def gate_of(works: Works, region: str) -> str:
    """The URL of the gate that a region's stack waits at; empty as long as it does not."""
    stack, client = f"{works.factory}-prod-{region}", works.aws.client("cloudformation", region)
    last = client.describe_stack_events(StackName=stack)["StackEvents"][0]
    gate = last["LogicalResourceId"]
    if gate not in ("CommitA", "CommitB") or not last["ResourceStatus"].endswith("_IN_PROGRESS"):
        return ""
    found = client.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    return next(str(one["PhysicalResourceId"]) for one in found if one["LogicalResourceId"] == f"{gate}Handle")


@pytest.mark.e2e
def test_a_sector_that_moves_to_another_region_takes_its_stack_along(works: Works) -> None:
    works.build()
    works.south = "eu-central-1"
    works.write("1")
    works.instances.sectors = {"north": HOME, "south": "eu-central-1"}
    said = works.build()
    assert f"delete  {works.factory}-prod-{AWAY} ({AWAY})" in said
    assert works.aws.status(f"{works.factory}-prod-{AWAY}", AWAY) in ("GONE", "DELETE_COMPLETE")
    assert works.aws.status(f"{works.factory}-prod-eu-central-1", "eu-central-1") == "CREATE_COMPLETE"


@pytest.mark.e2e
def test_an_instance_that_its_alarm_has_terminated_is_made_again(works: Works) -> None:
    works.build()
    before = works.instance("north", HOME)
    works.aws.client("ec2", HOME).terminate_instances(InstanceIds=[before])
    said = works.build()
    assert f"the instance {before} of sector north ({HOME}) is gone: it is made again" in said
    after = works.instance("north", HOME)
    assert after != before
    assert "nothing was changed" in works.build()
    assert works.instance("north", HOME) == after


@pytest.mark.e2e
def test_a_protected_stage_is_not_demolished_until_its_plan_says_so(works: Works) -> None:
    works.more = "protect: true"
    works.write("1")
    works.build()
    said = works.demolish("--cold", code=1)
    assert "termination protection" in said and "protect: false" in said
    assert works.statuses() == DONE
    works.more = "protect: false"
    works.write("1")
    assert "termination protection is off" in works.build()
    works.demolish("--cold")
    assert works.remains() == []


@pytest.mark.e2e
def test_what_was_changed_beside_cloudformation_is_told_before_the_question(works: Works) -> None:
    works.build()
    works.aws.client("logs", HOME).put_retention_policy(logGroupName=f"{works.path}/north", retentionInDays=1)
    works.write("2")
    said = works.build()
    assert f"drift: NorthLogGroup of {works.factory}-prod-{HOME} ({HOME}) was changed (/RetentionInDays)" in said


@pytest.mark.e2e
def test_what_a_deleted_stack_has_kept_is_named(works: Works) -> None:
    works.build()
    for name, region in reversed(works.stacks.items()):
        works.aws.client("cloudformation", region).delete_stack(StackName=name)
        until(lambda: works.aws.status(name, region) in ("GONE", "DELETE_COMPLETE"))  # noqa: B023
    said = works.build(code=1)
    assert "already exists" in said and "has kept it" in said
    assert set(works.statuses()) <= {"GONE", "DELETE_COMPLETE"}


@pytest.mark.e2e
def test_an_alarm_that_changes_acts_again(works: Works) -> None:
    """Its template has it off; an instance turns it on when its release or gate changes, which do not change here."""
    works.build()
    cloudwatch, name = works.aws.client("cloudwatch", HOME), f"{works.factory}.prod.north"
    cloudwatch.enable_alarm_actions(AlarmNames=[name])  # as the instance does
    works.idle = 6
    works.write("1")
    works.build()
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["ActionsEnabled"]) == (6.0, True)


@pytest.mark.e2e
def test_a_secret_that_has_no_value_is_told_before_anything_is_made(works: Works) -> None:
    plan = works.folder / "factory-plan.yml"
    plan.write_text(plan.read_text().replace("secrets: [TOKEN]", "secrets: [TOKEN_OF_NOBODY]"))
    assert "TOKEN_OF_NOBODY" in works.build(code=1)
    assert works.remains() == []


@pytest.mark.e2e
def test_a_region_that_is_not_bootstrapped_is_told_before_anything_is_made(works: Works) -> None:
    works.south = "eu-north-1"
    works.write("1")
    said = works.build(code=1)
    assert "eu-north-1 is not bootstrapped" in said and "cdk bootstrap" in said
    assert works.remains() == []


@pytest.mark.e2e
def test_a_stack_of_somebody_else_is_left_alone(works: Works) -> None:
    name = f"{works.factory}-prod-{HOME}"
    template = {"Resources": {"One": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}}}}
    client = works.aws.client("cloudformation", HOME)
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    until(lambda: works.aws.status(name, HOME) == "CREATE_COMPLETE")
    said = works.build(code=1)
    assert "that is none of this stage" in said
    client.delete_stack(StackName=name)


def test_nobody_is_asked_without_a_terminal(works: Works) -> None:
    said = works.run("build", "--plan", "factory-plan.yml", "--stage", "prod", code=1)
    assert "Nobody answered" in said and "--yes" in said
    assert works.remains() == []
    assert ACCOUNT not in said
