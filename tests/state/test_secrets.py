"""Config and secrets reach the bots, and secrets nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from local_works import Works, bot, stage, until
from patience import PATIENCE

from factory_cdk.diagnostics import FactoryError
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.dry_run import dry_run
from factory_cdk.plan.model import SecretReference
from factory_cdk.state.secrets import resolve_secrets
from factory_cdk.state.status import runner_pid
from factory_cdk.worker.prctl import prctl

CAPBSET_DROP = 24

MINE = SecretReference(env="MINE")

PEEK = """
import hashlib
import os
from pathlib import Path

def peek(payload):
    "What the bot knows of its token, without saying it."
    token = os.environ["TOKEN"]
    return {
        "digest": hashlib.sha256(token.encode()).hexdigest(),
        "LEVEL": os.environ["LEVEL"],
        "begun_with": token in Path("/proc/self/environ").read_text(),
        "sources": [name for name in os.environ if name != "TOKEN" and token in os.environ[name]],
    }
"""

PLAN = """
factory:
  name: works
  bots:
    peek: {source: {path: code}, bot_path: "peek:peek"}
    keep: {source: {path: code}, bot_path: "peek:peek"}
  stages:
    test:
      here:
        type: local
        bots:
          peek: {config: {LEVEL: {a: 1}}, secrets: {TOKEN: {env: MINE}}}
          keep: {config: {LEVEL: low}, secrets: {TOKEN: }}
"""


def holders_below(folder: Path, word: str) -> list[Path]:
    """The files below `folder` that hold `word`, in their name or in what is in them."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if word.encode() in path.read_bytes() or word in path.name]


def processes_that_show(word: str) -> list[str]:
    """The processes whose arguments or whose environment, as they were begun with, hold `word`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for part in ("environ", "cmdline"):
            with contextlib.suppress(OSError):  # ended meanwhile, or not ours
                if word.encode() in (process / part).read_bytes():
                    found.append(f"{process.name} {part}: {(process / 'cmdline').read_bytes()!r}")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="what processes show is looked for in /proc")
def test_no_value_is_in_any_file_argument_or_environment_from_build_to_resume(works: Works, tmp_path: Path) -> None:
    works.write("peek.py", PEEK)
    (tmp_path / "plan.yml").write_text(PLAN)
    mine, own = (f"väry-secret-{secrets.token_hex(8)}" for _ in range(2))

    def cli(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "factory_cdk", *arguments],
            env={**os.environ, "FACTORY_CDK_HOME": str(works.home), **variables},
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    def look() -> None:
        for bot_name, token, level in (("peek", mine, '{"a": 1}'), ("keep", own, "low")):
            (record,) = works.run(bot_name, None)
            digest = hashlib.sha256(token.encode()).hexdigest()
            assert record.result == {"digest": digest, "LEVEL": level, "begun_with": False, "sources": []}
        for word in (mine, own):
            assert holders_below(tmp_path, word) == []
            assert processes_that_show(word) == []

    missing = cli("build", "--plan", "plan.yml", "--stage", "test")
    assert missing.returncode == 1
    assert "bot peek: no value for TOKEN (variable MINE)" in missing.stderr
    assert "bot keep: no value for TOKEN (variable TOKEN)" in missing.stderr
    built = cli("build", "--plan", "plan.yml", "--stage", "test", MINE=mine, TOKEN=own)
    assert built.returncode == 0, built.stderr
    look()
    os.kill(works.pid("peek"), signal.SIGKILL)  # the runner still has it for the next one
    look()
    assert cli("stop", "--name", "works").returncode == 0
    assert cli("resume", "--name", "works").returncode == 0, "a runner that lives is asked for nothing"
    os.kill(works.runner(), signal.SIGKILL)
    until(lambda: runner_pid(works.folder()) is None)
    refused = cli("resume", "--name", "works", TOKEN=own)
    assert refused.returncode == 1
    assert "bot peek: no value for TOKEN (variable MINE)" in refused.stderr
    assert "bot keep" not in refused.stderr
    resumed = cli("resume", "--name", "works", MINE=mine, TOKEN=own)
    assert resumed.returncode == 0, resumed.stderr
    look()
    said = "".join(done.stdout + done.stderr for done in (missing, built, refused, resumed))
    assert mine not in said
    assert own not in said


READ = """
import os

def read(pid):
    "What this bot may read of another process."
    allowed = []
    for part in ("environ", "mem", "maps"):
        try:
            with open(f"/proc/{pid or os.getppid()}/{part}", "rb"):
                allowed.append(part)
        except PermissionError:
            pass
    return allowed

def tell(payload):
    return os.getpid()
"""

READ_PLAN = """
factory:
  name: works
  bots:
    read: {source: {path: code}, bot_path: "reading:read"}
    tell: {source: {path: code}, bot_path: "reading:tell"}
  stages: {test: {here: {type: local, bots: {read: , tell: }}}}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what may be read is Linux's")
