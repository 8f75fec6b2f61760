"""A stage on this machine and in two regions, sent jobs while what works on them is killed and replaced."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_works import REGION, Instance, command
from emulator import Emulator
from metadata_server import TOKEN, metadata_service
from patience import until

AWAY = "eu-west-1"
PLAN = """
factory:
  name: agents
  bots:
    cut: {source: {path: code/cut}, bot_path: "cut:run", secrets: {DESK_WORD: {env: DESK_WORD}}}
    weigh: {source: {path: code/weigh}, bot_path: "weigh:run", secrets: [PASSWORD]}
    press: {source: {path: code/press}, bot_path: "press:run"}
    count: {source: {path: code/count}, bot_path: "count:run"}
    note: {source: {path: code/note}, bot_path: "note:run"}
  workflows: {flow: {cut: {weigh: {press: {count: note}}}}}
  stages:
    STAGE:
      workflow: flow
      desk: {type: local, bots: {cut: {}, note: {}}}
      north:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {weigh: {}, press: {}}
      south:
        type: aws
        region_name: eu-west-1
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {count: {}}
"""
BOT = """
import hashlib
import os

def run(payload):
    secret = os.environ.get("SECRET", "")
    digest = hashlib.sha256(secret.encode()).hexdigest()[:8]
    sector = os.environ["FACTORY_SECTOR"]
    payload["passed"].append({"bot": "BOT", "pid": os.getpid(), "sector": sector, "secret": digest})
    return payload
"""
NOTE = """
import json
import os

def run(payload):
    file = os.open("FILE", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, (json.dumps(payload) + "\\n").encode())
    finally:
        os.close(file)
"""
WAY = (("cut", "desk"), ("weigh", "north"), ("press", "north"), ("count", "south"))
BOTS = tuple(bot for bot, _ in WAY)
SECRETS = {"cut": ("DESK_WORD", "velvet-anchor-of-the-desk"), "weigh": ("PASSWORD", "correct-horse-of-the-north")}
HIDDEN = (*(value for _, value in SECRETS.values()), TOKEN)


@dataclass
class Stage:
    """A stage with a local sector and instances `north` and `south`, whose last bot writes into the file `done`."""

    north: Instance
    south: Instance
    done: Path
    told: set[str] = field(default_factory=set)
    """Those of `hidden` that were in the command line of a process."""

    @property
    def aws(self) -> Emulator:
        return self.north.aws

    @property
    def named(self) -> tuple[str, ...]:
        return ("--name", "agents", "--stage", self.north.stage)

    @property
    def hidden(self) -> set[str]:
        """What nobody may be told: values of secrets, and what the instances' roles sign with."""
        roles = (one.metadata.answers["iam/security-credentials/sector-role"] for one in (self.north, self.south))
        return {*HIDDEN, *(json.loads(role)[name] for role in roles for name in ("SecretAccessKey", "Token"))}

    def run(self, *arguments: str) -> str:
        """What a command of factory-cdk prints."""
        ended = command(self.north, *arguments, DESK_WORD=SECRETS["cut"][1])
        assert ended.returncode == 0, (arguments, ended.stderr)
        return ended.stdout

    def write_bot(self, bot: str, more: str = "") -> None:
        secret, _ = SECRETS.get(bot, ("", ""))
        self.north.write(f"{bot}/{bot}.py", BOT.replace("BOT", bot).replace("SECRET", secret) + more)

    def write_bots(self) -> None:
        for bot in BOTS:
            self.write_bot(bot)
        self.north.write("note/note.py", NOTE.replace("FILE", str(self.done)))

    def create_queues(self, assembly: Path) -> None:
        """Create the first stack of the stage."""
        queues = f"agents-{self.north.stage}-queues"
        self.aws.publish(assembly, queues)
        self.aws.create(assembly, queues, REGION)
        until(lambda: self.aws.status(queues, REGION) == "CREATE_COMPLETE")

    def deploy(self) -> None:
        """Create the stacks in the emulator, start the agents, and build the local sectors."""
        self.write_bots()
        assembly = self.north.synthesize(PLAN)
        self.create_queues(assembly)
        for instance in (self.north, self.south):
            instance.deploy(assembly)
            instance.start()
        put_secret(self.north)
        for instance in (self.north, self.south):
            assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
        self.run("build", "--plan", "factory-plan.yml", "--stage", self.north.stage, "--local-sectors")

    def submit(self, *ids: str) -> None:
        file = self.north.folder / "jobs.jsonl"
        file.write_text("".join(json.dumps({"id": one, "passed": []}) + "\n" for one in ids))
        self.run("submit", *self.named, "--bot", "cut", "--lines", str(file))

    def arrived(self) -> list[Any]:
        """The jobs that the last bot has got, as they came."""
        return [json.loads(line) for line in self.done.read_text().splitlines()] if self.done.exists() else []

    def until_arrived(self, id_: str) -> list[dict[str, Any]]:
        """Which bots the job passed."""
        return until(lambda: next(one["passed"] for one in self.arrived() if one["id"] == id_))

    def pids(self, id_: str) -> dict[str, int]:
        """The processes of the bots, by a job that passes all."""
        self.submit(id_)
        return {one["bot"]: one["pid"] for one in self.until_arrived(id_)}

    def states(self) -> Counter[str]:
        """How many jobs are in which state, once all are at an end."""

        def at_an_end() -> Counter[str] | None:
            listed = self.run("jobs", "list", *self.named, "--limit", "0", "--format", "json")
            states = Counter(one["state"] for one in json.loads(listed))
            return None if states.keys() & {"ready", "delayed", "leased"} else states

        return until(at_an_end)

    def look_at_command_lines(self) -> None:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                content = file.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            self.told |= {one for one in self.hidden if one.encode() in content}


