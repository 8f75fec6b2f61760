"""`factory-cdk list`, `ps` and `info`: what is built, how it is, and what helps."""

from __future__ import annotations

import json
import os
import signal

import pytest
from local_works import until
from shell import Shell

WORKER = {
    "factory", "stage", "sector", "bot", "worker", "pid", "state", "uptime", "restarts", "done", "failed", "in_hand"
}  # fmt: skip


@pytest.mark.slow
def test_ps_lists_workers_only_in_json_and_names_every_column_in_text(shell: Shell) -> None:
    assert json.loads(shell.run("ps", "--format", "json")[0]) == []
    assert "nothing is built here" in shell.run("ps")[1]
    shell.build()
    rows = shell.workers()
    assert all(set(row) >= WORKER for row in rows)
    assert len(rows) == 5
    header = shell.run("ps", "--name", "journey", "--stage", "test")[0].splitlines()[0].split("  ")
    assert [name.strip() for name in header if name.strip()] == [
        "factory", "stage", "sector", "bot", "worker", "pid", "state", "uptime", "restarts", "done", "failed", "in hand"
    ]  # fmt: skip
    assert "nobody is not built here" in shell.run("ps", "--name", "nobody", code=1)[1]


@pytest.mark.slow
def test_commands_for_a_stage_that_is_not_built_say_what_is(shell: Shell) -> None:
    shell.build("other")
    for command in ("stop", "resume", "info", "logs", "demolish"):
        _, err = shell.run(command, "--name", "journey", "--stage", "test", code=1)
        assert "journey/test is not built here" in err
        assert "built: journey/other" in err
    shell.build("test")
    for command in ("stop", "resume", "info", "logs"):
        assert "several stages: other, test" in shell.run(command, "--name", "journey", code=2)[1]


@pytest.mark.slow
def test_list_says_what_helps_and_where_the_plan_is_from_wherever_it_is_asked(shell: Shell) -> None:
    shell.run("build", "--plan", shell.plan.name, "--stage", "other")
    shell.build("test")
    assert shell.run("list")[0].count("  factory-plan.yml\n") == 2
    runner = next(
        row["runner"] for row in json.loads(shell.run("list", "--format", "json")[0]) if row["stage"] == "test"
    )
    os.kill(runner, signal.SIGKILL)
    (shell.home / "factories" / "journey" / "bad").mkdir()
    (shell.home / "factories" / "journey" / "bad" / "runner-spec.json").write_text("{")
    until(lambda: "its runner was killed; nothing is lost: factory-cdk resume" in shell.run("list")[1])
    _, err = shell.run("list")
    assert "journey/bad is damaged: " in err
    assert "cannot be read: factory-cdk demolish --name journey --stage bad, then build it again" in err
    assert "journey/other" not in err
    below = Shell(shell.folder / "code", shell.plan, {"FACTORY_CDK_HOME": str(shell.home)})
    assert [row["plan"] for row in json.loads(below.run("list", "--format", "json")[0])] == [
        None,
        *[str(shell.plan)] * 2,
    ]
    assert below.run("list")[0].count(f"  {shell.plan}\n") == 2


def test_a_bot_that_is_not_started_is_answered_with_the_command_that_starts_one(shell: Shell) -> None:
    _, err = shell.run("logs", "--name", "bot-start", "--stage", "weld", code=1)
    assert "bot-start/weld is not built here" in err
    assert "factory-cdk bot-start -q QUEUE TARGET" in err
