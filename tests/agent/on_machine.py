"""An instance whose agent is on a machine of its own, brought up by the user-data that CloudFormation was given."""

from __future__ import annotations

import base64
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from agent_works import Instance
from emulator import ACCOUNT, Emulator
from machine import Machine
from metadata_server import MetadataServer, role_keys
from patience import until

AGENT, BOOT, TIMER = "factory-cdk-agent.service", "factory-cdk.service", "factory-cdk.timer"


@dataclass(kw_only=True)
class OnMachine(Instance):
    """As an Instance, but systemd starts the agent; `machine` is off until the stack has made the instance."""

    machine: Machine

    def deploy(self, assembly: Path) -> None:
        """Start to create the stack of the instance, or to update it."""
        self.aws.publish(assembly, self.stack)
        change = self.aws.create if self.machine.process is None else self.aws.update
        change(assembly, self.stack, self.region)

    def start(self) -> None:
        """Switch the machine on; once it is, systemd starts what has ended, and this waits for it."""
        if self.machine.process is None:
            self.machine.user_data = until(self.user_data)
            self.take_on_role()
            self.machine.start()
        else:
            self.until_active()

    def take_on_role(self) -> None:
        """Give the machine the credentials of the role that the stack has made."""
        role = f"arn:aws:iam::{ACCOUNT}:role/agents.{self.stage}.{self.sector_name}.{self.region}"
        keys = self.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="i-0")["Credentials"]
        self.machine.answers["iam/security-credentials/sector-role"] = role_keys(keys)

    def user_data(self) -> str | None:
        """The user-data of the instance, once the stack has made it."""
        stacks, ec2 = (self.aws.client(name, self.region) for name in ("cloudformation", "ec2"))
        listed = stacks.list_stack_resources(StackName=self.stack)["StackResourceSummaries"]
        ids = [one["PhysicalResourceId"] for one in listed if one["ResourceType"] == "AWS::EC2::Instance"]
        if not ids:
            return None
        said = ec2.describe_instance_attribute(InstanceId=ids[0], Attribute="userData")["UserData"]
        return base64.b64decode(said["Value"]).decode()

    def until_active(self) -> None:
        """Wait until the agent has a process."""
        until(lambda: self.machine.unit(AGENT, "ActiveState") == "active" and self.agent())

    def guardian(self) -> int:
        """The process that systemd has started, as this machine numbers it."""
        return self.machine.processes(AGENT)[int(self.machine.unit(AGENT, "MainPID"))]

    def agent(self) -> int:
        def child() -> int | None:
            guardian = self.guardian()
            found = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
            return int(found[0]) if found else None

        return until(child)

    def restarts(self) -> int:
        """How often systemd has started the agent again."""
        return int(self.machine.unit(AGENT, "NRestarts"))

    def kill(self) -> None:
        before = self.restarts()
        os.kill(self.agent(), signal.SIGKILL)
        until(lambda: self.restarts() > before)

    def printed(self) -> str:
        return self.machine.journal() if self.machine.process else ""

    def end(self) -> None:
        self.machine.end()


def on_machine(
    aws: Emulator,
    metadata: MetadataServer,
    folder: Path,
    stage: str,
    region: str,
    sector: str,
    debian: Path,
    wheels: Path,
) -> OnMachine:
    """An instance of `sector`, whose machine is off."""
    machine = Machine(folder / "disk", debian, wheels, aws.url, answers=metadata.answers)
    machine.variables = {"AWS_ENDPOINT_URL": aws.url, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    folder.mkdir(exist_ok=True)
    return OnMachine(aws, metadata, folder, stage, folder / "index", region=region, sector_name=sector, machine=machine)
