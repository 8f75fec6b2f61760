"""The templates, created and deleted by an emulated CloudFormation that really waits for the instances."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulator import ACCOUNT, Emulator
from patience import until
from stack_templates import packed, read, stage_plan, synthesized, user_data

from factory_cdk.design.designing import design_stage

PLAN = """
factory:
  name: emulated
  config: {LEVEL: info}
  bots:
    first: {source: {pypi: first, version: "1"}, bot_path: "bots:first", secrets: [TOKEN]}
    second: {source: {pypi: second, version: "1"}, bot_path: "bots:second"}
  workflows: {flow: {first: second}}
  alarms:
    idle: {MetricName: CPUUtilization, Namespace: AWS/EC2, Statistic: Average, Period: 60, EvaluationPeriods: 10,
           ComparisonOperator: LessThanThreshold, Threshold: '5', AlarmActions: [terminate]}
  stages:
    STAGE:
      workflow: flow
      here: &box
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {first: {}}
      there:
        <<: *box
        region_name: eu-west-1
        bots: {second: {}}
"""


class Stage:
    """A stage's assembly, packed, its home region `eu-west-2`."""

    def __init__(self, aws: Emulator, name: str, folder: Path, *, unpacked: bool = False) -> None:
        plan = stage_plan(PLAN.replace("STAGE", name), folder, name)
        self.aws = aws
        self.path = f"/factory-cdk/emulated/{name}"
        self.prefix = f"emulated-{name}"
        self.assembly = folder / "cdk.out"
        self.design = design_stage(plan, None if unpacked else packed(plan, folder))
        self.templates = synthesized(self.design, self.assembly)

    def create(self, kind: str, region: str = "eu-west-2") -> str:
        stack = f"{self.prefix}-{kind}"
        self.aws.publish(self.assembly, stack)
        self.aws.create(self.assembly, stack, region)
        return stack

    def ends(self, stack: str, region: str = "eu-west-2") -> str:
        """The status in which what is done to `stack` ends."""

        def ended() -> str | None:
            status = self.aws.status(stack, region)
            return None if status.endswith("IN_PROGRESS") else status

        return until(ended)

    def delete(self, stack: str, region: str = "eu-west-2") -> None:
        self.aws.client("cloudformation", region).delete_stack(StackName=stack)
        until(lambda: self.aws.status(stack, region) in ("GONE", "DELETE_COMPLETE"))


@pytest.fixture(scope="module", autouse=True)
def _bootstrapped(aws: Emulator) -> None:
    for region in ("eu-west-1", "eu-west-2"):
        aws.bootstrap(region)


def parameters(aws: Emulator, path: str) -> dict[str, Any]:
    pages = aws.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    return {one["Name"].removeprefix(path): json.loads(one["Value"]) for page in pages for one in page["Parameters"]}


def alarms(aws: Emulator, stack: str) -> list[Any]:
    found = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=stack.partition("-eu-")[0].replace("-", "."))
    found = found["MetricAlarms"]
    assert isinstance(found, list)
    return found


def running_instances(aws: Emulator, name: str, region: str) -> list[Any]:
    filters = [{"Name": "tag:Name", "Values": [name]}, {"Name": "instance-state-name", "Values": ["running"]}]
    found = aws.client("ec2", region).describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


