"""`launcher: qalx`: what `qalx bot-start` is started with, kept running and ended, by a stand-in that records it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from local_works import Works, bot, lives, until

from factory_cdk.diagnostics import FactoryError
from factory_cdk.launchers.qalx import bot_start
from factory_cdk.plan.model import BotArguments
from factory_cdk.release import BotRelease

STAND_IN = f"""#!/bin/sh
'''exec' {shlex.quote(sys.executable)} "$0" "$@"
' '''
import json, os, signal, sys, time
record = os.environ["RECORD"]

def end(*_):
    print("qalx ends", flush=True)
    open(record + ".ended", "w").close()
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("qalx starts", flush=True)
with open(record + ".new", "a") as file:
    file.write(json.dumps([os.getpid(), sys.argv[1:], os.environ.get("TOKEN"), os.environ["PYTHONPATH"]]) + "\\n")
os.replace(record + ".new", record)
while not os.path.exists(record + ".die"):
    time.sleep(0.005)
os.remove(record + ".die")
sys.exit(9)
"""

EVERYTHING: dict[str, Any] = {
    "launcher": "qalx",
    "processes": 3,
    "skip_ini": True,
    "qalx_session_class": "mine.session:Session",
    "user_config_class": "mine.config:User",
    "bot_config_class": "mine.config:Bot",
    "entity_class": "mine.entities:Entity",
    "stop": True,
    "meta": {"owner": "a b=c", "size": [1, 2]},
}


@pytest.fixture
def record(works: Works, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in, first on PATH, writes what it was started with."""
    folder = works.home.parent / "bin"
    folder.mkdir()
    (folder / "qalx").write_text(STAND_IN)
    (folder / "qalx").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    works.write("welding.py", "bot = None\n")
    return works.home.parent / "record"


def started(record: Path) -> list[Any]:
    until(record.exists)
    found = json.loads(record.read_text().splitlines()[-1])
    assert isinstance(found, list)
    return found


def test_it_is_started_with_the_documented_arguments(works: Works, record: Path) -> None:
    welder = bot("weld", "welding:bot", config={"RECORD": str(record)}, **EVERYTHING)
    works.build(welder)
    pid, arguments, _, path = started(record)
    assert arguments == [
        "bot-start",
        "--processes=3",
        "--queue-name=weld",
        "--skip-ini",
        "--qalx-session-class=mine.session:Session",
        "--user-config-class=mine.config:User",
        "--bot-config-class=mine.config:Bot",
        "--entity-class=mine.entities:Entity",
        "--stop",
        '--meta=owner="a\\u0020b\\u003dc"',
        "--meta=size=[1,2]",
        "welding:bot",
    ]
    assert (Path(path) / "welding.py").exists()
    assert works.worker("weld").state == "stopped", "as `stop` says"
    assert lives(pid)
    works.demolish()
    assert record.with_name("record.ended").exists(), "SIGTERM, not SIGKILL"
    assert not lives(pid)


def test_plain_arguments_are_left_to_qalx() -> None:
    welder = BotRelease("weld", "weld", "0" * 64, bot_path="welding:bot", arguments=BotArguments(launcher="qalx"))
    assert bot_start(welder) == (
        "qalx",
        "bot-start",
        "--processes=1",
        "--queue-name=weld",
        "welding:bot",
    )


@pytest.mark.slow
def test_successors_are_its_workflow(works: Works, record: Path) -> None:
    config = {"RECORD": str(record)}
    paint = bot("paint", "welding:bot", config={"RECORD": f"{record}.paint"}, launcher="qalx")
    works.build(bot("weld", "welding:bot", to=["paint"], config=config, launcher="qalx"), paint)
    assert started(record)[1][-2:] == ["--workflow=paint", "welding:bot"]


def test_it_is_started_again_when_it_dies(works: Works, record: Path) -> None:
    works.build(bot("weld", "welding:bot", config={"RECORD": str(record)}, launcher="qalx"))
    pid = started(record)[0]
    record.with_name("record.die").touch()
    until(lambda: started(record)[0] != pid)
    assert until(lambda: works.worker("weld").restarts == 1)


def test_without_qalx_in_its_environment_the_build_says_so(works: Works) -> None:
    works.write("welding.py", "bot = None\n")
    with pytest.raises(FactoryError, match="'qalx' is not a program here or on PATH: it has to be required"):
        works.build(bot("weld", "welding:bot", launcher="qalx"))


def test_jobs_cannot_be_submitted_to_it(works: Works, record: Path) -> None:
    works.build(bot("weld", "welding:bot", config={"RECORD": str(record)}, launcher="qalx"))
    with pytest.raises(FactoryError, match="bot weld gets its jobs from qalx"):
        works.submit("weld", 1)


@pytest.mark.parametrize(("first", "second"), [("qalx", "python"), ("python", "qalx")])
def test_jobs_cannot_pass_between_bots_of_qalx_and_ours(works: Works, first: str, second: str) -> None:
    works.write("welding.py", "def bot(payload):\n    return payload\n")
    with pytest.raises(FactoryError, match="jobs cannot pass from bot weld to paint"):
        works.build(
            bot("weld", "welding:bot", to=["paint"], launcher=first), bot("paint", "welding:bot", launcher=second)
        )


def test_qalx_starts_no_commands(works: Works) -> None:
    works.write("welding.py", "")
    with pytest.raises(FactoryError, match="bot weld has `launcher: qalx` and a `command`"):
        works.build(bot("weld", command=["true"], launcher="qalx"))
