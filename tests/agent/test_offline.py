"""An offline sector: an instance that reaches nothing but AWS boots, installs and does its jobs.

Its processes are in a network namespace of their own, where there is the emulator and the metadata service, and no
other route, name or index.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_works import Instance
from bot_sources import make_wheel
from network_of_its_own import Network, is_allowed, network
from patience import PATIENCE, until

from factory_cdk.agent.locations import queue_location
from factory_cdk.agent.release import read_installed
from factory_cdk.bootstrap import SectorFacts, render_user_data
from factory_cdk.pack.cache import BundleCache
from factory_cdk.pack.wheels.of_runner import runner_files
from factory_cdk.pack.wheels.pip import pip_with
from factory_cdk.plan.load import read_plan
from factory_cdk.plan.model import Platform
from factory_cdk.queues.opening import open_queues
from factory_cdk.queues.port import Job

PYTHON = f"3.{sys.version_info.minor}"
PLAN = f"""
factory:
  name: agents
  bots:
    first: {{source: {{path: code/first}}, bot_path: "first:run", requirements_path: requirements.txt}}
    second: {{source: {{path: code/second}}, bot_path: "second:run"}}
  workflows: {{flow: {{first: second}}}}
  stages:
    STAGE:
      workflow: flow
      history: false
      here:
        type: aws
        region_name: eu-west-2
        offline: true
        python: "{PYTHON}"
        BUILD
        parameters: {{ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}}
        bots: {{first: {{}}, second: {{}}}}
"""
FIRST = """
from greetings import greet
from partings import word

def run(payload):
    return greet(payload) + " and " + word
"""
SECOND = """
import socket, sys
from pathlib import Path

def run(payload):
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=5)
    except OSError as error:
        reached = error.strerror
    Path("DONE").write_text(f"{payload}; {reached}; {sys.base_prefix}")
"""
BACKEND = """
import zipfile

WHEEL = "NAME-1.0-py3-none-any.whl"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "NAME-1.0.dist-info"
    files = {
        "NAME.py": open("NAME.py").read(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: NAME\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(f"{folder}/{WHEEL}", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)
    return WHEEL
"""
PROJECT = """
[project]
name = "NAME"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def project(folder: Path, name: str, code: str) -> None:
    """A project with a build backend of its own, so that building it takes no index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    (folder / "backend.py").write_text(BACKEND.replace("NAME", name))
    (folder / "pyproject.toml").write_text(PROJECT.replace("NAME", name))


def source_archive(index: Path, name: str, code: str) -> None:
    """A source distribution of a package, and no wheel of it."""
    folder = index.parent / f"{name}-1.0"
    project(folder, name, code)
    (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    with tarfile.open(index / f"{name}-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder, f"{name}-1.0")


def python_build(file: Path) -> str:
    """A build of the Python that runs the tests, as a .tar.gz; its SHA-256."""
    base = Path(sys.base_prefix)
    left_out = ("/test", "/site-packages", "/__pycache__", "/idlelib", "/lib2to3", ".a", "/share", "/include")

    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if entry.name.endswith(left_out) or "/config-3" in entry.name else entry

    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        for part in ("bin", "lib"):
            archive.add(base / part, f"python/{part}", filter=wanted)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def isolated(instance: Instance, tmp_path: Path) -> Iterator[Network]:
    """The network of the instance."""
    instance.metadata.answers["services/domain"] = "amazonaws.com"
    (tmp_path / "net").mkdir()
    with network(tmp_path / "net", [instance.aws.url, instance.metadata.url]) as one:
        try:
            yield one
        finally:
            instance.end()  # while it still reaches AWS


def cached_runner(instance: Instance, plan: str) -> None:
    """Put the runner's wheels into the pack cache, from the index that this machine asks."""
    file = instance.folder / "factory-plan.yml"
    file.write_text(plan.replace("STAGE", instance.stage))
    loaded = read_plan(file)
    cache = BundleCache(instance.folder / "home" / "pack")
    cache.prepare()
    runner_files(loaded, loaded.bots.values(), cache, pip_with(os.environ, threading.Event()))


def boot(instance: Instance, net: Network, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the user-data of the instance in its network."""
    facts = SectorFacts(**instance.sector())
    script = instance.folder / "user-data"
    script.write_text(render_user_data(facts, Platform.LINUX))
    environ = {
        "PATH": f"{Path(sys.base_prefix, 'bin')}:/usr/bin:/bin",
        "FACTORY_CDK_ROOT": str(instance.root),
        "AWS_ENDPOINT_URL": instance.aws.url,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.metadata.url,
        "FACTORY_CDK_PATIENCE": str(PATIENCE),
        **variables,
    }
    return subprocess.run(
        net.around("sh", str(script)), env=environ, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.e2e
@pytest.mark.network
@pytest.mark.skipif(not is_allowed(), reason="network namespaces are not allowed here")
@pytest.mark.parametrize("build", [False, True], ids=["Python of the image", "Python of the release"])
def test_an_instance_that_reaches_aws_alone_installs_its_release_and_does_jobs(
    build: bool, instance: Instance, isolated: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in instance.aws.environment.items():
        monkeypatch.setenv(name, value)
    plan = PLAN.replace("BUILD", "")
    if build:
        sha256 = python_build(tmp_path / "python.tar.gz")
        plan = PLAN.replace("BUILD", f"python-build: python.tar.gz#sha256={sha256}")
    cached_runner(instance, plan)
    source_archive(instance.index, "partings", "word = 'bye'\n")
    make_wheel(instance.index, "greetings", "1.0", "def greet(name):\n    return 'hello ' + name\n")
    instance.write("first/first.py", FIRST)
    instance.write("first/requirements.txt", "greetings\npartings\n")
    project(instance.code / "second", "second", SECOND.replace("DONE", str(tmp_path / "done")))
    instance.build(plan, "queues")
    shutil.rmtree(instance.index)

    booted = boot(instance, isolated)
    assert booted.returncode == 0, booted.stdout
    assert f"on Python {PYTHON}." in booted.stdout

    runner = instance.root / "runner/bin/python"
    instance.environ |= {"ON_AWS": "1", "PIP_FIND_LINKS": "", "PIP_NO_INDEX": ""}
    instance.programs = runner.parent
    program = Path(__file__).with_name("agent_program.py")
    instance.command = isolated.around(str(runner), "-P", str(program))
    instance.start()
    assert instance.stack_ends() == "CREATE_COMPLETE", (instance.reasons(), instance.printed())
    instance.until_logged("is installed, and its bots are loaded")  # without systemd, bootstrap.py has told of itself
    installed = read_installed(instance.root / "agent" / "installed.json")
    assert installed is not None
    with open_queues(queue_location(installed)) as queues:
        queues.send("first", [Job("r-1", "first", "you", "r")])
    done = tmp_path / "done"
    until(done.exists)
    said, reached, base = until(done.read_text).split("; ")
    assert (said, reached) == ("hello you and bye", "Network is unreachable")
    assert Path(base).is_relative_to(instance.root) == build
