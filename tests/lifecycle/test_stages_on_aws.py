"""Stages that AWS has: found when they are asked for, in whatever state, and stopped as far as their runners answer.

The stacks are real ones in the emulator, and the words of their runners are written by what writes them on instances;
`tests/agent/test_operating.py` has instances that are at work.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_proxy import Call, Fault, proxied
from emulator import Emulator
from patience import PATIENCE, until
from stack_templates import packed, stage_plan, synthesized

from factory_cdk.agent.status import PARTITION, RunnerIdentity, StatusTable, item_writer
from factory_cdk.design.designing import design_stage
from factory_cdk.state.status import PoolStatus, Status, WorkerStatus

HOME, AWAY = "eu-west-2", "eu-west-1"
PLAN = """
factory:
  name: found
  bots:
    first: {source: {pypi: first, version: "1"}, bot_path: "bots:first"}
    second: {source: {pypi: second, version: "1"}, bot_path: "bots:second"}
  workflows: {flow: {first: second}}
  stages:
    STAGE:
      MORE
      workflow: flow
      here: &box
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {first: {processes: 3}}
      there:
        <<: *box
        region_name: eu-west-1
        bots: {second: {}}
"""
REGIONS = {"here": HOME, "there": AWAY}
_numbers = itertools.count(1)


@dataclass
class Deployed:
    """A stage that is deployed, and a machine with a home of its own that has credentials for it."""

    aws: Emulator
    folder: Path
    name: str
    more: str = ""

    @property
    def prefix(self) -> str:
        return f"found-{self.name}"

    @property
    def gate_parameter(self) -> str:
        return f"/factory-cdk/found/{self.name}/gate"

    @property
    def table(self) -> str:
        return f"found.{self.name}.jobs"

    @property
    def named(self) -> tuple[str, ...]:
        return ("--name", "found", "--stage", self.name)

    # On AWS

    def synthesize(self) -> Path:
        plan = stage_plan(PLAN.replace("STAGE", self.name).replace("MORE", self.more), self.folder, self.name)
        assembly = self.folder / "cdk.out"
        synthesized(design_stage(plan, packed(plan, self.folder)), assembly)
        return assembly

    def create(self, assembly: Path, kind: str, region: str, signal: str = "SUCCESS") -> None:
        """Create a stack, whose instance, if it has one, answers with `signal`; waits until that is over."""
        stack = f"{self.prefix}-{kind}"
        self.aws.publish(assembly, stack)
        self.aws.create(assembly, stack, region)
        for sector, place in REGIONS.items():
            if place == region and kind != "queues":
                self.aws.signal(f"/factory-cdk/found/{self.name}/{sector}/release", region, signal)
        until(lambda: not self.aws.status(stack, region).endswith("IN_PROGRESS"))

    def deploy(self) -> None:
        assembly = self.synthesize()
        self.create(assembly, "queues", HOME)
        self.create(assembly, HOME, HOME)
        self.create(assembly, AWAY, AWAY)

    def say(self, sector: str, gate: str = "open", request: str = "", *, ago: float = 0.0, in_hand: int = 0) -> None:
        """Have the runner of `sector` say its word, so many seconds `ago`."""
        bot = {"here": "first", "there": "second"}[sector]
        worker = WorkerStatus(sector, bot, 1, 7, "busy" if in_hand else "ready", 1000.0, 0, 5, 1, in_hand)
        pool = PoolStatus(sector, bot, bot, gate == "open", None)
        identity = RunnerIdentity(sector, REGIONS[sector], f"i-{sector}")
        write = item_writer(self.aws, HOME, self.table)  # type: ignore[arg-type] - it has the same clients
        table = StatusTable(identity, write, print, lambda: None, lambda: 0.5, now=lambda: time.time() - ago)
        table.publish(Status(7, 1000.0, gate, request, (worker,), (pool,)))
        asyncio.run(table.write())

    def gate(self, region: str) -> Any:
        """What the gate's parameter says; None where there is none."""
        client = self.aws.client("ssm", region)
        found = client.get_parameters(Names=[self.gate_parameter])["Parameters"]
        return json.loads(found[0]["Value"]) if found else None

    def forget(self) -> None:
        """Have no gate, and no word of a runner."""
        for region in (HOME, AWAY):
            self.aws.client("ssm", region).delete_parameters(Names=[self.gate_parameter])
        for sector in REGIONS:
            key = {"run": {"S": PARTITION.format(sector=sector)}, "id": {"S": "status"}}
            self.aws.client("dynamodb").delete_item(TableName=self.table, Key=key)

    # From the machine

    def environ(self) -> dict[str, str]:
        home = {"HOME": str(self.folder), "FACTORY_CDK_HOME": str(self.folder / "home")}
        return {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", **home, **self.aws.environment}

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environ = {**self.environ(), **variables}
        return subprocess.Popen(
            [sys.executable, "-m", "factory_cdk", *arguments], cwd=self.folder, env=environ, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
        """The output and errors of a command that exits with `code`."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, (arguments, out, err)
        assert "Traceback" not in err
        return out, err

    def row(self, **variables: str) -> dict[str, Any]:
        """Its row of `list`."""
        regions = ("--region", HOME, "--region", AWAY)
        rows = json.loads(self.run("list", *regions, "--format", "json", **variables)[0])
        (found,) = [row for row in rows if row["stage"] == self.name]
        assert isinstance(found, dict)
        return found


def made(aws: Emulator, folder: Path, worker: str, more: str = "") -> Deployed:
    for region in (HOME, AWAY):
        aws.bootstrap(region)
    return Deployed(aws, folder, f"s{worker.removeprefix('gw')}x{next(_numbers)}", more)


@pytest.fixture(scope="module")
def shared(aws: Emulator, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Deployed:
    """A stage that the tests of this module share."""
    stage = made(aws, tmp_path_factory.mktemp("stage"), worker_id)
    stage.deploy()
    return stage


@pytest.fixture
def stage(shared: Deployed, tmp_path: Path) -> Deployed:
    """A stage that is deployed, whose runners have said nothing, and a machine that has not seen it."""
    shared.forget()
    return Deployed(shared.aws, tmp_path, shared.name)


# Whether AWS is asked


def test_without_credentials_nobody_is_asked_and_nothing_of_aws_is_imported(stage: Deployed) -> None:
    program = (
        "import sys; from factory_cdk.cli import cli; from factory_cdk.diagnostics import FactoryError\n"
        "try:\n cli.main(sys.argv[1:], standalone_mode=False)\n"
        "except FactoryError as error:\n print(error.message, file=sys.stderr)\n"
        "assert not {'botocore', 'boto3', 'factory_cdk.agent.aws'} & sys.modules.keys()"
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(stage.folder), "FACTORY_CDK_HOME": str(stage.folder / "home")}
    for arguments, said in (
        (["list"], "nothing is built here"),
        (["ps"], "nothing is built here"),
        (["top"], "nothing is built here"),
        (["info", *stage.named], f"found/{stage.name} is not built here"),
        (["stop", *stage.named], f"found/{stage.name} is not built here"),
        (["submit", *stage.named, "--bot", "first", "--payload", "1"], f"found/{stage.name} is not built here"),
    ):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environ, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, f"{said}\n")


def test_with_credentials_list_and_ps_ask_aws_only_when_told_and_names_that_are_not_here_are_asked_for(
    stage: Deployed,
) -> None:
    with proxied(stage.aws.url) as proxy:
        for command in ("list", "ps", "top"):
            assert "nothing is built here" in stage.run(command, AWS_ENDPOINT_URL=proxy.url)[1]
        assert proxy.calls == []
        stage.run("list", "--aws", AWS_ENDPOINT_URL=proxy.url)
        asked = {call.region for call in proxy.calls if call.operation == "cloudformation.DescribeStacks"}
        assert {HOME, AWAY, "us-east-1"} <= asked
        proxy.calls.clear()
        stage.run("ps", "--region", AWAY, AWS_ENDPOINT_URL=proxy.url)
        asked = {call.region for call in proxy.calls if call.operation.startswith("cloudformation.")}
        assert asked == {AWAY}
        proxy.calls.clear()
        _, err = stage.run("info", "--name", "nobody", AWS_ENDPOINT_URL=proxy.url, code=1)
        assert "nobody is not built here, nor found on AWS" in err
        assert proxy.calls != []


def test_a_profile_is_used_whatever_variables_say(stage: Deployed) -> None:
    credentials = stage.folder / "credentials"
    credentials.write_text("[other]\naws_access_key_id = KEYOFOTHER\naws_secret_access_key = secret\n")
    with proxied(stage.aws.url) as proxy:
        files = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_ENDPOINT_URL": proxy.url}
        stage.run("list", "--aws-profile", "other", "--region", HOME, **files)
        assert {call.authorization.split("=")[1].split("/")[0] for call in proxy.calls} == {"KEYOFOTHER"}
    _, err = stage.run("list", "--aws-profile", "nobody", code=1)
    assert "nobody" in err
    assert "AWS_PROFILE" in err


def test_aws_that_refuses_is_an_error_when_it_was_to_be_asked_and_else_a_warning(stage: Deployed) -> None:
    with proxied(stage.aws.url) as proxy:
        proxy.choose = lambda call: Fault.EXPIRED
        variables = {"AWS_ENDPOINT_URL": proxy.url}
        assert "ExpiredTokenException" in stage.run("list", "--aws", code=1, **variables)[1]
        _, err = stage.run("info", "--name", "works", code=1, **variables)
        assert "warning: AWS could not be asked for works: " in err
        assert "works is not built here" in err


# What is found


def test_a_stage_is_what_its_stacks_and_runners_say(stage: Deployed) -> None:
    assert stage.row()["state"] == "silent"
    assert f"found/{stage.name}: no runner of its instances answers" in stage.run("list", "--region", HOME)[1]
    stage.say("here")
    stage.say("there")
    row = stage.row()
    assert (row["state"], row["workers"], sorted(row["regions"])) == ("running", 4, [AWAY, HOME])
    for region in (HOME, AWAY):
        stage.aws.client("ssm", region).put_parameter(Name=stage.gate_parameter, Value="stop", Type="String")
    assert stage.row()["state"] == "stopping"
    stage.say("here", "closed")
    assert stage.row()["state"] == "stopping"
    stage.say("there", "closed", ago=400)
    assert stage.row()["state"] == "stopped", "whoever does not answer is not waited for"


def test_a_runner_that_stopped_answering_is_shown_with_its_last_word_by_every_command(stage: Deployed) -> None:
    stage.say("here", in_hand=1)
    stage.say("there", ago=3600)
    rows = {row["sector"]: row for row in json.loads(stage.run("ps", *stage.named, "--format", "json")[0])}
    assert (rows["here"]["state"], rows["here"]["silent_since"]) == ("busy", None)
    assert rows["there"]["state"] == "stopped answering"
    since = rows["there"]["silent_since"]
    detail = json.loads(stage.run("info", *stage.named, "--format", "json")[0])
    runners = {one["sector"]: one for one in detail["instances"]}
    assert (runners["there"]["state"], runners["there"]["silent_since"]) == ("stopped answering", since)
    assert {bot["bot"]: bot["open"] for bot in detail["bots"]} == {"first": True, "second": False}
    assert (detail["folder"], detail["logs"], detail["plan"]) == (None, None, None)
    (view,) = json.loads(stage.run("top", *stage.named, "--format", "json")[0])
    bots = {bot["bot"]: bot for bot in view["bots"]}
    assert (bots["first"]["state"], bots["first"]["busy"], bots["first"]["done"]) == ("busy", 1, 5)
    assert bots["second"]["state"] == "stopped answering"
    text, _ = stage.run("info", *stage.named)
    assert f"{stage.prefix}-queues" in text
    assert "stopped answering" in stage.run("top", *stage.named, "--once")[0]


def test_jobs_are_submitted_and_looked_up_though_nobody_answers(stage: Deployed) -> None:
    sent = ("submit", *stage.named, "--bot", "first", "--payload", "1")
    run = stage.run(*sent)[0].strip()
    _, err = stage.run(*sent, "--wait", "60", code=4)
    assert f"no runner of found/{stage.name} answers; 1 job is kept in their queues" in err
    listed = json.loads(stage.run("jobs", "list", *stage.named, "--run", run, "--format", "json")[0])
    assert [(row["bot"], row["state"]) for row in listed] == [("first", "ready")]
    cancelled = stage.run("jobs", "cancel", *stage.named, "--all", "--yes", "--format", "json")[0]
    assert len(json.loads(cancelled)) == 2
    assert "has no bot fisrt" in stage.run("jobs", "list", *stage.named, "--bot", "fisrt", code=1)[1]


@pytest.mark.slow
def test_a_stage_that_is_made_or_failed_is_shown_as_that_and_cannot_be_stopped(
    aws: Emulator, tmp_path: Path, worker_id: str
) -> None:
    stage = made(aws, tmp_path, worker_id)
    assembly = stage.synthesize()
    stage.create(assembly, "queues", HOME)
    assert stage.row()["state"] == "damaged"
    stack = f"{stage.prefix}-{AWAY}"
    aws.publish(assembly, stack)
    aws.create(assembly, stack, AWAY)
    assert stage.row()["state"] == "building"
    aws.signal(f"/factory-cdk/found/{stage.name}/there/release", AWAY, "FAILURE")
    until(lambda: aws.status(stack, AWAY) == "ROLLBACK_COMPLETE")
    assert stage.row()["state"] == "unfinished"
    _, err = stage.run("list", "--region", AWAY)
    assert f"found/{stage.name}: stack {stack} ({AWAY}) is ROLLBACK_COMPLETE" in err
    _, err = stage.run("stop", *stage.named, code=1)
    assert f"found/{stage.name} is unfinished on AWS" in err
    assert [stage.gate(region) for region in (HOME, AWAY)] == [None, None]
    assert "is unfinished on AWS" in stage.run("submit", *stage.named, "--bot", "first", "--payload", "1", code=1)[1]
    json.loads(stage.run("info", *stage.named, "--format", "json")[0])


# Stopping


def answering(stage: Deployed, gate: str, sectors: tuple[str, ...] = ("here", "there")) -> str:
    """Have runners do what the gate asks for, as soon as it does; the request."""
    wanted = {"closed": "stop", "open": "run"}[gate]

    def asked() -> str | None:
        said = stage.gate(AWAY)
        return str(said["request"]) if said and said["gate"] == wanted else None

    request = until(asked)
    for sector in sectors:
        stage.say(sector, gate, request)
    return request


def test_stop_closes_the_gate_of_every_region_and_waits_for_every_runner_that_answers(stage: Deployed) -> None:
    stage.say("here")
    stage.say("there")
    stopping = stage.start("stop", *stage.named)
    request = answering(stage, "closed", ("here",))
    assert stage.gate(HOME) == stage.gate(AWAY) == {"gate": "stop", "request": request}
    told = [stopping.stderr.readline() for _ in range(2)] if stopping.stderr else []
    assert told[1] == "waiting for the runner of sector there (i-there, open)\n"
    assert stopping.poll() is None
    stage.say("there", "closed", request)
    out, err = stopping.communicate(timeout=PATIENCE)
    assert (stopping.returncode, out) == (0, f"found/{stage.name} is stopped\n"), err

    resuming = stage.start("resume", *stage.named)
    request = answering(stage, "open")
    out, err = resuming.communicate(timeout=PATIENCE)
    assert (resuming.returncode, out) == (0, f"found/{stage.name} goes on\n"), err
    assert stage.gate(HOME) == {"gate": "run", "request": request, "keep-stopped": False}


def test_a_runner_that_does_not_answer_is_told_and_not_waited_for(stage: Deployed) -> None:
    stage.say("here", ago=3600, in_hand=1)
    out, err = stage.run("stop", *stage.named)
    assert out == f"found/{stage.name} is stopped\n"
    assert f"sector here (i-here in {HOME}) is not waited for: it stopped answering at " in err
    assert "the runner of sector there has said nothing yet: it reads the gate when it starts" in err


def test_whoever_waits_is_told_when_another_command_lets_the_stage_go_on(stage: Deployed) -> None:
    stage.say("here")
    stopping = stage.start("stop", *stage.named)
    until(lambda: stage.gate(AWAY))
    stage.aws.client("ssm", HOME).put_parameter(Name=stage.gate_parameter, Value="run", Type="String", Overwrite=True)
    stage.aws.client("ssm", AWAY).put_parameter(Name=stage.gate_parameter, Value="run", Type="String", Overwrite=True)
    _, err = stopping.communicate(timeout=PATIENCE)
    assert stopping.returncode == 1
    assert f"found/{stage.name}: another command let it go on meanwhile" in err


def test_ctrl_c_ends_the_waiting_and_the_stage_goes_on_stopping(stage: Deployed) -> None:
    stage.say("here")
    stopping = stage.start("stop", *stage.named)
    assert stopping.stderr is not None
    assert "the gate is closed" in stopping.stderr.readline()
    stopping.send_signal(2)
    _, err = stopping.communicate(timeout=PATIENCE)
    assert stopping.returncode == 130
    assert f"found/{stage.name} goes on stopping" in err
    assert stage.gate(AWAY)["gate"] == "stop"


def test_a_gate_that_cannot_be_written_everywhere_names_the_permission_and_where_it_was(stage: Deployed) -> None:
    stage.say("here")

    def denied(region: str) -> Callable[[Call], Fault | None]:
        return lambda call: Fault.DENIED if call.operation == "ssm.PutParameter" and call.region == region else None

    with proxied(stage.aws.url) as proxy:
        proxy.choose = denied(AWAY)  # the second one
        _, err = stage.run("stop", *stage.named, code=1, AWS_ENDPOINT_URL=proxy.url)
    assert f"the gate of found/{stage.name} in {AWAY}: AccessDeniedException" in err
    assert f"it was written in {HOME} already" in err
    assert f"these credentials need ssm:PutParameter on parameter{stage.gate_parameter}" in err


def test_the_verbs_of_python_are_the_same_for_a_stage_on_aws(stage: Deployed, shared: Deployed) -> None:
    (stage.folder / "factory-plan.yml").write_text((shared.folder / "factory-plan.yml").read_text())
    stage.say("here")
    stage.say("there")
    script = """
import sys
from factory_cdk import Factory, FactoryError
factory = Factory("factory-plan.yml")
detail = factory.info()
print(detail.state, [(bot.bot, bot.open) for bot in detail.bots], len(detail.instances))
print([(row.stage, row.state) for row in factory.stages() if row.stage == sys.argv[1]])
factory.stop()
print(factory.info().instances[0].state)
factory.resume()
future = factory.submit("first", {"part": 1})
print(future.cancel(), factory.secrets_check())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, stage.name], cwd=stage.folder, env=stage.environ(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    answering(stage, "closed")
    answering(stage, "open")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert out.splitlines() == [
        "running [('first', True), ('second', True)] 2",
        f"[('{stage.name}', 'running')]",
        "closed",
        "True []",
    ]


@pytest.mark.slow
def test_a_stage_without_a_table_is_stopped_and_it_is_said_what_is_not_known(
    aws: Emulator, tmp_path: Path, worker_id: str
) -> None:
    stage = made(aws, tmp_path, worker_id, "history: false")
    stage.deploy()
    assert stage.row()["state"] == "running"
    _, err = stage.run("stop", *stage.named)
    assert "has no table (history: false), so whether jobs are in hand is not known" in err
    assert stage.row()["state"] == "stopped"
    stage.run("resume", *stage.named)
    assert stage.row()["state"] == "running"
