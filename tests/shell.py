"""factory-cdk as a person runs it, on a plan whose bots are in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patience import PATIENCE

PLAN = """
factory:
  name: journey
  bots:
    cut: {source: {path: code}, bot_path: "bots:cut"}
    count: {source: {path: code}, bot_path: "bots:count"}
    shout: {source: {path: code}, command: [tr, a-z, A-Z], config: {MOOD: loud}, secrets: {TOKEN: {env: MY_TOKEN}}}
    odd: {source: {path: code}, bot_path: "bots:odd"}
    hold: {source: {path: code}, bot_path: "bots:hold"}
  workflows:
    flow: {cut: [count, shout]}
  stages:
    test:
      workflow: flow
      here:
        type: local
        bots:
          cut:
          count: {processes: 2}
          shout:
          odd: {max-attempts: 1}
    other:
      there:
        type: local
        bots:
          hold: {queue-name: waiting}
    cloud:
      box:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {cut: }
"""

BOTS = """
import time
from pathlib import Path

def cut(text):
    return text.split()

async def count(job):
    print("counting")
    return {"words": len(job.payload)}

def odd(number):
    if number % 2 == 0:
        raise ValueError(f"{number} is even")
    return number

def hold(gate):
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.001)
"""


@dataclass
class Shell:
    """Runs factory-cdk as a person does."""

    folder: Path
    plan: Path
    variables: dict[str, str | None] = field(default_factory=dict)
    """Variables that are set, or taken away (None)."""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "höme"

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        environ = {**os.environ, "FACTORY_CDK_HOME": str(self.home), "MY_TOKEN": "hidden-word", **self.variables}
        environ = {name: value for name, value in environ.items() if value is not None}
        command = [sys.executable, "-m", "factory_cdk", *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, env=environ, text=True, cwd=self.folder, **{**pipes, **options})
        self.started.append(process)
        return process

    def end(self) -> None:
        """End what was started and is at work yet, because its test has failed."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def run(self, *arguments: str, code: int = 0, input_: str | None = None) -> tuple[str, str]:
        """The output and the errors of a command that exits with `code`."""
        options = {"stdin": subprocess.PIPE} if input_ is not None else {}
        process = self.start(*arguments, **options)
        out, err = process.communicate(input_, timeout=PATIENCE)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err or "traceback" in out
        return out, err

    def build(self, stage: str = "test") -> None:
        self.run("build", "--plan", str(self.plan), "--stage", stage, "--yes")

    def submit(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Submit to the stage `test` and wait; the jobs."""
        out, _ = self.run("submit", "--name", "journey", "--stage", "test", "--wait", "180", *arguments, code=code)
        return [json.loads(line) for line in out.splitlines()]

    def workers(self) -> list[dict[str, Any]]:
        rows = json.loads(self.run("ps", "--format", "json")[0])
        assert isinstance(rows, list)
        return rows


def fill(disk: Path) -> Path:
    """Leave no byte free; the file that takes them."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 512, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path
