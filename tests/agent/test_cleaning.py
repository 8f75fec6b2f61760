"""What is deleted on an instance once a release is in place, and what is not; and what a full disk does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from agent_works import PROGRAM, Instance
from bot_sources import make_wheel
from patience import until

from factory_cdk.agent.cleaning import clean_up
from factory_cdk.agent.folder import AgentFolder, agent_folder
from factory_cdk.agent.release import InstalledRelease, read_installed
from factory_cdk.launchers.base import FACTORY_QUEUES, Start
from factory_cdk.plan.model import BotArguments
from factory_cdk.state.locks import holding, take_lock
from factory_cdk.state.runner_spec import PoolSpec, RunnerSpec, Timings

PLAN = """
factory:
  name: agents
  bots:
    first: {source: {path: code/first}, bot_path: "first:run", requirements_path: requirements.txt}
    second: {source: {path: code/second}, bot_path: "second:run"}
  stages:
    STAGE:
      here:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {first: {}, second: {}}
"""
FIRST = """
from pathlib import Path
import os, time

def run(payload):
    if payload == {"pid": True}:
        return os.getpid()
    if payload == "wait":
        Path("STARTED").touch()
        while not Path("GO").exists():
            time.sleep(0.01)
        import late
        return late.word
    import greetings
    return "VERSION"
