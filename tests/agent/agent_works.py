"""An instance for tests: a real stack of a real plan in the emulator, and the agent of its sector as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator import Emulator
from metadata_server import MetadataServer
from patience import PATIENCE, until

from factory_cdk.compile import with_cached_files
from factory_cdk.design.designing import design_stage
from factory_cdk.home import make_private
from factory_cdk.pack import pack
from factory_cdk.pack.report import PackReport
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import StagePlan
from factory_cdk.plan.stage import resolve_stage
from factory_cdk.queues.opening import SqliteLocation, open_queues
from factory_cdk.queues.port import Job, JobRecord
from factory_cdk.stacks.node import prepare_cdk

REGION = "eu-west-2"
SECTOR = "here"
PROGRAM = Path(__file__).with_name("agent_program.py")
INDEX_CLOSED = {"UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": os.devnull}


@dataclass
class Instance:
    """The instance of a sector of a stage of the factory `agents`; its files are in `root`."""

    aws: Emulator
    metadata: MetadataServer
    folder: Path
    stage: str
    index: Path
    plan: str = ""
    process: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=lambda: [sys.executable, str(PROGRAM)])
    programs: Path = Path(sys.executable).parent
    builds: int = 0
    region: str = REGION
    sector_name: str = SECTOR

    @property
    def root(self) -> Path:
        return self.folder / "opt"

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def stack(self) -> str:
        return f"agents-{self.stage}-{self.region}"

    @property
    def path(self) -> str:
        return f"/factory-cdk/agents/{self.stage}"

    # Its stage

    def write(self, file: str, text: str) -> None:
        """Write a file of the bots' code."""
        path = self.code / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def pack(self, plan: str) -> tuple[StagePlan, PackReport]:
        """Pack the plan."""
        file = self.folder / "factory-plan.yml"
        file.write_text(plan.replace("STAGE", self.stage), encoding="utf-8")
        loaded = read_plan(file)
        resolved = resolve_stage(loaded, self.stage, region=REGION)
        make_private(self.folder / "home")
        environ = {**os.environ, **INDEX_CLOSED, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        report = pack(loaded, resolved.bots, cache=self.folder / "home" / "pack", env=environ)
        report.refuse_failures()
        return resolved, report

    def build(self, plan: str, *before: str) -> None:
        """Pack the plan and create its stack, or update it; does not wait, but for stacks of the kinds `before`."""
        assembly = self.synthesize(plan)
        for kind in before:
            stack = f"agents-{self.stage}-{kind}"
            self.aws.publish(assembly, stack)
            self.aws.create(assembly, stack, REGION)
            until(lambda: self.aws.status(stack, REGION) == "CREATE_COMPLETE")  # noqa: B023
        self.deploy(assembly)

    def synthesize(self, plan: str) -> Path:
        """Pack the plan; the assembly of its stage."""
        resolved, report = self.pack(plan)
        self.builds += 1
        assembly = self.folder / f"cdk.out.{self.builds}"
        assembly.mkdir()
        prepare_cdk()
        from factory_cdk.stacks.app import synthesize

        design = design_stage(resolved, report.bundles)
        synthesize(with_cached_files(design, self.folder / "home" / "pack"), assembly)
        return assembly

    def deploy(self, assembly: Path) -> None:
        """Start to create the stack of the instance, or to update it."""
        self.aws.publish(assembly, self.stack)
        if self.root.exists():
            self.aws.update(assembly, self.stack, self.region)
        else:
            self.aws.create(assembly, self.stack, self.region)
            self.root.mkdir()
            (self.root / "sector.json").write_text(json.dumps(self.sector()))

    def sector(self) -> dict[str, str]:
        return {
            "factory": "agents",
            "stage": self.stage,
            "sector": self.sector_name,
            "region": self.region,
            "release_parameter": f"{self.path}/{self.sector_name}/release",
            "gate_parameter": f"{self.path}/gate",
            "parameters_path": f"{self.path}/{self.sector_name}",
            "log_group": f"{self.path}/{self.sector_name}",
        }

    def stack_ends(self) -> str:
        """The status in which what is done to the stack ends."""

        def ended() -> str | None:
            status = self.aws.status(self.stack, self.region)
            return None if status.endswith("IN_PROGRESS") else status

        return until(ended)

    def reasons(self) -> str:
        """Why resources of the stack are in the states in which they are."""
        events = self.aws.client("cloudformation", self.region).describe_stack_events(StackName=self.stack)[
            "StackEvents"
        ]
        return "\n".join(str(event.get("ResourceStatusReason", "")) for event in events)

    def gate(self, text: str | None) -> None:
        """Write the gate's parameter, or remove it."""
        ssm = self.aws.client("ssm", self.region)
        if text is None:
            ssm.delete_parameter(Name=f"{self.path}/gate")
        else:
            ssm.put_parameter(Name=f"{self.path}/gate", Value=text, Type="String", Overwrite=True)

    # Its agent

    def start(self) -> None:
        """Start the agent."""
        environ = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            **INDEX_CLOSED,
            **self.environ,
        }
        with (self.folder / "agent.log").open("ab") as log:
            command = [*self.command, str(self.root)]
            self.process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pids(self) -> set[int]:
        """The agent's process and the guardian's."""
        assert self.process is not None
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {self.process.pid, *map(int, found)}

    def agent(self) -> int:
        """The agent's process, once the guardian has started it."""
        assert self.process is not None
        (agent,) = until(lambda: self.pids() - {self.process.pid if self.process else 0})
        return agent

    def kill(self) -> None:
        """SIGKILL for the agent, as by the kernel when there is no memory."""
        assert self.process is not None
        os.kill(self.agent(), signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """End the agent as systemd does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def printed(self) -> str:
        return (self.folder / "agent.log").read_text()

    def until_logged(self, text: str) -> None:
        """Wait until the agent has logged `text`."""
        until(lambda: text in self.printed())

    # Jobs

    def submit(self, run: str, queue: str, *payloads: Any) -> None:
        with open_queues(self.location) as queues:
            jobs = [Job(f"{run}-{number}", queue, payload, run) for number, payload in enumerate(payloads, 1)]
            queues.send(queue, jobs)

    def outcomes(self, run: str) -> list[JobRecord]:
        """All that came of a run, once it is over."""
        with open_queues(self.location) as queues:
            until(lambda: not queues.history.remaining(run))
            return list(queues.history.outcomes(run))

    def results(self, run: str, bot: str) -> list[Any]:
        return [one.result for one in self.outcomes(run) if one.job.bot == bot]

    def remaining(self, run: str) -> int:
        with open_queues(self.location) as queues:
            return queues.history.remaining(run)

    @property
    def location(self) -> SqliteLocation:
        return SqliteLocation(self.root / "queues.sqlite3", shared=True)

    def pid_of(self, bot: str) -> int:
        """The process of a bot's one worker, which it says itself."""
        run = f"pid-{os.urandom(4).hex()}"
        self.submit(run, bot, {"pid": True})
        (found,) = self.results(run, bot)
        return int(found)

    def files(self) -> Mapping[Path, bytes]:
        """Every file of the instance."""
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()}

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.terminate()
            self.process.wait(PATIENCE)


def command(instance: Instance, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run factory-cdk beside the plan of `instance`, with `variables` set."""
    environ = {
        **os.environ,
        **INDEX_CLOSED,
        **instance.aws.environment,
        "AWS_REGION": REGION,
        "FACTORY_CDK_HOME": str(instance.folder / "home"),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", *arguments],
        cwd=instance.folder, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
