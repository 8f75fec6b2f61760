"""What the role of a sector may not do to its neighbours: as IAM decides it for the roles that the stacks have made,
and as calls are answered that instances make with those roles.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
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
BOTS = {"left": "first", "right": "second", "far": "third"}
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

    def role_client(self, sector: str, service: str, region: str) -> Any:
        """A client of `service` with the credentials that EC2 gives to the instance of `sector`."""
        role = f"arn:aws:iam::{ACCOUNT}:role/{NAMES.role(sector, REGIONS[sector])}"
        keys = self.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="i-0")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=region)
        return session.client(service, endpoint_url=self.aws.url)  # type: ignore[call-overload]

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
    with running(tmp_path_factory.mktemp("emulator"), enforced=True) as aws:
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


# Calls


Call = Callable[[Account, str], object]
"""A call that the instance of `left` makes about a sector: it works for `left` itself and for no other."""


def about(
    service: str, region_of: Callable[[str], str] = REGIONS.__getitem__
) -> Callable[[Callable[..., object]], Call]:
    """A call of `service` in the region of the sector that it is about."""

    def made(ask: Callable[..., object]) -> Call:
        return lambda account, sector: ask(account, account.role_client("left", service, region_of(sector)), sector)

    return made


def at_home(_: str) -> str:
    return HOME


@about("secretsmanager")
def reads_the_secret(account: Account, client: Any, sector: str) -> object:
    return client.get_secret_value(SecretId=account.secret(sector))


@about("ssm")
def reads_the_release_parameter(_: Account, client: Any, sector: str) -> object:
    return client.get_parameter(Name=NAMES.path(sector, "release"))


@about("ssm")
def reads_parameters_with_one_of_its_own(_: Account, client: Any, sector: str) -> object:
    return client.get_parameters(Names=[NAMES.path("gate"), NAMES.path(sector, "release")])


@about("ssm")
def reads_all_parameters(_: Account, client: Any, sector: str) -> object:
    return client.get_parameters_by_path(Path=NAMES.path(sector), Recursive=True)


@about("s3")
def reads_the_manifest(account: Account, client: Any, sector: str) -> object:
    return get_object(client, account.manifest(sector))


@about("s3")
def reads_the_bundle(account: Account, client: Any, sector: str) -> object:
    return get_object(client, account.bundle(sector))


def get_object(client: Any, arn: str) -> object:
    bucket, _, key = arn.removeprefix("arn:aws:s3:::").partition("/")
    return client.get_object(Bucket=bucket, Key=key)


@about("sqs", at_home)
def receives_jobs(account: Account, client: Any, sector: str) -> object:
    return client.receive_message(QueueUrl=url(account, sector))


@about("sqs", at_home)
def asks_how_many_jobs_there_are(account: Account, client: Any, sector: str) -> object:
    return client.get_queue_attributes(QueueUrl=url(account, sector), AttributeNames=["All"])


@about("sqs", at_home)
def receives_dead_letters(account: Account, client: Any, sector: str) -> object:
    return client.receive_message(QueueUrl=url(account, sector, DEAD_LETTER_SUFFIX))


def url(account: Account, sector: str, suffix: str = "") -> str:
    """The URL of the queue of the bot of `sector`."""
    name = NAMES.queue(BOTS[sector]) + suffix
    return str(account.aws.client("sqs", HOME).get_queue_url(QueueName=name)["QueueUrl"])


@about("logs")
def writes_a_log(account: Account, client: Any, sector: str) -> object:
    group, stream = NAMES.path(sector), uuid.uuid4().hex
    account.aws.client("logs", REGIONS[sector]).create_log_stream(logGroupName=group, logStreamName=stream)
    line = {"timestamp": int(time.time() * 1000), "message": "test"}
    return client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[line])


@about("logs")
def begins_a_log(_: Account, client: Any, sector: str) -> object:
    return client.create_log_stream(logGroupName=NAMES.path(sector), logStreamName=uuid.uuid4().hex)


CALLS = (
    *(reads_the_secret, reads_the_release_parameter, reads_parameters_with_one_of_its_own, reads_all_parameters),
    *(reads_the_manifest, reads_the_bundle, receives_jobs, asks_how_many_jobs_there_are, receives_dead_letters),
    *(writes_a_log, begins_a_log),
)
NAMES_OF_CALLS = (
    *("secret", "release parameter", "parameters", "all parameters", "manifest", "bundle"),
    *("jobs", "depth", "dead letters", "log", "new log"),
)


@pytest.mark.parametrize("neighbour", ["right", "far"])
@pytest.mark.parametrize("call", CALLS, ids=NAMES_OF_CALLS)
def test_a_call_about_a_neighbour_is_refused_and_the_same_about_oneself_is_not(
    account: Account, call: Call, neighbour: str
) -> None:
    call(account, "left")
    assert refused(lambda: call(account, neighbour))


def test_jobs_are_sent_to_the_next_bot_and_not_beyond(account: Account) -> None:
    client = account.role_client("left", "sqs", HOME)
    for sector in ("left", "right"):
        client.send_message(QueueUrl=url(account, sector), MessageBody="test")
    assert refused(lambda: client.send_message(QueueUrl=url(account, "far"), MessageBody="test"))


def test_nothing_is_written_that_others_read(account: Account) -> None:
    """A role that could write its own release, or a bundle, could have others' code run."""
    bucket, _, key = account.manifest("left").removeprefix("arn:aws:s3:::").partition("/")
    ssm, s3 = account.role_client("left", "ssm", HOME), account.role_client("left", "s3", HOME)
    for sector in ("left", "right"):
        name = NAMES.path(sector, "release")
        assert refused(lambda: ssm.put_parameter(Name=name, Value="x", Type="String", Overwrite=True))  # noqa: B023
    assert refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x"))
    assert refused(lambda: s3.list_objects_v2(Bucket=bucket))


def test_no_role_is_taken_on(account: Account) -> None:
    sts = account.role_client("left", "sts", HOME)
    for sector in ("left", "right", "far"):
        role = f"arn:aws:iam::{ACCOUNT}:role/{NAMES.role(sector, REGIONS[sector])}"
        assert refused(lambda: sts.assume_role(RoleArn=role, RoleSessionName="i-1"))  # noqa: B023


def refused(call: Callable[[], object]) -> bool:
    """Whether IAM refuses a call; any other error is the test's."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
        return True
    return False