@pytest.mark.slow
def test_a_packed_stage_is_created_waits_for_its_instance_and_is_deleted(aws: Emulator, tmp_path: Path) -> None:
    stage = Stage(aws, "whole", tmp_path)
    queues = stage.create("queues")
    assert stage.ends(queues) == "CREATE_COMPLETE"
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="emulated-whole-first")["QueueUrl"]
    redrive = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == f"arn:aws:sqs:eu-west-2:{ACCOUNT}:emulated-whole-first-dlq"

    stack = stage.create("eu-west-2")
    until(lambda: parameters(aws, f"{stage.path}/here/").get("release"))
    assert alarms(aws, stack) == [], "the alarm comes after the wait condition"
    assert aws.status(stack, "eu-west-2") == "CREATE_IN_PROGRESS"
    aws.signal(f"{stage.path}/here/release", "eu-west-2")
    assert stage.ends(stack) == "CREATE_COMPLETE"

    found = parameters(aws, f"{stage.path}/here/")
    assert found["config/first/1"] == {"LEVEL": "info"}
    release = found["release"]
    manifest = json.loads(aws.client("s3").get_object(Bucket=release["bucket"], Key=release["key"])["Body"].read())
    assert manifest["router"]["bots"]["first"]["successors"][0]["queue"] == "emulated-whole-second"
    key = manifest["bots"]["first"]["bundle"]["key"]
    assert aws.client("s3").get_object(Bucket=release["bucket"], Key=key)["Body"].read().startswith(b"PK")
    (instance,) = running_instances(aws, "emulated.whole.here", "eu-west-2")
    given = aws.client("ec2").describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    template = read(stage.assembly / f"{stack}.template.json")
    expected = user_data(template, template["Resources"]["HereInstance"])
    assert base64.b64decode(given["UserData"]["Value"]).decode() == expected
    (alarm,) = alarms(aws, stack)
    assert alarm["Dimensions"] == [{"Name": "InstanceId", "Value": instance["InstanceId"]}]
    assert alarm["AlarmActions"] == ["arn:aws:automate:eu-west-2:ec2:terminate"]
    assert alarm["ActionsEnabled"] is False
    name = manifest["bots"]["first"]["secrets"]["TOKEN"]["secret"]
    secret = aws.client("secretsmanager").describe_secret(SecretId=name)
    role = "emulated.whole.here.eu-west-2"
    policy = aws.client("iam").get_role_policy(RoleName=role, PolicyName="sector")["PolicyDocument"]
    statements = {one["Sid"]: one["Resource"] for one in policy["Statement"]}
    assert statements["ReadSecrets"] == [secret["ARN"]]
    own = f"arn:aws:sqs:eu-west-2:{ACCOUNT}:emulated-whole-first"
    assert statements["ReceiveJobs"] == [own, f"{own}-dlq"]
    assert f"arn:aws:s3:::{release['bucket']}/{release['key']}" in statements["ReadRelease"]

    stage.delete(stack)
    stage.delete(queues)
    assert parameters(aws, f"{stage.path}/") == {}
    assert alarms(aws, stack) == []
    assert sqs.get_queue_url(QueueName="emulated-whole-first")["QueueUrl"] == url, "jobs may be in it"
    assert aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"] == secret["ARN"]
    assert aws.client("dynamodb").describe_table(TableName=release["history"])["Table"]["KeySchema"]
    iam = aws.client("iam")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName=role)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_instance_profile(InstanceProfileName=role)


@pytest.mark.slow
def test_an_instance_that_fails_takes_its_stack_down_again(aws: Emulator, tmp_path: Path) -> None:
    stage = Stage(aws, "failing", tmp_path)
    stack = stage.create("eu-west-1", "eu-west-1")
    aws.signal(f"{stage.path}/there/release", "eu-west-1", "FAILURE")
    assert stage.ends(stack, "eu-west-1") == "ROLLBACK_COMPLETE"
    assert not running_instances(aws, "emulated.failing.there", "eu-west-1")
    stage.delete(stack, "eu-west-1")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["queues", "eu-west-2"])
def test_a_plain_deploy_of_unpacked_bots_is_refused_before_anything_is_made(
    kind: str, aws: Emulator, tmp_path: Path
) -> None:
    stage = Stage(aws, "unpacked", tmp_path, unpacked=True)
    with pytest.raises(ClientError, match="not packed: first"):
        stage.create(kind)
    assert aws.status(f"{stage.prefix}-{kind}", "eu-west-2") == "GONE"