@contextmanager
def two_instances(north: Instance, folder: Path) -> Iterator[tuple[Instance, Instance]]:
    """`north`, and an instance in the other region, whose files are below `folder`; it ends with the block."""
    north.aws.bootstrap(AWAY)
    north.sector_name = "north"
    away = folder / "south"
    away.mkdir()
    with metadata_service() as metadata:
        metadata.answers["instance-id"] = "i-0fedcba9876543210"
        south = Instance(north.aws, metadata, away, north.stage, north.index, region=AWAY, sector_name="south")
        for one in (north, south):
            one.environ |= {"ON_AWS": "1", "LEASE": "5"}
        try:
            yield north, south
        finally:
            south.end()


def put_secret(instance: Instance) -> None:
    """Write the values of the secret that the template made empty."""
    client = instance.aws.client("secretsmanager", instance.region)

    def name() -> str:
        found = client.list_secrets()["SecretList"]
        return str(next(one["Name"] for one in found if f"/{instance.stage}/{instance.sector_name}/" in one["Name"]))

    value = json.dumps(dict([SECRETS["weigh"]]))
    client.put_secret_value(SecretId=until(name), SecretString=value)


def worker_of(instance: Instance) -> int:
    """A process of a worker of the instance."""
    agent = instance.agent()
    return until(
        lambda: next(
            int(pid)
            for task in Path(f"/proc/{agent}/task").iterdir()
            for pid in (task / "children").read_text().split()
            if b"factory_cdk.agent" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
    )


def kill_agent(instance: Instance) -> None:
    """SIGKILL for the agent; it is started again, as systemd does."""
    instance.kill()
    instance.start()


def kill_worker(instance: Instance) -> None:
    os.kill(worker_of(instance), signal.SIGKILL)


def send_through_kills(stage: Stage, count: int, rounds: int) -> None:
    """`count` jobs come back once each, while each agent is killed `rounds` times, and a worker once."""
    ids = [f"job-{number}" for number in range(count)]
    seeded = random.Random(count)  # noqa: S311 - the same moments in every run
    kills = [(kill_agent, stage.north), (kill_agent, stage.south)] * rounds + [(kill_worker, stage.north)]
    seeded.shuffle(kills)
    moments = sorted(seeded.sample(range(1, count // 2), len(kills)))
    stage.submit(*ids)
    for moment, (kill, instance) in zip(moments, kills, strict=True):
        until(lambda: len(stage.arrived()) >= moment)  # noqa: B023
        assert len(stage.arrived()) < count, "all have come back before the kill"
        kill(instance)
        stage.look_at_command_lines()
    until(lambda: {one["id"] for one in stage.arrived()} >= set(ids))
    assert stage.states() == {"success": count * 5}
    assert Counter(one["id"] for one in stage.arrived()) == Counter(ids)
    for one in stage.arrived():
        assert [(at["bot"], at["sector"]) for at in one["passed"]] == [*WAY]


def told_by_aws(stage: Stage) -> Iterator[str]:
    """All that the emulator has of the stage where it can be read without permission to read secrets."""
    for region in (REGION, AWAY):
        stacks = stage.aws.client("cloudformation", region)
        for stack in stacks.describe_stacks()["Stacks"]:
            if f"-{stage.north.stage}-" in stack["StackName"]:
                yield json.dumps(stacks.get_template(StackName=stack["StackName"])["TemplateBody"])
                yield json.dumps(stacks.describe_stack_events(StackName=stack["StackName"])["StackEvents"], default=str)
                yield json.dumps(stack, default=str)
        parameters = stage.aws.client("ssm", region)
        for page in parameters.get_paginator("get_parameters_by_path").paginate(Path=stage.north.path, Recursive=True):
            yield json.dumps(page["Parameters"], default=str)
        logs = stage.aws.client("logs", region)
        for group in logs.describe_log_groups(logGroupNamePrefix=stage.north.path)["logGroups"]:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                yield json.dumps(page["events"])
    table = stage.aws.client("dynamodb").get_paginator("scan")
    for page in table.paginate(TableName=f"agents.{stage.north.stage}.jobs"):
        yield json.dumps(page["Items"], default=str)


def assert_nothing_told(stage: Stage, folder: Path) -> None:
    """No value of a secret is in a file of the test, in what AWS shows, or in a command line."""
    stage.look_at_command_lines()
    assert stage.told == set()
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"sector.json", "installed.json"} <= {path.name for path in files}
    for hidden in stage.hidden:
        assert [path for path in files if path.exists() and hidden.encode() in path.read_bytes()] == []
    printed = [instance.printed() for instance in (stage.north, stage.south)]
    assert all("bots" in text for text in printed)
    texts = [*printed, *told_by_aws(stage), (stage.aws.sqs_clock.parent / "emulator.log").read_text()]
    assert any("AWS::SecretsManager::Secret" in text for text in texts) and any("press" in text for text in texts)
    assert [text for text in texts if any(hidden in text for hidden in stage.hidden)] == []
