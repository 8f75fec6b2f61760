"""Plain `cdk bootstrap`, `deploy`, `diff` and `destroy` of a stage's stacks, beside `factory-cdk build` of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from answering import FAILURE, SUCCESS, Answering, answering
from emulator import ACCOUNT, Emulator, running
from patience import PATIENCE

from factory_cdk.stacks.node import wheel_node

HOME, AWAY = "eu-west-2", "eu-west-1"
CDK = Path(sys.prefix) / "cdk-cli" / "node_modules" / "aws-cdk" / "bin" / "cdk"
PLAN = """
factory:
  name: plain
  bots:
    cut: {source: {path: code}, bot_path: "bots:run"}
    weigh: {source: {path: code}, bot_path: "bots:run"}
  workflows: {flow: {cut: weigh}}
  stages:
    prod:
      workflow: flow
      north: {type: aws, parameters: &box {ImageId: ami-0abcdef1234567890, InstanceType: t3.micro},
              region_name: eu-west-2, bots: {cut: {}}}
      south: {type: aws, parameters: *box, region_name: eu-west-1, bots: {weigh: {}}}
"""
STACKS = {"plain-prod-queues": HOME, f"plain-prod-{HOME}": HOME, f"plain-prod-{AWAY}": AWAY}
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CDK.is_file(), reason="the CDK CLI is not installed; ./dev e2e installs it"),
]


@dataclass
class Desk:
    """A folder with a plan, the CDK CLI, and instances that answer; an account of its own."""

    aws: Emulator
    folder: Path
    instances: Answering

    def write(self, code: str) -> None:
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code/bots.py").write_text(f"def run(payload):\n    return {code}\n")
        (self.folder / "factory-plan.yml").write_text(PLAN)

    def run(self, *command: str, code: int = 0) -> str:
        environ = {
            **os.environ,
            **self.aws.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_REGION": HOME,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "FACTORY_CDK_HOME": str(self.folder / "home"),
            "CI": "true",
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=4 * PATIENCE, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def cdk(self, *arguments: str, code: int = 0) -> str:
        return self.run(str(wheel_node()), str(CDK), *arguments, code=code)

    def factory(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "factory_cdk", *arguments)

    def synth(self) -> None:
        self.factory("pack", "--plan", "factory-plan.yml", "--stage", "prod")
        self.factory("synth", "--plan", "factory-plan.yml", "--stage", "prod", "-q")

    def deploy(self, code: int = 0) -> str:
        return self.cdk("deploy", "--all", "--app", "cdk.out", "--require-approval", "never", code=code)

    def statuses(self) -> list[str]:
        return [self.aws.status(name, region) for name, region in STACKS.items()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "emulator"
    folder.mkdir()
    with running(folder) as aws, answering(aws, "/factory-cdk/plain/prod", {"north": HOME, "south": AWAY}) as instances:
        made = Desk(aws, tmp_path, instances)
        made.write("1")
        yield made


def test_plain_cdk_and_build_work_on_the_same_stacks(desk: Desk) -> None:
    desk.cdk("bootstrap", f"aws://{ACCOUNT}/{HOME}", f"aws://{ACCOUNT}/{AWAY}")
    desk.synth()
    desk.deploy()
    assert desk.statuses() == ["CREATE_COMPLETE"] * 3
    assert "differences: 0" in desk.cdk("diff", "--app", "cdk.out")
    build = ("build", "--plan", "factory-plan.yml", "--stage", "prod", "--yes")
    assert "nothing was changed" in desk.factory(*build), "what plain CDK has deployed is what build would"

    desk.write("2")
    desk.factory(*build)
    assert desk.statuses() == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]
    desk.synth()
    assert "differences: 0" in desk.cdk("diff", "--app", "cdk.out"), "what build has deployed is what plain CDK would"

    desk.write("3")
    desk.synth()
    assert "differences: 2" in desk.cdk("diff", "--app", "cdk.out")
    desk.deploy()  # a stack that build has deployed waits at no gate
    assert desk.statuses() == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]

    desk.write("4")
    desk.synth()
    desk.instances.says["south"] = FAILURE
    assert "WaitCondition received failed message" in desk.deploy(code=1)
    assert desk.statuses()[2] == "UPDATE_ROLLBACK_COMPLETE"
    desk.instances.says["south"] = SUCCESS
    desk.deploy()

    desk.cdk("destroy", "--all", "--force", "--app", "cdk.out")
    assert set(desk.statuses()) <= {"GONE", "DELETE_COMPLETE"}
    assert desk.aws.client("sqs", HOME).list_queues(QueueNamePrefix="plain-prod-")["QueueUrls"], "jobs may be in them"
