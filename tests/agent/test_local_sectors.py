"""A stage with sectors here and on AWS: its local sectors, started beside an instance, share its queues in SQS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from agent_works import REGION, Instance, command
from patience import until

from factory_cdk.agent.status import PARTITION, SORT
from factory_cdk.design.naming import Names

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
    print("counting", len(words))
    return [os.environ["FACTORY_SECTOR"], *words]

def note(words):
    print("noted")
    with Path("FILE").open("a") as file:
        file.write(" ".join(words) + "\\n")
    return len(words)
"""


def workers(instance: Instance, stage: tuple[str, ...]) -> list[dict[str, Any]]:
    """What `ps` says of the workers of a stage."""
    shown = command(instance, "ps", *stage, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert isinstance(found, list)
    return found


def logs_of_both(instance: Instance, stage: tuple[str, ...]) -> list[str] | None:
    """The lines of `logs` once the instance's are there."""
    shown = command(instance, "logs", *stage)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    return lines if len([line for line in lines if "| counting" in line]) == 5 else None


def silence(instance: Instance, name: str) -> None:
    """Have the last word of the runner of `here` be one of long ago."""
    table = Names("agents", instance.stage).table()
    client = instance.aws.client("dynamodb")
    key = {"run": {"S": PARTITION.format(sector="here")}, "id": {"S": SORT}}
    item = client.get_item(TableName=table, Key=key)["Item"]
    assert item["instance"] == {"S": name}
    status = json.loads(item["status"]["S"])
    assert status["workers"]
    said = int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())
    changed = {"said": {"N": str(said)}, "status": {"S": json.dumps({**status, "gate": "open"})}}
    client.put_item(TableName=table, Item={**item, **changed})


