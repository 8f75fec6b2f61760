"""A stage on AWS is operated from a machine that has neither its plan nor its files, by the commands for local ones.

Two agents in two regions are real, and so are their workers; the machine is another FACTORY_CDK_HOME.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_works import REGION, Instance
from emulator import Emulator
from metadata_server import metadata_service
from patience import PATIENCE, until

AWAY = "eu-west-1"
PLAN = """
factory:
  name: agents
  bots:
    weigh: {source: {path: code}, bot_path: "bots:weigh"}
    count: {source: {path: code}, bot_path: "bots:count"}
    idle: {source: {path: code}, bot_path: "bots:count"}
  workflows: {flow: {weigh: count}}
  stages:
    STAGE:
      workflow: flow
      north:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {weigh: {processes: 2}, idle: {stop: true}}
      south:
        type: aws
        region_name: eu-west-1
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {count: {}}
"""
BOTS = """
import os
import time
from pathlib import Path

def weigh(payload):
    print("weighing", payload["part"], flush=True)
    while payload.get("until") and not Path(payload["until"]).exists():
        time.sleep(0.01)
    return payload

def count(payload):
    if payload["part"] == "bad":
        raise ValueError("it cannot be counted")
    return {"sector": os.environ["FACTORY_SECTOR"], **payload}
"""


@dataclass
class Machine:
    """A machine that has nothing but credentials: its home and its working folder are below `folder`."""

    aws: Emulator
    folder: Path
    stage: str

    @property
    def named(self) -> tuple[str, ...]:
        return ("--name", "agents", "--stage", self.stage)

    def environ(self) -> dict[str, str]:
        home = {"HOME": str(self.folder), "FACTORY_CDK_HOME": str(self.folder / "home")}
        return {"PATH": os.environ["PATH"], **home, **self.aws.environment, "AWS_REGION": "us-east-1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "factory_cdk", *arguments], cwd=self.folder, env=self.environ(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """The output and errors of a command that exits with `code`."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, (arguments, out, err)
        assert "Traceback" not in err
        return out, err

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json")[0])

    def list(self) -> list[Any]:
        """The rows of the stage in `list`, which asks two regions."""
        rows = self.json("list", "--region", REGION, "--region", AWAY)
        return [row for row in rows if row["stage"] == self.stage]

    def workers(self) -> dict[str, list[Any]]:
        """The workers in `ps`, by their bots."""
        found: dict[str, list[Any]] = {}
        for row in self.json("ps", *self.named):
            found.setdefault(row["bot"], []).append(row)
        return found

    def submit_dead(self) -> list[Any]:
        """What became of a job that cannot be done."""
        sent = ("submit", *self.named, "--bot", "weigh", "--payload", '{"part": "bad"}', "--wait", "300")
        return [json.loads(line) for line in self.run(*sent, code=1)[0].splitlines()]

    def submit(self, *more: str, **payload: Any) -> list[Any]:
        """With --wait, what became of a job and of those that follow from it; else its run."""
        sent = ("submit", *self.named, "--bot", "weigh", "--payload", json.dumps(payload))
        out, _ = self.run(*sent, *more)
        return [json.loads(line) for line in out.splitlines()] if "--wait" in more else out.split()


@pytest.fixture
def machine(instance: Instance, tmp_path: Path) -> Iterator[Machine]:
    """A machine beside a stage whose two agents are at work."""
    instance.aws.bootstrap(AWAY)
    instance.sector_name = "north"
    away, elsewhere = tmp_path / "south", tmp_path / "elsewhere"
    away.mkdir()
    elsewhere.mkdir()
    with ExitStack() as ending:
        metadata = ending.enter_context(metadata_service())
        metadata.answers["instance-id"] = "i-0fedcba9876543210"
        south = Instance(instance.aws, metadata, away, instance.stage, instance.index, region=AWAY, sector_name="south")
        ending.callback(south.end)
        instance.write("bots.py", BOTS)
        assembly = instance.synthesize(PLAN)
        queues = f"agents-{instance.stage}-queues"
        instance.aws.publish(assembly, queues)
        instance.aws.create(assembly, queues, REGION)
        until(lambda: instance.aws.status(queues, REGION) == "CREATE_COMPLETE")
        for one in (instance, south):
            one.environ |= {"ON_AWS": "1"}
            one.deploy(assembly)
            one.start()
        for one in (instance, south):
            assert one.stack_ends() == "CREATE_COMPLETE", (one.reasons(), one.printed())
        yield Machine(instance.aws, elsewhere, instance.stage)


