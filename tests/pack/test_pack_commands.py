"""`factory-cdk pack` and `lock` from the command line, as people and CI run them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pack_sources import BOT, Repository, leftovers, wheel, write_files
from patience import PATIENCE, until

PLAN = """factory:
  name: works
  bots:
    g:
      source: {{url: '{url}', branch: main}}
      bot_path: bots.first:run
    p:
      source: {{path: code}}
      bot_path: bots.first:run
    y:
      source: {{pypi: lib}}
      bot_path: lib:run
  stages:
    test:
      here:
        type: local
        bots: {{g: {{}}, p: {{}}}}
    other:
      here:
        type: local
        bots: {{y: {{}}}}
"""


class Command:
    """Runs `factory-cdk` in the folder of a plan."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = {**env, "FACTORY_CDK_HOME": str(folder / "state")}
        self.program = [sys.executable, "-m", "factory_cdk"]

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.program, *arguments], cwd=self.folder, env={**self.env, **env},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def command(repository: Repository, index: Path, tmp_path: Path, env: dict[str, str]) -> Command:
    wheel(index, "lib")
    repository.commit({**BOT, "requirements.txt": "lib\n"})
    write_files(tmp_path, {"plan.yml": PLAN.format(url=repository.url)})
    write_files(tmp_path / "code", {**BOT, "requirements.txt": "lib\n"})
    return Command(tmp_path, env)


@pytest.mark.slow
def test_pack_prints_one_line_for_each_bot_and_nothing_is_fetched_twice(command: Command) -> None:
    first = command("pack", "--plan", "plan.yml")
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["g", "p", "y"]
    second = command("pack", "--plan", "plan.yml", "--stage", "test")
    lines = second.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["g", "p"]
    assert all(line.endswith("nothing to fetch") for line in lines)
    assert command("pack", "--plan", "plan.yml", "--quiet").stdout == ""


@pytest.mark.slow
def test_pack_shows_every_failure_after_the_bots_that_worked(command: Command, repository: Repository) -> None:
    repository.folder.rename(repository.folder.with_name("gone"))
    (command.folder / "code" / "bots" / "first.py").write_text("def walk(): ...\n")
    done = command("pack", "--plan", "plan.yml", code=1)
    assert "2 of 3 bots could not be packed" in done.stderr
    for said in ("g: ", "git says", "p: bot_path bots.first:run", "help"):
        assert said in done.stderr
    assert [line.split()[1] == "failed" for line in done.stdout.splitlines()] == [True, True, False]


@pytest.mark.slow
def test_pack_validates_first(command: Command) -> None:
    (command.folder / "plan.yml").write_text("factory: {name: 1}\n")
    done = command("pack", "--plan", "plan.yml", code=1)
    assert "plan.yml:1:" in done.stderr
    assert not (command.folder / "state").exists()
    command("pack", "--plan", "gone.yml", code=1)
    command("pack", code=2)


def test_no_delete_leaves_the_trees_in_the_folder_of_the_variable(command: Command) -> None:
    kept = command.folder / "kept"
    done = command("pack", "--plan", "plan.yml", "--no-delete", FACTORY_PACK_DIR=str(kept))
    assert f"unpacked in {kept}" in done.stdout
    assert (kept / "g" / "bots" / "first.py").exists()
    assert (kept / "y" / ".factory_cdk" / "requirements.txt").exists()


@pytest.mark.slow
def test_lock_writes_what_pack_then_holds_to(command: Command, repository: Repository, index: Path) -> None:
    missing = command("pack", "--plan", "plan.yml", "--locked", code=1)
    assert "there is no plan.lock" in missing.stderr
    first = command("lock", "--plan", "plan.yml")
    assert [line.split(":")[0] for line in first.stdout.splitlines()] == ["g", "p", "y", "plan.lock is written"]
    locked = (command.folder / "plan.lock").read_text()
    repository.commit({**BOT, "requirements.txt": "lib\n", "new.txt": ""})
    wheel(index, "lib", "2.0")
    assert "holds already" in command("lock", "--plan", "plan.yml").stdout
    command("pack", "--plan", "plan.yml", "--locked")
    assert (command.folder / "plan.lock").read_text() == locked
    upgraded = command("lock", "--plan", "plan.yml", "--upgrade", "g").stdout
    assert "g: commit " in upgraded
    assert "g: lib 1.0 → 2.0" in upgraded
    assert "y: " not in upgraded
    assert "y: lib 1.0 → 2.0" in command("lock", "--plan", "plan.yml", "--upgrade").stdout
    assert json.loads((command.folder / "plan.lock").read_text())["factory"] == "works"


@pytest.mark.slow
def test_locked_refuses_a_plan_that_changed_and_names_the_bots(command: Command) -> None:
    command("lock", "--plan", "plan.yml")
    plan = command.folder / "plan.yml"
    plan.write_text(
        plan.read_text().replace("branch: main", "branch: develop").replace("pypi: lib", "pypi: lib, version: 1.0")
    )
    (command.folder / "code" / "requirements.txt").write_text("")
    refused = command("pack", "--plan", "plan.yml", "--locked", code=1).stderr
    for said in (
        "g: branch was main and is develop",
        "p: requirements.txt changed",
        "y: version was not set and is 1.0",
    ):
        assert said in refused
    assert "factory-cdk lock" in refused
    command("pack", "--plan", "plan.yml", "--stage", "other", "--locked", code=1)
    told = command("pack", "--plan", "plan.yml", "--stage", "other").stderr
    assert "plan.lock is out of date: version was not set and is 1.0" in told


@pytest.mark.slow
def test_lock_refuses_bots_that_are_not_there(command: Command) -> None:
    assert "no bot 'nobody'" in command("lock", "--plan", "plan.yml", "--upgrade", "nobody", code=1).stderr
    command("lock", "--plan", "plan.yml", "g", code=2)
    for name in ("pack", "lock"):
        assert "Examples:" in command(name, "--help").stdout


@pytest.mark.slow
def test_a_failure_leaves_the_lock_as_it_was(command: Command, repository: Repository) -> None:
    command("lock", "--plan", "plan.yml")
    before = (command.folder / "plan.lock").read_text()
    repository.folder.rename(repository.folder.with_name("gone"))
    command("lock", "--plan", "plan.yml", "--upgrade", code=1)
    assert (command.folder / "plan.lock").read_text() == before


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_a_pack_cleanly(sign: signal.Signals, code: int, command: Command) -> None:
    mark = command.folder / "mark"
    tool = write_files(command.folder / "bin", {"git": f"#!/bin/sh\necho > {mark}\nexec sleep 600\n"}) / "git"
    tool.chmod(0o755)
    slow = {**command.env, "PATH": f"{tool.parent}:{command.env['PATH']}"}
    process = subprocess.Popen([*command.program, "pack", "--plan", "plan.yml"], cwd=command.folder, env=slow,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    until(mark.exists)
    process.send_signal(sign)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert b"Traceback" not in said
    assert leftovers(command.folder / "state" / "cache" / "pack") == []


@pytest.mark.slow
def test_a_terminal_gets_bars_that_are_gone_in_the_end(command: Command) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*command.program, "pack", "--plan", "plan.yml"], cwd=command.folder, env={**command.env, "TERM": "xterm"},
        stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    try:
        while chunk := os.read(controller, 65536):
            seen += chunk
    except OSError:  # how a terminal on Linux says that nobody writes to it any more
        pass
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(controller)
    assert process.returncode == 0
    assert "━".encode() in seen
    assert len(out.splitlines()) == 3
