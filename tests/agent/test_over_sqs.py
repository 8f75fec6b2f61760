"""The agent with its queues in an emulated SQS."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from agent_works import REGION, SECTOR, Instance
from metadata_server import INSTANCE
from patience import until

from factory_cdk.agent.aws import Aws
from factory_cdk.agent.locations import queue_location
from factory_cdk.agent.release import read_installed
from factory_cdk.agent.status import read_items
from factory_cdk.design.naming import Names
from factory_cdk.design.store import store_resources
from factory_cdk.plan.model import JobStore
from factory_cdk.queues.opening import open_queues
from factory_cdk.queues.port import Job
from factory_cdk.queues.sqs.table import table_request
from factory_cdk.views.runners import remote_runners, remote_workers

PLAN = """
factory:
  name: agents
  bots:
    first: {source: {path: code}, bot_path: "bots:first"}
    second: {source: {path: code}, bot_path: "bots:second"}
  workflows: {flow: {first: second}}
  stages:
    STAGE:
      workflow: flow
      history: HISTORY
      here:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {first: {}, second: {}}
"""
BOTS = """
from pathlib import Path

def first(payload):
    return payload + 1

def second(payload):
    with Path("FILE").open("a") as file:
        file.write(f"{payload}\\n")
"""


@pytest.fixture
def on_sqs(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance whose queues are in SQS."""
    for name, value in instance.aws.environment.items():
        monkeypatch.setenv(name, value)
    instance.environ["ON_AWS"] = "1"
    return instance


def test_the_table_of_a_stage_is_the_one_that_the_engine_writes() -> None:
    (table,) = (
        one.properties
        for one in store_resources(Names("agents", "prod"), REGION, JobStore(), {})
        if one.type == "AWS::DynamoDB::Table"
    )
    wanted = table_request("agents.prod.jobs")
    assert {key: value for key, value in table.items() if key in wanted} == {
        **wanted,
        "AttributeDefinitions": sorted(wanted["AttributeDefinitions"], key=lambda one: str(one["AttributeName"])),
    }


@pytest.mark.e2e
@pytest.mark.parametrize("history", ["true", "false"])
def test_jobs_pass_from_bot_to_bot_over_sqs(history: str, on_sqs: Instance, tmp_path: Path) -> None:
    done = tmp_path / "done"
    on_sqs.write("bots.py", BOTS.replace("FILE", str(done)))
    on_sqs.build(PLAN.replace("HISTORY", history), "queues")
    on_sqs.start()
    assert on_sqs.stack_ends() == "CREATE_COMPLETE", (on_sqs.reasons(), on_sqs.printed())
    installed = read_installed(on_sqs.root / "agent" / "installed.json")
    assert installed is not None
    with open_queues(queue_location(installed)) as queues:
        queues.send("first", [Job(f"r-{number}", "first", number, "r") for number in range(20)])
    until(lambda: len(done.read_text().split()) >= 20)
    assert sorted(map(int, done.read_text().split())) == [*range(1, 21)]


@pytest.mark.e2e
def test_others_see_the_workers_of_an_instance_in_the_table_of_its_stage(on_sqs: Instance, tmp_path: Path) -> None:
    on_sqs.write("bots.py", BOTS.replace("FILE", str(tmp_path / "done")))
    on_sqs.build(PLAN.replace("HISTORY", "true"), "queues")
    on_sqs.start()
    assert on_sqs.stack_ends() == "CREATE_COMPLETE", (on_sqs.reasons(), on_sqs.printed())
    assert on_sqs.stop() == 0
    installed = read_installed(on_sqs.root / "agent" / "installed.json")
    assert installed is not None
    items = read_items(Aws(REGION), REGION, installed.stores["history"], [SECTOR, "elsewhere"])
    (runner,) = remote_runners(items, time.time())
    assert (runner.sector, runner.instance, runner.region) == (SECTOR, INSTANCE, REGION)
    assert (runner.state, runner.silent_since) == ("ended", None)
    assert [(one.bot, one.worker) for one in remote_workers([runner], time.time())] == [("first", 1), ("second", 1)]
