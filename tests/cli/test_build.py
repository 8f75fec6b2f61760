"""`factory-cdk build`: dry runs, refusals, and builds that fail or are interrupted."""

from __future__ import annotations

import json
import os
import signal

import pytest
from local_works import lives, until
from patience import PATIENCE
from shell import BOTS, Shell


@pytest.mark.slow
def test_a_dry_run_prints_what_would_be_and_touches_nothing(shell: Shell) -> None:
    text, _ = shell.run("build", "--plan", str(shell.plan), "--stage", "test", "--dry-run")
    assert "MOOD" in text
    assert "hidden-word" not in text
    out, _ = shell.run("build", "--plan", str(shell.plan), "--stage", "test", "--dry-run", "--format", "json")
    found = json.loads(out)
    assert {"environments", "processes", "queues", "routes", "variables"} <= set(found)
    assert found["variables"][2]["variables"]["TOKEN"] == "***"
    assert [path.name for path in shell.home.iterdir()] == ["cache"], "what path sources hold is remembered, no more"
    out, _ = shell.run("build", "--plan", str(shell.plan), "--stage", "cloud", "--dry-run", "--format", "json")
    assert json.loads(out)["processes"][0]["type"] == "aws"


@pytest.mark.slow
def test_a_dry_run_refuses_a_bot_path_that_leads_nowhere_without_importing_anything(shell: Shell) -> None:
    touched = shell.folder / "imported"
    (shell.folder / "code" / "bots.py").write_text(f"open({str(touched)!r}, 'w')\n" + BOTS)
    text = shell.plan.read_text()
    shell.plan.write_text(text.replace("bots:cut", "bots:cult").replace("bots:odd", "bats:odd"))
    dry = ("build", "--plan", str(shell.plan), "--stage", "test", "--dry-run")
    out, err = shell.run(*dry, code=1)
    assert "bots:cult" in out
    assert "error: bot cut: bot_path bots:cult: bots.py has no 'cult'\n  help: did you mean bots:cut?" in err
    assert "error: bot odd: bot_path bats:odd: the source has no module bats\n  help: did you mean bots?" in err
    out, _ = shell.run(*dry, "--format", "json", code=1)
    assert [problem["bot"] for problem in json.loads(out)["problems"]] == ["cut", "odd"]
    shell.plan.write_text(text)
    assert json.loads(shell.run(*dry, "--format", "json")[0])["problems"] == []
    assert not touched.exists()


@pytest.mark.slow
def test_a_build_that_failed_leaves_nothing_behind(shell: Shell) -> None:
    shell.variables["MY_TOKEN"] = None
    shell.run("build", "--plan", str(shell.plan), "--stage", "test", code=1)
    (shell.folder / "code" / "bots.py").write_text("import os\nos._exit(3)\nhold = 1\n")
    shell.run("build", "--plan", str(shell.plan), "--stage", "other", code=1)
    assert list((shell.home / "factories").iterdir()) == []


@pytest.mark.slow
def test_a_stage_with_aws_sectors_is_not_built_without_credentials(shell: Shell) -> None:
    nowhere = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    shell.variables.update(dict.fromkeys(nowhere, os.devnull), AWS_EC2_METADATA_DISABLED="true")
    _, err = shell.run("build", "--plan", str(shell.plan), "--stage", "cloud", "--yes", code=1)
    assert "NoCredentialsError" in err and "help: give credentials" in err
    assert not shell.home.exists()


@pytest.mark.slow
def test_of_two_builds_at_once_one_is_told_and_the_other_builds(shell: Shell) -> None:
    builds = [shell.start("build", "--plan", str(shell.plan), "--stage", "test") for _ in range(2)]
    said = [build.communicate(timeout=PATIENCE)[1] for build in builds]
    assert sorted(build.returncode for build in builds) == [0, 1], said
    refused = said[0] if builds[0].returncode else said[1]
    assert "by another command" in refused or "is built already" in refused
    assert len(shell.workers()) == 5


@pytest.mark.slow
def test_ctrl_c_during_a_build_takes_everything_back(shell: Shell) -> None:
    (shell.folder / "code" / "bots.py").write_text(f"import time\ntime.sleep(1000)\n{BOTS}")
    process = shell.start("build", "--plan", str(shell.plan), "--stage", "test")
    until(lambda: [row["pid"] for row in shell.workers() if row["pid"]])
    workers = shell.workers()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    until(lambda: not any(lives(row["pid"]) for row in workers))
    assert "nothing is built here" in shell.run("list")[1]
