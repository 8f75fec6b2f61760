"""What the role of a sector may not do to its neighbours, as IAM decides it for the roles that the stacks have made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from emulator import ACCOUNT, Emulator, running
from patience import until
from stack_templates import packed, stage_plan, synthesized

from factory_cdk.design.designing import design_stage
from factory_cdk.design.naming import DEAD_LETTER_SUFFIX, Names

HOME, AWAY = "eu-west-2", "eu-west-1"
NAMES = Names("roles", "dev")
PLAN = """
factory:
  name: roles
  config: {LEVEL: info}
  bots:
    first: {source: {pypi: first, version: "1"}, bot_path: "bots:first", secrets: [TOKEN]}
    second: {source: {pypi: second, version: "1"}, bot_path: "bots:second", secrets: [OTHER]}
    third: {source: {pypi: third, version: "1"}, bot_path: "bots:third", secrets: [THIRD]}
  workflows: {flow: {first: {second: third}}}
  stages:
    dev:
      workflow: flow
      left: &box
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {first: {}}
      right:
        <<: *box
        bots: {second: {}}
      far:
        <<: *box
        region_name: eu-west-1
        bots: {third: {}}
"""
REGIONS = {"left": HOME, "right": HOME, "far": AWAY}


@dataclass(frozen=True)
class Account:
    """An account in which the stage is deployed."""

    aws: Emulator

    def decision(self, sector: str, action: str, resource: str) -> str:
        """What IAM says of `action` on `resource` for the role of `sector`."""
        (decided,) = self.aws.client("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/{NAMES.role(sector, REGIONS[sector])}",
            ActionNames=[action],
            ResourceArns=[resource],
        )["EvaluationResults"]
        return str(decided["EvalDecision"])

    def secret(self, sector: str) -> str:
        """The ARN of the secret that the template made for the bots of `sector`."""
        found = self.aws.client("secretsmanager", REGIONS[sector]).list_secrets()["SecretList"]
        (arn,) = [one["ARN"] for one in found if one["Name"].startswith(f"factory-cdk/roles/dev/{sector}/")]
        return str(arn)

    def manifest(self, sector: str) -> str:
        """The ARN of the object that the release of `sector` is."""
        said = self._release(sector)
        return f"arn:aws:s3:::{said['bucket']}/{said['key']}"

    def bundle(self, sector: str) -> str:
        """The ARN of the bundle of the bot of `sector`."""
        said = self._release(sector)
        body = self.aws.client("s3", REGIONS[sector]).get_object(Bucket=said["bucket"], Key=said["key"])["Body"]
        (bot,) = json.loads(body.read())["bots"].values()
        return f"arn:aws:s3:::{said['bucket']}/{bot['bundle']['key']}"

    def _release(self, sector: str) -> Any:
        client = self.aws.client("ssm", REGIONS[sector])
        return json.loads(client.get_parameter(Name=NAMES.path(sector, "release"))["Parameter"]["Value"])

    def parameter(self, sector: str, *parts: str) -> str:
        return f"arn:aws:ssm:{REGIONS[sector]}:{ACCOUNT}:parameter{NAMES.path(sector, *parts)}"

    def log_group(self, sector: str) -> str:
        return f"arn:aws:logs:{REGIONS[sector]}:{ACCOUNT}:log-group:{NAMES.path(sector)}:log-stream:i-0"

    def queue(self, queue: str, suffix: str = "") -> str:
        return f"arn:aws:sqs:{HOME}:{ACCOUNT}:{NAMES.queue(queue)}{suffix}"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("roles")
    with running(tmp_path_factory.mktemp("emulator")) as aws:
        plan = stage_plan(PLAN, folder)
        design = design_stage(plan, packed(plan, folder))
        assembly = folder / "cdk.out"
        synthesized(design, assembly)
        for region in (HOME, AWAY):
            aws.bootstrap(region)
        deploy(aws, assembly, NAMES.stack("queues"), HOME)
        deploy(aws, assembly, NAMES.stack(HOME), HOME, "left", "right")
        deploy(aws, assembly, NAMES.stack(AWAY), AWAY, "far")
        yield Account(aws)


def deploy(aws: Emulator, assembly: Path, stack: str, region: str, *sectors: str) -> None:
    """Create a stack, whose instances all say that they are up."""
    aws.publish(assembly, stack)
    aws.create(assembly, stack, region)
    for sector in sectors:
        aws.signal(NAMES.path(sector, "release"), region)
    until(lambda: not aws.status(stack, region).endswith("IN_PROGRESS"))
    assert aws.status(stack, region) == "CREATE_COMPLETE"


@pytest.mark.parametrize("neighbour", ["right", "far"])
def test_the_secret_of_another_sector(account: Account, neighbour: str) -> None:
    action = "secretsmanager:GetSecretValue"
    assert account.decision("left", action, account.secret("left")) == "allowed"
    assert account.decision("left", action, account.secret(neighbour)) == "implicitDeny"


@pytest.mark.parametrize("action", ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"])
@pytest.mark.parametrize("neighbour", ["right", "far"])
def test_the_parameters_of_another_sector(account: Account, neighbour: str, action: str) -> None:
    for parts in ((), ("release",), ("config", "any")):
        assert account.decision("left", action, account.parameter("left", *parts)) == "allowed"
        assert account.decision("left", action, account.parameter(neighbour, *parts)) == "implicitDeny"
    assert account.decision("left", action, f"arn:aws:ssm:{HOME}:{ACCOUNT}:parameter{NAMES.path()}") == "implicitDeny"
    assert account.decision("left", "ssm:PutParameter", account.parameter("left", "release")) == "implicitDeny"


@pytest.mark.parametrize("neighbour", ["right", "far"])
def test_the_release_and_the_bundle_of_another_sector(account: Account, neighbour: str) -> None:
    for asset in (account.manifest, account.bundle):
        assert account.decision("left", "s3:GetObject", asset("left")) == "allowed"
        assert account.decision("left", "s3:GetObject", asset(neighbour)) == "implicitDeny"
        assert account.decision("left", "s3:PutObject", asset("left")) == "implicitDeny"


@pytest.mark.parametrize("suffix", ["", DEAD_LETTER_SUFFIX])
@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"])
def test_jobs_of_another_sector_cannot_be_received(account: Account, action: str, suffix: str) -> None:
    assert account.decision("left", action, account.queue("first", suffix)) == "allowed"
    for queue in ("second", "third"):
        assert account.decision("left", action, account.queue(queue, suffix)) == "implicitDeny"


def test_jobs_go_to_a_sectors_own_bots_and_their_successors_alone(account: Account) -> None:
    """To own queues, too: a message that SQS has handed out three times is sent anew."""
    assert {
        (sector, queue)
        for sector in REGIONS
        for queue in ("first", "second", "third")
        if account.decision(sector, "sqs:SendMessage", account.queue(queue)) == "allowed"
    } == {("left", "first"), ("left", "second"), ("right", "second"), ("right", "third"), ("far", "third")}
    assert account.decision("left", "sqs:SendMessage", account.queue("second", DEAD_LETTER_SUFFIX)) == "implicitDeny"


@pytest.mark.parametrize("neighbour", ["right", "far"])
def test_the_log_of_another_sector(account: Account, neighbour: str) -> None:
    for action in ("logs:PutLogEvents", "logs:GetLogEvents"):
        assert account.decision("left", action, account.log_group("left")) == "allowed"
        assert account.decision("left", action, account.log_group(neighbour)) == "implicitDeny"
