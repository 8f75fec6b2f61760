"""Secrets of bots on an instance, and their log lines, for real: in an emulated Secrets Manager and CloudWatch."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from agent_works import Instance
from metadata_server import INSTANCE, KEYS, TOKEN
from patience import until

PLAN = """
factory:
  name: agents
  bots:
    only: {source: {path: code}, bot_path: "only:run", secrets: [PASSWORD]}
  stages:
    STAGE:
      here:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {only: {}}
"""
ONLY = """
import os

def run(payload):
    if payload == {"pid": True}:
        return os.getpid()
    print("a line of", payload)
    return os.environ["PASSWORD"][::-1]
"""
VALUE, ROTATED = "correct-horse-battery", "staple-of-another-horse"


def put_secret(instance: Instance, value: str) -> None:
    """Write the secret that the template made empty."""
    client = instance.aws.client("secretsmanager")

    def name() -> str | None:
        found = client.list_secrets()["SecretList"]
        return next((one["Name"] for one in found if f"/{instance.stage}/" in one["Name"]), None)

    client.put_secret_value(SecretId=until(name), SecretString=json.dumps({"PASSWORD": value}))


def events(instance: Instance) -> list[dict[str, Any]]:
    """What CloudWatch has of the sector, in its order."""
    client = instance.aws.client("logs")
    try:
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"{instance.path}/here")
        return [json.loads(one["message"]) for page in pages for one in page["events"]]
    except client.exceptions.ResourceNotFoundException:
        return []


def lines(instance: Instance) -> list[str]:
    """The lines of the bot, as CloudWatch has them."""
    return [one["text"] for one in events(instance) if one.get("bot") == "only" and "a line of" in one["text"]]


@pytest.mark.e2e
def test_an_empty_secret_is_waited_for_and_its_value_reaches_the_bot_alone(instance: Instance) -> None:
    instance.write("only.py", ONLY)
    instance.build(PLAN)
    instance.start()
    instance.until_logged("has no value; waiting for it")
    put_secret(instance, VALUE)
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    instance.submit("r1", "only", "you")
    assert instance.results("r1", "only") == [VALUE[::-1]]
    pid = instance.pid_of("only")
    put_secret(instance, ROTATED)
    instance.gate(json.dumps({"gate": "run", "restart": "now"}))
    until(lambda: instance.pid_of("only") != pid)
    instance.submit("r2", "only", "you")
    assert instance.results("r2", "only") == [ROTATED[::-1]]
    secrets = [VALUE, ROTATED, KEYS["SecretAccessKey"], KEYS["Token"], TOKEN]
    told = [instance.printed(), instance.reasons(), json.dumps(events(instance))]
    command_lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in instance.pids()]
    for secret in secrets:
        assert not [path for path, content in instance.files().items() if secret.encode() in content]
        assert not [text for text in (*told, *command_lines) if secret in text]
        reversed_ = secret[::-1]
        assert [path.name for path, content in instance.files().items() if reversed_.encode() in content] in (
            [],
            *[[name] for name in ("queues.sqlite3", "queues.sqlite3-wal")],
        ), "only what a bot returns is on disk"


@pytest.mark.e2e
def test_an_agent_that_waits_for_a_secret_ends_when_it_is_told_to(instance: Instance) -> None:
    instance.write("only.py", ONLY)
    instance.build(PLAN)
    instance.start()
    put_secret(instance, VALUE)
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    client = instance.aws.client("secretsmanager")
    (name,) = [one["Name"] for one in client.list_secrets()["SecretList"] if f"/{instance.stage}/" in one["Name"]]
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    instance.kill()
    instance.start()
    instance.until_logged("has no value; waiting for it")
    assert instance.stop() == 0, instance.printed()


@pytest.mark.e2e
def test_log_lines_reach_cloudwatch_once_and_in_order_through_an_outage_and_a_kill(instance: Instance) -> None:
    instance.write("only.py", ONLY)
    instance.build(PLAN)
    put_secret(instance, VALUE)
    instance.start()
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    instance.submit("r1", "only", *range(50))
    assert len(instance.results("r1", "only")) == 50
    until(lambda: len(lines(instance)) == 50)
    assert instance.stop() == 0
    instance.environ["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = "http://localhost:9"
    instance.start()
    instance.submit("r2", "only", *range(50, 100))
    assert len(instance.results("r2", "only")) == 50, "an outage stops no bot"
    instance.until_logged("log lines are kept on disk meanwhile")
    instance.kill()
    del instance.environ["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"]
    instance.start()
    until(lambda: len(lines(instance)) >= 100)
    instance.submit("r3", "only", "the last")
    assert len(instance.results("r3", "only")) == 1
    until(lambda: "a line of the last" in lines(instance))
    assert lines(instance) == [*(f"a line of {number}" for number in range(100)), "a line of the last"]
    found = next(one for one in events(instance) if one.get("text") == "a line of 7")
    assert (found["sector"], found["bot"], found["worker"], found["job"]) == ("here", "only", 1, "r1-8")
    assert instance.process is not None and instance.process.poll() is None
    os.kill(instance.process.pid, signal.SIGTERM)
    client = instance.aws.client("logs")
    streams = client.describe_log_streams(logGroupName=f"{instance.path}/here")["logStreams"]
    assert [one["logStreamName"] for one in streams] == [INSTANCE]
