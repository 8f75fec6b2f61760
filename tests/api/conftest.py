"""A plan in a folder, with a home of its own; what was built is taken down in the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_cdk.state.stage_folder import stage_folders
from factory_cdk.state.status import runner_pid

PLAN = """
factory:
  name: from-python
  bots:
    cut: {source: {path: code}, bot_path: "bots:cut"}
    count: {source: {path: code}, bot_path: "bots:count"}
    shout: {source: {path: code}, bot_path: "bots:bot"}
    odd: {source: {path: code}, bot_path: "bots:odd"}
    hold: {source: {path: code}, bot_path: "bots:hold"}
  workflows:
    flow:
      cut: [count, shout]
  stages:
    test:
      workflow: flow
      here:
        type: local
        bots:
          cut:
          count:
          shout:
          odd: {max-attempts: 1}
          hold:
    broken:
      here:
        type: local
        bots:
          odd: {queue-name: other}
"""

BOTS = """
import time
from pathlib import Path
from factory_cdk import Bot

def cut(text):
    return text.split()

def count(words):
    return len(words)

bot = Bot("shout")

@bot.process
def shout(job):
    if job.payload == ["alone"]:
        job.do_workflow = False
    return [word.upper() for word in job.payload]

def odd(number):
    if number % 2 == 0:
        raise ValueError(f"{number} is even")
    return number

def hold(gate):
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.001)
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plan's file."""
    home = tmp_path / "home"
    monkeypatch.setenv("FACTORY_CDK_HOME", str(home))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "bots.py").write_text(BOTS)
    (tmp_path / "factory-plan.yml").write_text(PLAN)
    yield tmp_path / "factory-plan.yml"
    for state in stage_folders(home):
        pid = runner_pid(state)
        if pid:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 60
            while runner_pid(state) is not None and time.monotonic() < deadline:
                time.sleep(0.005)