def test_a_bot_cannot_read_the_runners_memory_and_a_core_file_is_of_neither(works: Works, tmp_path: Path) -> None:
    works.write("reading.py", READ)
    (tmp_path / "plan.yml").write_text(READ_PLAN)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]

    def as_a_user() -> None:
        """Where that is root, be no more than the user that owns the processes; want core files."""
        for capability in range(64):
            prctl(CAPBSET_DROP, capability)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    subprocess.run(
        [sys.executable, "-m", "factory_cdk", "build", "--plan", "plan.yml", "--stage", "test"],
        env={**os.environ, "FACTORY_CDK_HOME": str(works.home)}, check=True, cwd=tmp_path,
        preexec_fn=as_a_user,
    )  # fmt: skip
    (own,) = works.run("tell", None)
    of_runner, of_worker = works.run("read", None, own.result)
    assert of_runner.result == []
    assert of_worker.result == ["environ", "mem", "maps"], "debuggers and profilers work on bots"
    for pid in (works.runner(), own.result):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 ", limits), limits


@pytest.mark.skipif(sys.platform != "linux", reason="what processes show is looked for in /proc")
def test_a_runner_that_finds_the_values_itself_gives_each_bot_its_own_and_ends_on_sigterm(works: Works) -> None:
    """As a service manager starts it: nobody hands the values over."""
    works.write("peek.py", PEEK)
    peek = replace(bot("peek", "peek:peek", config={"LEVEL": "low"}), secrets={"TOKEN": MINE})
    look = bot("look", command=["sh", "-c", 'printf %s "$MINE$OTHER" | wc -c'])
    other = replace(bot("other", "peek:peek", config={"LEVEL": "low"}), secrets={"OTHER": SecretReference()})
    works.build_stage(peek, look, other, environ={"MINE": "the first", "OTHER": "the second"})
    state = works.folder()
    os.kill(works.runner(), signal.SIGKILL)
    until(lambda: runner_pid(state) is None)
    mine, own = (f"secret-{secrets.token_hex(8)}" for _ in range(2))
    runner = subprocess.Popen(
        [sys.executable, "-m", "factory_cdk.runner", str(state.path)], env={**os.environ, "MINE": mine, "OTHER": own}
    )
    try:
        until(lambda: runner_pid(state))
        (record,) = works.run("peek", None)
        digest = hashlib.sha256(mine.encode()).hexdigest()
        assert record.result == {"digest": digest, "LEVEL": "low", "begun_with": False, "sources": []}
        assert works.run("look", None)[0].result == 0
    finally:
        runner.terminate()
        assert runner.wait(PATIENCE) == 0
    assert runner_pid(state) is None
    assert "ending warm" in (state.logs / "runner.log").read_text()


def test_the_program_of_a_command_gets_its_secrets_as_variables(works: Works) -> None:
    program = replace(bot("tell", command=["sh", "-c", 'printf %s "$TOKEN" | wc -c']), secrets={"TOKEN": MINE})
    works.write("notes.txt", "a bundle is never empty")
    works.build_stage(program, environ={"MINE": "seven77"})
    assert works.run("tell", None)[0].result == 7


def test_a_dry_run_masks_secrets(works: Works) -> None:
    peek = replace(bot("peek", "peek:peek"), secrets={"TOKEN": MINE})
    works.write("peek.py", PEEK)
    found = dry_run(stage(peek), {"peek": works.code}, works.home)
    assert found["variables"][0]["variables"]["TOKEN"] == "***"


def test_a_secret_without_a_value_is_named_with_where_it_was_looked_for(works: Works) -> None:
    references = {
        "A": SecretReference(),
        "B": SecretReference(env="OTHER"),
        "C": SecretReference(profile="prod", key="TOKEN"),
        "D": SecretReference(secret="name"),
    }
    works.write("peek.py", PEEK)
    peek = replace(bot("peek", "peek:peek"), secrets=references)
    with pytest.raises(FactoryError) as refused:
        works.build_stage(peek, environ={})
    for word in ("A (variable A)", "B (variable OTHER)", "`TOKEN` in profile `prod`", "D (Secrets Manager"):
        assert word in refused.value.message
    assert factory.list_factories(works.home) == []


def test_secrets_come_from_qalx_profiles_the_bots_file_first(tmp_path: Path) -> None:
    (tmp_path / ".qalx").write_text("[default]\nTOKEN = users\nONLY = %(here)s\n")
    (tmp_path / ".bots").write_text("[default]\nTOKEN = bots\n")
    references = {
        "TOKEN": SecretReference(profile="default"),
        "RENAMED": SecretReference(profile="default", key="ONLY"),
    }
    found = resolve_secrets({("here", "b"): references}, {"HOME": str(tmp_path)})
    assert found == {("here", "b"): {"TOKEN": "bots", "RENAMED": "%(here)s"}}
