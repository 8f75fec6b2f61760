"""The instances of a stage in two regions, each a Debian of its own: cloud-init runs the user-data that CloudFormation
was given, and systemd its units, up to bots that take jobs through SQS.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from agent_works import REGION, command
from debian import debian, refuse_without_namespaces, wheels
from emulator import Emulator, running
from metadata_server import metadata_service
from on_machine import AGENT, BOOT, TIMER, OnMachine, on_machine
from patience import until
from two_regions import AWAY, PLAN, Stage, assert_nothing_told, send_through_kills, worker_of

from factory_cdk.agent.setup import CAPABILITIES
from factory_cdk.agent.users import NUMBERS

pytestmark = pytest.mark.e2e

BITS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
CAP_SYS_RESOURCE = 24
"""Numbers of capabilities (linux/capability.h)."""

ASK = """
import urllib.request
try:
    print(urllib.request.urlopen("http://169.254.169.254/latest/meta-data/", timeout=20).status)
except OSError as error:
    print(error)
"""
SECOND_VERSION = """
first = run

def run(payload):
    done = first(payload)
    done["passed"][-1]["version"] = 2
    return done
"""


@pytest.fixture
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator of its own whose IAM decides on every call."""
    with running(tmp_path_factory.mktemp("emulator"), enforced=True) as aws:
        for region in (REGION, AWAY):
            aws.bootstrap(region)
        yield aws


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Debian and what a runner needs, made before the time of a test begins: that may take minutes."""
    refuse_without_namespaces(tmp_path_factory.mktemp("namespaces"))
    return debian(), wheels()


@pytest.fixture
def stage(system: tuple[Path, Path], enforcing: Emulator, tmp_path: Path) -> Iterator[Stage]:
    """A stage that is not deployed yet."""
    with ExitStack() as ending:
        made: list[OnMachine] = []
        for place, sector, number in ((REGION, "north", 1), (AWAY, "south", 2)):
            metadata = ending.enter_context(metadata_service())
            metadata.answers["instance-id"] = f"i-0fedcba987654321{number}"
            folder = tmp_path if sector == "north" else tmp_path / sector
            made.append(on_machine(enforcing, metadata, folder, "machines", place, sector, *system))
            ending.callback(made[-1].end)
        one = Stage(*made, tmp_path / "done")
        ending.callback(command, one.north, "demolish", *one.named, "--yes", "--local-sectors")
        yield one


def test_units_that_systemd_starts_bring_bots_to_work_and_keep_them_there(stage: Stage, tmp_path: Path) -> None:
    north, south = on_machines(stage)
    stage.deploy()
    first_time = south.machine.unit(BOOT, "InvocationID")
    assert_units(north)
    assert_agent_is_confined(north)
    assert_bots_are_confined(north)

    send_through_kills(stage, 40, rounds=1)
    before = north.restarts()
    os.kill(north.guardian(), signal.SIGKILL)
    until(lambda: north.restarts() > before)

    stage.write_bot("press", SECOND_VERSION)
    north.deploy(north.synthesize(PLAN))
    until(lambda: north.machine.journal("--unit", AGENT).count(": installing") == 2)
    north.machine.lose_power()
    assert north.aws.status(north.stack, REGION) == "UPDATE_IN_PROGRESS"
    north.machine.start()
    assert north.stack_ends() == "UPDATE_COMPLETE", (north.reasons(), north.printed())
    stage.submit("after the power")
    assert [at.get("version") for at in stage.until_arrived("after the power")] == [None, None, 2, None]

    until(lambda: south.machine.unit(BOOT, "InvocationID") != first_time)  # the timer has started it again
    south.machine.reboot()
    stage.submit("after the reboot")
    stage.until_arrived("after the reboot")
    assert stage.states() == {"success": 42 * 5}
    for instance in (north, south):
        assert user_data_ran_once(instance)
        assert instance.machine.unit(BOOT, "Result") == "success"
    assert_nothing_told(stage, tmp_path)
    assert_nothing_in_memory_file_systems(stage)
    for instance in (north, south):
        assert_no_url_of_a_handle_is_kept(instance)


def test_without_systemd_user_data_prepares_the_instance_and_says_that_no_bot_was_started(stage: Stage) -> None:
    north, _ = on_machines(stage)
    stage.write_bots()
    assembly = north.synthesize(PLAN)
    stage.create_queues(assembly)
    north.deploy(assembly)
    north.machine.write("root/user-data", until(north.user_data))
    north.take_on_role()
    said = []
    for _ in range(2):
        variables = [f"{name}={value}" for name, value in north.machine.variables.items()]
        north.machine.switch_on("env", *variables, "sh", "/root/user-data")
        assert north.machine.ended() == 0, north.machine.console.read_text()
        said.append(north.machine.console.read_text())
    assert "without systemd no bot was started" in said[0]
    files = north.machine.disk / "written" / "opt" / "factory-cdk"
    assert {"first.py", "sector.json", "release.json", "runner"} <= {path.name for path in files.iterdir()}
    assert said[1].count("SUCCESS") == said[0].count("SUCCESS"), "a handle is answered once"
    assert not [one for one in stage.hidden if one in said[1]]


def on_machines(stage: Stage) -> tuple[OnMachine, OnMachine]:
    assert isinstance(stage.north, OnMachine)
    assert isinstance(stage.south, OnMachine)
    return stage.north, stage.south


def assert_units(instance: OnMachine) -> None:
    machine = instance.machine
    assert machine.run("systemctl", "is-enabled", BOOT, TIMER, AGENT).split() == ["enabled"] * 3
    assert (machine.unit(TIMER, "ActiveState"), machine.unit(AGENT, "SubState")) == ("active", "running")
    assert (machine.unit(BOOT, "Type"), machine.unit(BOOT, "Result")) == ("oneshot", "success")
    until(lambda: int(machine.unit(TIMER, "NextElapseUSecMonotonic").partition(" ")[0] != "infinity"))
    rated = machine.run("systemd-analyze", "security", AGENT)
    found = re.search(r"exposure level for \S+: ([\d.]+)", rated)
    assert found and float(found[1]) < 5, rated


def assert_agent_is_confined(instance: OnMachine) -> None:
    """As the unit says: its user and capabilities, what it sees of the disk, and that it is ended last."""
    agent, machine = instance.agent(), instance.machine
    said = status(agent)
    assert said["Uid"] == machine.run("id", "-u", "factory-cdk").split() * 4
    wanted = f"{sum(1 << BITS[name] for name in CAPABILITIES.split()):016x}"
    assert [said[name] for name in ("CapEff", "CapBnd", "CapAmb")] == [[wanted]] * 3
    assert (said["NoNewPrivs"], said["Seccomp"]) == (["1"], ["2"])
    if int(status(machine.first_process())["CapBnd"][0], 16) >> CAP_SYS_RESOURCE & 1:  # else nobody here may lower it
        assert Path(f"/proc/{agent}/oom_score_adj").read_text().strip() == "-900"
    for path, refusal in (("/usr/x", "Read-only"), ("/etc/x", "Read-only"), ("/sys/x", "Read-only")):
        assert refusal in touched(agent, path)
    assert touched(agent, "/var/lib/factory-cdk/x") == touched(agent, "/tmp/only-the-agents") == ""
    assert not (Path(f"/proc/{machine.first_process()}/root/tmp") / "only-the-agents").exists()


def assert_bots_are_confined(instance: OnMachine) -> None:
    """A user of its own without any capability, to whom the metadata service is closed."""
    said = status(worker_of(instance))
    (user,) = set(said["Uid"])
    assert int(user) in NUMBERS
    assert (said["CapEff"], said["NoNewPrivs"]) == (["0" * 16], ["1"])
    as_bot = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    assert instance.machine.run("/usr/bin/python3", "-c", ASK).strip() == "HTTP Error 401: Unauthorized"
    assert "refused" in instance.machine.run(*as_bot, "/usr/bin/python3", "-c", ASK)


def status(process: int) -> dict[str, list[str]]:
    """What the kernel says of a process, by name."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: words.split() for name, _, words in (line.partition(":") for line in lines)}


