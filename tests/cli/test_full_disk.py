"""Commands on a disk that is full or cannot be written: they say so, and nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from local_works import lives, until
from queue_calls import run_jobs
from shell import Shell, fill

from factory_cdk.queues.sqlite.engine import SqliteQueues

pytestmark = pytest.mark.slow


def test_on_a_full_disk_every_command_says_so_and_what_was_acknowledged_is_done_once_there_is_room(
    shell: Shell, small_disk: Path
) -> None:
    filler = fill(small_disk)
    _, err = shell.run("build", "--plan", str(shell.plan), "--stage", "test", code=1)
    assert "full" in err or "No space" in err
    filler.unlink()
    assert "nothing is built here" in shell.run("list")[1]
    shell.build()
    shell.run("stop", "--name", "journey")
    base = ("submit", "--name", "journey", "--bot", "count", "--payload")
    run = shell.run(*base, "[1]")[0].strip()
    filler = fill(small_disk)
    _, err = shell.run(*base, json.dumps("x" * 100_000), code=1)
    assert "full" in err
    assert len(shell.workers()) == 5
    _, err = shell.run("resume", "--name", "journey", code=1)
    assert "full" in err
    filler.unlink()
    shell.run("resume", "--name", "journey")
    with SqliteQueues(small_disk / "factories" / "journey" / "test" / "queues" / "queues.sqlite3") as queues:
        until(lambda: [str(record.outcome) for record in run_jobs(queues, run)] == ["success"])


def test_on_a_full_disk_a_stage_can_be_stopped_and_goes_on_once_there_is_room(shell: Shell, small_disk: Path) -> None:
    shell.build("other")
    gate = shell.folder / "gate"
    job = shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", json.dumps(str(gate)))[0].strip()
    until(gate.with_name("gate.begun").exists)
    filler = fill(small_disk)
    _, err = shell.run("stop", "--name", "journey", "--timeout", "0.2", code=3)
    assert "full" in err
    assert "bot hold" in err
    out, _ = shell.run("stop", "--name", "journey", "--cold")
    assert "its runner has ended" in out
    filler.unlink()
    gate.touch()
    shell.run("resume", "--name", "journey")
    listed = ("jobs", "list", "--name", "journey", "--run", job, "--format", "json")
    until(lambda: [one["state"] for one in json.loads(shell.run(*listed)[0])] == ["success"])


@pytest.mark.parametrize("running", [True, False])
def test_a_full_disk_is_freed_by_demolishing_what_is_on_it(shell: Shell, small_disk: Path, running: bool) -> None:
    shell.build("other")
    gate = shell.folder / "gate"
    shell.run("submit", "--name", "journey", "--bot", "hold", "--payload", json.dumps(str(gate)))
    until(gate.with_name("gate.begun").exists)
    if not running:
        shell.run("stop", "--name", "journey", "--cold")
    workers = shell.workers()
    fill(small_disk)
    out, err = shell.run("demolish", "--name", "journey", "--yes")
    assert "is demolished" in out
    assert "discarding" in err
    assert not (small_disk / "factories" / "journey").exists()
    assert not any(lives(row["pid"]) for row in workers if row["pid"])


def test_in_a_home_that_cannot_be_written_every_command_says_so(shell: Shell, small_disk: Path) -> None:
    shell.build("other")
    shell.run("stop", "--name", "journey")
    os.kill(json.loads(shell.run("list", "--format", "json")[0])[0]["runner"], 9)
    until(lambda: json.loads(shell.run("list", "--format", "json")[0])[0]["state"] == "killed")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    commands = (
        ("build", "--plan", str(shell.plan), "--stage", "test"),
        ("submit", "--name", "journey", "--bot", "hold", "--payload", "1"),
        ("resume", "--name", "journey"),
        ("demolish", "--name", "journey", "--yes"),
    )
    for command in commands:
        _, err = shell.run(*command, code=1)
        assert "FACTORY_CDK_HOME" in err, (command, err)
    assert "gone" in shell.run("ps")[0]
    assert "killed" in shell.run("list")[0]
    shell.run("logs", "--name", "journey")