def shows_what_runs(machine: Machine) -> None:
    """`list`, `ps`, `info` and `top` have what they have of a local stage."""
    (row,) = machine.list()
    assert (row["factory"], row["state"], row["workers"], row["plan"]) == ("agents", "running", 4, None)
    assert sorted(row["regions"]) == [AWAY, REGION]
    assert "regions" in machine.run("list", "--region", REGION)[0].splitlines()[0]
    workers = machine.workers()
    assert {bot: len(rows) for bot, rows in workers.items()} == {"weigh": 2, "idle": 1, "count": 1}
    assert {row["region"] for row in workers["weigh"]} == {REGION}
    assert {row["region"] for row in workers["count"]} == {AWAY}
    detail = machine.json("info", *machine.named)
    assert {bot["bot"]: bot["open"] for bot in detail["bots"]} == {"weigh": True, "idle": False, "count": True}
    assert {one["sector"]: one["state"] for one in detail["instances"]} == {"north": "open", "south": "open"}
    assert {one["status"] for one in detail["stacks"]} == {"CREATE_COMPLETE"}
    assert len(detail["stacks"]) == 3
    states = {"weigh": "ready", "idle": "stopped", "count": "ready"}

    def shown() -> dict[str, str]:
        (view,) = machine.json("top", *machine.named)
        return {bot["bot"]: bot["state"] for bot in view["bots"]}

    until(lambda: shown() == states)  # a runner says a word a minute


def passes_jobs(machine: Machine) -> None:
    """`submit`, `jobs` and `logs` know jobs that pass both regions."""
    done = machine.submit("--wait", "120", part="good")
    assert [one["bot"] for one in done] == ["weigh", "count"]
    assert done[-1]["result"] == {"sector": "south", "part": "good"}
    (dead,) = [one for one in machine.submit_dead() if one["outcome"] == "dead"]
    assert dead["error"]["message"] == "it cannot be counted"
    listed = machine.json("jobs", "dead", *machine.named)
    assert [row["id"] for row in listed] == [dead["id"]]
    assert machine.json("jobs", "show", *machine.named, done[0]["id"])["next"] == [done[1]["id"]]
    assert {row["bot"] for row in machine.json("jobs", "stats", *machine.named)} == {"weigh", "count"}
    assert machine.json("jobs", "cancel", *machine.named, "--all", "--yes") == []
    assert "has no bot wiegh" in machine.run("submit", *machine.named, "--bot", "wiegh", "--payload", "1", code=1)[1]

    def logged() -> bool:
        out, _ = machine.run("logs", *machine.named, "--bot", "weigh", "--since", "1h")
        return "| weighing good" in out

    until(logged)
    failed = until(lambda: machine.run("logs", *machine.named, "--level", "error", "--job", dead["id"])[0])
    assert "south/count.1" in failed and "it cannot be counted" in failed


def stops_and_resumes(machine: Machine, folder: Path) -> None:
    """`stop` waits for the job in hand of an instance; what is sent meanwhile waits until `resume`."""
    go = folder / "go"
    machine.submit(part="slow", until=str(go))
    until(lambda: any(row["state"] == "leased" for row in machine.json("jobs", "list", *machine.named)))
    _, err = machine.run("stop", *machine.named, "--timeout", "8", code=3)
    assert "is still busy after 8 s: bot weigh, job " in err
    assert "factory-cdk resume" in err
    assert machine.list()[0]["state"] == "stopping"
    stopping = machine.start("stop", *machine.named)
    machine.submit(part="late")
    go.touch()
    out, err = stopping.communicate(timeout=PATIENCE)
    assert stopping.returncode == 0, err
    assert out == f"agents/{machine.stage} is stopped\n"
    assert machine.list()[0]["state"] == "stopped"
    live = [row for row in machine.json("jobs", "list", *machine.named) if row["state"] == "ready"]
    assert {(row["bot"], row["payload"]["part"]) for row in live} >= {("weigh", "late")}
    assert {row["state"] for rows in machine.workers().values() for row in rows} == {"stopped"}
    assert machine.run("stop", *machine.named)[0] == out, "it is asked for once more"

    out, _ = machine.run("resume", *machine.named)
    assert out == f"agents/{machine.stage} goes on\n"
    assert machine.list()[0]["state"] == "running"
    assert {bot["open"] for bot in machine.json("info", *machine.named)["bots"]} == {True}, "those with `stop`, too"
    until(lambda: not [one for one in machine.json("jobs", "list", *machine.named) if one["state"] == "ready"])


def stops_cold(machine: Machine, folder: Path) -> None:
    """`stop --cold` gives the job in hand back; after `resume` it is done."""
    go = folder / "go again"
    machine.submit(part="held", until=str(go))
    until(lambda: any(row["state"] == "leased" for row in machine.json("jobs", "list", *machine.named)))
    out, _ = machine.run("stop", *machine.named, "--cold")
    assert "is stopped, its workers have ended; resume starts them again" in out
    (held,) = [row for row in machine.json("jobs", "list", *machine.named) if row["state"] != "success"][:1]
    assert (held["bot"], held["state"]) == ("weigh", "ready")
    go.touch()
    machine.run("resume", *machine.named)
    until(lambda: machine.json("jobs", "show", *machine.named, held["id"])["state"] == "success")


@pytest.mark.e2e
def test_a_stage_on_aws_is_operated_from_another_machine(machine: Machine, tmp_path: Path) -> None:
    shows_what_runs(machine)
    passes_jobs(machine)
    stops_and_resumes(machine, tmp_path)
    stops_cold(machine, tmp_path)
    folder = machine.folder / "home" / "deployed" / "agents" / machine.stage
    assert [path.name for path in folder.iterdir()] == ["aws-queues.json"]
    assert (folder.stat().st_mode & 0o777, (folder / "aws-queues.json").stat().st_mode & 0o777) == (0o700, 0o600)