def touched(process: int, path: str) -> str:
    """Why root, in the mount namespace of `process`, cannot make the file `path`; nothing when it can."""
    words = ["nsenter", "--target", str(process), "--mount", "--root", "--wd", "touch", path]
    return subprocess.run(words, capture_output=True, text=True, check=False).stderr


def user_data_ran_once(instance: OnMachine) -> bool:
    said = (instance.machine.disk / "written/var/log/cloud-init.log").read_text()
    return said.count("config-scripts-user: SUCCESS: config-scripts-user ran successfully") == 1


def assert_nothing_in_memory_file_systems(stage: Stage) -> None:
    """No value of a secret is in a file of /run or /tmp, which are not on the disk."""
    for instance in on_machines(stage):
        root = Path(f"/proc/{instance.machine.first_process()}/root")
        files = [path for name in ("run", "tmp") for path in (root / name).rglob("*") if path.is_file()]
        assert files
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                content = path.read_bytes()
                assert not [one for one in stage.hidden if one.encode() in content], path


def assert_no_url_of_a_handle_is_kept(instance: OnMachine) -> None:
    """Whoever has the URL could answer CloudFormation in the instance's place."""
    release = instance.aws.client("ssm", instance.region).get_parameter(Name=instance.sector()["release_parameter"])
    said = json.loads(release["Parameter"]["Value"])
    urls = [value for value in said.values() if str(value).startswith("http")]
    assert len(urls) == 2
    files = [
        path for path in (instance.machine.disk / "written").rglob("*") if path.is_file() and not path.is_symlink()
    ]
    texts = [instance.printed().encode(), *(path.read_bytes() for path in files)]
    assert [url for url in urls for text in texts if url.encode() in text] == []
