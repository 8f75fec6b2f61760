"""The agent where IAM decides on every call, and what it leaves of the role to a bot that asked for credentials."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from agent_works import REGION, SECTOR, Instance
from botocore.exceptions import ClientError
from emulator import ACCOUNT, Emulator, running
from metadata_server import metadata_service, role_keys
from own_users import AGENT, own_users
from patience import until

from factory_cdk.agent.release import read_installed

pytestmark = pytest.mark.e2e

OPEN, CLOSED = "everybodys", "nobodys"
PLAN = f"""
factory:
  name: agents
  bots:
    plain: {{source: {{path: code/plain}}, bot_path: "plain:run", secrets: [WORD]}}
    trusted: {{source: {{path: code/trusted}}, bot_path: "trusted:run", secrets: [PASSWORD]}}
  stages:
    STAGE:
      here:
        type: aws
        region_name: eu-west-2
        parameters: {{ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}}
        policies: [{{Effect: Allow, Action: "s3:GetObject", Resource: "arn:aws:s3:::{OPEN}/*"}}]
        bots: {{plain: {{}}, trusted: {{aws-credentials: true}}}}
"""
BOT = """
import json, os, urllib.request

def run(_):
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if url is None:
        return None
    token = os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token})) as answer:
        return json.load(answer)
"""


@pytest.fixture
def enforced(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose role is all that it may do."""
    folder = tmp_path / "emulator"
    folder.mkdir()
    with running(folder, enforced=True) as aws, metadata_service() as metadata:
        aws.bootstrap(REGION)
        index = tmp_path / "index"
        index.mkdir()
        instance = Instance(aws, metadata, tmp_path, "roles", index)
        with own_users(instance):
            yield instance


def test_a_bot_with_credentials_may_what_the_plan_allows_and_nothing_of_the_stages_own(enforced: Instance) -> None:
    aws = enforced.aws
    for bucket in (OPEN, CLOSED):
        aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        aws.client("s3").put_object(Bucket=bucket, Key="note", Body=b"text")
    for bot in ("plain", "trusted"):
        enforced.write(f"{bot}/{bot}.py", BOT)
    enforced.build(PLAN, "queues")
    enforced.root.chmod(0o711)
    os.chown(enforced.root, AGENT, AGENT)
    for arn in until(lambda: two_secrets(aws)):
        value = json.dumps(dict.fromkeys(("WORD", "PASSWORD"), "a value"))
        aws.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)
    take_on_role(enforced)
    enforced.start()
    assert enforced.stack_ends() == "CREATE_COMPLETE", (enforced.reasons(), enforced.printed())

    found = {bot: credentials(enforced, bot) for bot in ("plain", "trusted")}
    assert found["plain"] is None
    calls = calls_of(enforced, found["trusted"])
    assert [name for name, call in calls.items() if not refused(call)] == ["own secret", "what the plan allows"]
    as_agent = json.loads(enforced.metadata.answers["iam/security-credentials/sector-role"])
    agents = calls_of(enforced, as_agent)
    assert [name for name, call in agents.items() if refused(call)] == ["another bucket"], "those are the agent's alone"


def two_secrets(aws: Emulator) -> list[str]:
    """The ARNs of the secrets of both bots, once there are both."""
    found = [one["ARN"] for one in aws.client("secretsmanager").list_secrets()["SecretList"]]
    return found if len(found) == 2 else []


def take_on_role(instance: Instance) -> None:
    """Give the instance the credentials of its role, once the stack has made that."""
    sts, role = instance.aws.client("sts"), f"arn:aws:iam::{ACCOUNT}:role/agents.{instance.stage}.{SECTOR}.{REGION}"

    def keys() -> Any:
        try:
            return sts.assume_role(RoleArn=role, RoleSessionName="i-0")["Credentials"]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error  # there is no such role yet
            return None

    instance.metadata.answers["iam/security-credentials/sector-role"] = role_keys(until(keys))


def credentials(instance: Instance, bot: str) -> Any:
    """What a bot gets that asks for credentials."""
    instance.submit(f"asks-{bot}", bot, {})
    (found,) = instance.results(f"asks-{bot}", bot)
    return found


def calls_of(instance: Instance, keys: dict[str, str]) -> dict[str, Callable[[], object]]:
    """Calls with these credentials, by what they ask for."""
    installed = read_installed(instance.root / "agent" / "installed.json")
    assert installed is not None
    secrets = {name: one.secret for bot in installed.spec.pool_specs for name, one in bot.secrets.items()}
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"], region_name=REGION)

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=instance.aws.url)  # type: ignore[call-overload]

    s3, ssm, sqs, logs = (client(service) for service in ("s3", "ssm", "sqs", "logs"))
    release = f"{instance.path}/{SECTOR}/release"
    said = json.loads(instance.aws.client("ssm").get_parameter(Name=release)["Parameter"]["Value"])
    role = f"arn:aws:iam::{ACCOUNT}:role/agents.{instance.stage}.{SECTOR}.{REGION}"
    queue = instance.aws.client("sqs").get_queue_url(QueueName=f"agents-{instance.stage}-trusted")["QueueUrl"]
    group = f"{instance.path}/{SECTOR}"
    key = {"run": {"S": "x"}, "id": {"S": "x"}}
    return {
        "own secret": lambda: client("secretsmanager").get_secret_value(SecretId=secrets["PASSWORD"]),
        "what the plan allows": lambda: s3.get_object(Bucket=OPEN, Key="note"),
        "another bucket": lambda: s3.get_object(Bucket=CLOSED, Key="note"),
        "another secret": lambda: client("secretsmanager").get_secret_value(SecretId=secrets["WORD"]),
        "release": lambda: ssm.get_parameter(Name=release),
        "manifest": lambda: s3.get_object(Bucket=said["bucket"], Key=said["key"]),
        "jobs": lambda: sqs.receive_message(QueueUrl=queue),
        "log": lambda: logs.create_log_stream(logGroupName=group, logStreamName=keys["AccessKeyId"]),
        "history": lambda: client("dynamodb").get_item(TableName=f"agents.{instance.stage}.jobs", Key=key),
        "role": lambda: client("sts").assume_role(RoleArn=role, RoleSessionName="i-1"),
    }


def refused(call: Callable[[], object]) -> bool:
    """Whether IAM refuses a call; any other error is the test's."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
        return True
    return False