def ps_shows_both(instance: Instance, stage: tuple[str, ...]) -> str:
    """`ps` has the workers of both places; the instance."""
    until(lambda: ("here", "count") in {(row["sector"], row["bot"]) for row in workers(instance, stage)})
    rows = {(row["sector"], row["bot"]): row for row in workers(instance, stage)}
    assert rows.keys() == {("desk", "cut"), ("desk", "note"), ("here", "count")}
    there, here = rows["here", "count"], rows["desk", "cut"]
    assert (there["region"], there["pid"], there["silent_since"]) == (REGION, None, None)
    assert there["instance"]
    assert (here["region"], here["instance"], here["silent_since"]) == (None, None, None)
    assert there.keys() == here.keys()
    text = command(instance, "ps", *stage).stdout.splitlines()
    assert text[0].split("  ")[-1].strip() == "silent since"
    assert there["instance"] in "".join(text)

    unreachable = command(instance, "ps", *stage, "--format", "json", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert {row["sector"] for row in json.loads(unreachable.stdout)} == {"desk"}
    assert "the instances of" in unreachable.stderr
    assert "Traceback" not in unreachable.stderr
    return str(there["instance"])


def logs_show_both(instance: Instance, stage: tuple[str, ...]) -> None:
    """`logs` has the lines of both places in the order of time, and those to come with `-f`."""
    logged = until(lambda: logs_of_both(instance, stage))
    assert [line.split(" ")[0] for line in logged] == sorted(line.split(" ")[0] for line in logged)
    counting = [line for line in logged if line.endswith("| counting 3")]
    assert len(counting) == 5
    assert {line.split(" ")[1] for line in counting} == {"here/count.1"}
    job = counting[0].split(" ")[2]
    assert command(instance, "logs", *stage, "--job", job).stdout.splitlines() == counting[:1]
    of_bot = command(instance, "logs", *stage, "--bot", "count", "--since", "1h", "--level", "info")
    assert of_bot.stdout.splitlines() == counting
    denied = command(instance, "logs", *stage, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert "desk/note" in denied.stdout
    assert "log of sector here cannot be read" in denied.stderr

    words = [sys.executable, "-m", "factory_cdk", "logs", *stage, "--bot", "count", "-f"]
    environ = {**os.environ, **instance.aws.environment, "FACTORY_CDK_HOME": str(instance.folder / "home")}
    with subprocess.Popen(words, env=environ, text=True, stdout=subprocess.PIPE) as following:
        try:
            assert following.stdout is not None
            assert [following.stdout.readline().rstrip("\n") for _ in counting] == counting
            command(instance, "submit", *stage, "--bot", "cut", "--payload", '"a b c d"')
            assert following.stdout.readline().endswith("| counting 4\n")
        finally:
            following.kill()


def they_are_one_stage(instance: Instance, stage: tuple[str, ...]) -> None:
    """Every command has the bots of both places, and AWS, when it is asked, shows no second stage."""

    def listed(*more: str) -> list[dict[str, Any]]:
        rows = json.loads(command(instance, "list", "--format", "json", *more).stdout)
        return [row for row in rows if row["stage"] == instance.stage]

    (row,) = listed("--region", REGION)
    assert (row["state"], row["workers"], row["regions"]) == ("running", 3, [REGION])
    assert row == listed()[0]
    shown = json.loads(command(instance, "info", *stage, "--format", "json", "--aws").stdout)
    assert {(bot["sector"], bot["bot"]) for bot in shown["bots"]} == {
        ("desk", "cut"),
        ("desk", "note"),
        ("here", "count"),
    }
    assert {one["status"] for one in shown["stacks"]} == {"CREATE_COMPLETE"}
    (view,) = json.loads(command(instance, "top", *stage, "--format", "json").stdout)
    assert {bot["sector"] for bot in view["bots"]} == {"desk", "here"}
    sent = command(instance, "submit", *stage, "--bot", "count", "--payload", '["from", "here"]', "--wait", "120")
    assert [json.loads(line)["bot"] for line in sent.stdout.splitlines()] == ["count", "note"]


def both_are_stopped_and_resumed(instance: Instance, stage: tuple[str, ...]) -> None:
    """`stop` and `resume` reach the local sectors and the instance."""
    stopped = command(instance, "stop", *stage)
    assert (stopped.returncode, stopped.stdout) == (0, f"agents/{instance.stage} is stopped\n"), stopped.stderr
    assert {row["state"] for row in workers(instance, stage)} == {"stopped"}
    resumed = command(instance, "resume", *stage)
    assert (resumed.returncode, resumed.stdout) == (0, f"agents/{instance.stage} goes on\n"), resumed.stderr
    sent = command(instance, "submit", *stage, "--bot", "cut", "--payload", '"a b"', "--wait", "120")
    assert [json.loads(line)["bot"] for line in sent.stdout.splitlines()] == ["cut", "count", "note"]


def an_ended_instance_is_told(instance: Instance, stage: tuple[str, ...], name: str) -> None:
    """`ps` and `info` say that the instance `name` has stopped answering."""
    instance.end()
    silence(instance, name)
    (there,) = [row for row in workers(instance, stage) if row["sector"] == "here"]
    assert (there["state"], there["silent_since"]) == ("stopped answering", "2026-01-02T03:04:05.000Z")
    shown = command(instance, "info", *stage, "--format", "json")
    (runner,) = json.loads(shown.stdout)["instances"]
    assert (runner["sector"], runner["state"]) == ("here", "stopped answering")
    assert "stopped answering" in command(instance, "info", *stage).stdout


@pytest.mark.e2e
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
        name = ps_shows_both(instance, stage)
        logs_show_both(instance, stage)
        they_are_one_stage(instance, stage)
        both_are_stopped_and_resumed(instance, stage)
        an_ended_instance_is_told(instance, stage, name)
    finally:
        ended = command(instance, "demolish", *stage, "--yes", "--local-sectors")
    assert ended.returncode == 0, ended.stderr
    assert instance.aws.client("sqs").list_queues(QueueNamePrefix=f"agents-{instance.stage}-")["QueueUrls"]


@pytest.mark.e2e
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
