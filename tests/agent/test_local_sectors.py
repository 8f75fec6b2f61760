"""A stage with sectors here and on AWS: its local sectors, started beside an instance, share its queues in SQS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent_works import Instance, command
from patience import until

PLAN = """
factory:
  name: agents
  bots:
    cut: {source: {path: code}, bot_path: "bots:cut"}
    count: {source: {path: code}, bot_path: "bots:count"}
    note: {source: {path: code}, bot_path: "bots:note"}
  workflows: {flow: {cut: {count: note}}}
  stages:
    STAGE:
      workflow: flow
      desk: {type: local, bots: {cut: {}, note: {}}}
      here:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {count: {}}
"""
BOTS = """
import os
from pathlib import Path

def cut(text):
    return text.split()

def count(words):
    return [os.environ["FACTORY_SECTOR"], *words]

def note(words):
    with Path("FILE").open("a") as file:
        file.write(" ".join(words) + "\\n")
    return len(words)
"""


@pytest.mark.slow
def test_jobs_go_from_here_to_an_instance_and_back(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in instance.aws.environment.items():
        monkeypatch.setenv(name, value)
    instance.environ["ON_AWS"] = "1"
    done = tmp_path / "done"
    instance.write("bots.py", BOTS.replace("FILE", str(done)))
    instance.build(PLAN, "queues")
    instance.start()
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    stage = ("--name", "agents", "--stage", instance.stage)
    built = command(instance, "build", "--plan", "factory-plan.yml", "--stage", instance.stage, "--local-sectors")
    assert built.returncode == 0, built.stderr
    try:
        for number in range(5):
            payload = json.dumps(f"a b {number}")
            sent = command(instance, "submit", *stage, "--bot", "cut", "--payload", payload)
            assert sent.returncode == 0, sent.stderr
        until(lambda: done.exists() and len(done.read_text().splitlines()) >= 5)
        assert sorted(done.read_text().splitlines()) == [f"here a b {number}" for number in range(5)]
        shown = command(instance, "ps", *stage, "--format", "json")
        assert shown.returncode == 0, shown.stderr
    finally:
        ended = command(instance, "demolish", *stage, "--yes")
    assert ended.returncode == 0, ended.stderr
    assert instance.aws.client("sqs").list_queues(QueueNamePrefix=f"agents-{instance.stage}-")["QueueUrls"]


@pytest.mark.slow
def test_the_local_sectors_of_a_stage_that_is_not_deployed_are_refused(instance: Instance) -> None:
    instance.write("bots.py", BOTS.replace("FILE", "done"))
    instance.pack(PLAN)
    arguments = ("build", "--plan", "factory-plan.yml", "--stage", instance.stage, "--local-sectors")
    refused = command(instance, *arguments)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "queue" in refused.stderr, refused.stderr
    listed = command(instance, "list", "--format", "json")
    assert json.loads(listed.stdout or "[]") == []