"""
SECOND = "import os\n\ndef run(payload):\n    return os.getpid()\n"


def entries(instance: Instance, part: str) -> set[str]:
    """What there is in a folder of the agent, but for locks."""
    return {path.name for path in (instance.root / "agent" / part).iterdir() if path.suffix != ".lock"}


def released(instance: Instance, version: str, status: str = "UPDATE_COMPLETE") -> None:
    """Build a release whose bot `first` has another code and another requirement."""
    make_wheel(instance.index, "greetings", version, f"word = '{version}'\n")
    code = FIRST.replace("VERSION", version)
    for name in ("STARTED", "GO"):
        code = code.replace(name, str(instance.folder / name.lower()))
    instance.write("first/first.py", code)
    instance.write("first/late.py", f"word = 'late {version}'\n")
    instance.write("first/requirements.txt", f"greetings=={version}\n")
    instance.build(PLAN)
    if instance.process is None:
        instance.start()
        status = "CREATE_COMPLETE"
    assert instance.stack_ends() == status, (instance.reasons(), instance.printed())


@pytest.mark.e2e
def test_what_is_neither_present_nor_the_one_before_goes_once_no_worker_runs_from_it(instance: Instance) -> None:
    instance.write("second/second.py", SECOND)
    released(instance, "1.0")
    bundles, environments = entries(instance, "bundles"), entries(instance, "environments")
    assert (len(bundles), len(environments)) == (2, 2)
    workers = [Path(f"/proc/{instance.pid_of('first')}")]
    instance.submit("long", "first", "wait")
    until((instance.folder / "started").exists)

    released(instance, "2.0")
    workers.append(Path(f"/proc/{instance.pid_of('first')}"))
    released(instance, "3.0")
    # 1.0 is two releases back, and its worker has a job in hand: it still finds what it imports late.
    assert bundles <= entries(instance, "bundles") and environments <= entries(instance, "environments")
    (instance.folder / "go").touch()
    assert instance.results("long", "first") == ["late 1.0"]
    until(lambda: not any(worker.exists() for worker in workers))

    released(instance, "4.0")
    installed, previous = (
        read_installed(instance.root / "agent" / name) for name in ("installed.json", "previous.json")
    )
    assert installed is not None and previous is not None
    kept = {*installed.files, *previous.files}
    parts = ("bundles", "environments", "cache/archives")
    until(lambda: {f"{part}/{name}" for part in parts for name in entries(instance, part)} == kept)
    cache = instance.root / "agent/cache/uv"
    until(lambda: {path.name for path in cache.rglob("*")} <= {".lock"})
    instance.submit("r", "first", "x")
    assert instance.results("r", "first") == ["4.0"]

    # A rollback to the one before installs nothing.
    before = entries(instance, "environments")
    released(instance, "3.0")
    assert entries(instance, "environments") == before
    instance.submit("r2", "first", "x")
    assert instance.results("r2", "first") == ["3.0"]


SMALL_DISK = 'mkdir "$1/agent" && mount -t tmpfs -o size=24m none "$1/agent" && shift && exec "$@"'


def has_own_mounts() -> bool:
    command = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.e2e
@pytest.mark.skipif(not has_own_mounts(), reason="mount namespaces are not allowed here")
def test_a_release_that_does_not_fit_on_the_disk_leaves_the_old_bots_running(instance: Instance) -> None:
    own_disk = ["unshare", "--mount", "--map-root-user", "sh", "-c", SMALL_DISK, "sh", str(instance.root)]
    instance.command = [*own_disk, sys.executable, str(PROGRAM)]
    instance.write("second/second.py", SECOND)
    released(instance, "1.0")
    first = instance.pid_of("first")

    instance.write("first/large.bin", "x" * 40_000_000)
    released(instance, "2.0", "UPDATE_ROLLBACK_COMPLETE")
    assert "the disk of" in instance.reasons() and "is full" in instance.reasons(), instance.reasons()
    assert instance.pid_of("first") == first
    (instance.code / "first/large.bin").unlink()
    released(instance, "3.0")  # what was fetched of the one that did not fit is gone
    instance.submit("r", "first", "x")
    assert instance.results("r", "first") == ["3.0"]


def a_release(folder: AgentFolder, name: str) -> InstalledRelease:
    """A release of one bot, whose bundle and environment are called `name`."""
    files = (f"bundles/{name}", f"environments/{name}", f"cache/archives/{name}.zip")
    for file in files:
        (folder.home / file).mkdir(parents=True)
        (folder.home / f"{file}.lock").touch()
    (folder.bytecode / "bot" / str(folder.home)[1:] / "bundles" / name).mkdir(parents=True)
    python = str(folder.home / "environments" / name / "bin" / "python")
    pool_spec = PoolSpec(
        "here", "bot", "bot", (), BotArguments(), Start("target", ("a:b",)), FACTORY_QUEUES, 1,
        str(folder.home / "bundles" / name), "/w", (), python, (), None, {}, {},
    )  # fmt: skip
    spec = RunnerSpec("works", "prod", (pool_spec,), ("bot",), 0.0, Timings())
    return InstalledRelease(name, spec, {}, "bucket", {}, files)


@pytest.fixture
def folder(tmp_path: Path) -> AgentFolder:
    return agent_folder(tmp_path)


def names(folder: AgentFolder) -> dict[str, list[str]]:
    """What there is of each kind."""
    bytecode = folder.bytecode / "bot" / str(folder.home)[1:] / "bundles"
    places = [*(folder.home / part for part in ("bundles", "environments", "cache/archives")), bytecode]
    return {place.name: sorted({one.name.partition(".")[0] for one in place.iterdir()}) for place in places}


def test_what_a_worker_runs_from_stays(folder: AgentFolder) -> None:
    one, two, three = (a_release(folder, name) for name in ("one", "two", "three"))
    assert clean_up(folder, [two, three], one.spec.pool_specs, lambda: True) == 1  # its archive has been unpacked
    assert names(folder)["bundles"] == names(folder)["environments"] == ["one", "three", "two"]
    assert names(folder)["archives"] == ["three", "two"]
    assert clean_up(folder, [two, three], (), lambda: True) == 2
    assert {*map(tuple, names(folder).values())} == {("three", "two")}
    assert clean_up(folder, [two, three], (), lambda: True) == 0


def test_nothing_is_deleted_while_it_is_not_known_what_is_needed(folder: AgentFolder) -> None:
    one, two = a_release(folder, "one"), a_release(folder, "two")
    before = names(folder)
    lock = take_lock(folder.install_lock)
    assert lock is not None
    with holding(lock):  # another release is being installed
        assert clean_up(folder, [two], (), lambda: True) == 0
    assert clean_up(folder, [two], (), lambda: False) == 0  # another one is wanted by now
    unknown = InstalledRelease("three", one.spec, {}, "bucket")  # of an earlier version
    assert clean_up(folder, [two, unknown], (), lambda: True) == 0
    assert names(folder) == before
