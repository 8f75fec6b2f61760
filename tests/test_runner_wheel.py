"""The wheel that instances install: ours, whole, and the same bytes wherever the package is."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from patience import PATIENCE

from factory_cdk.runner_wheel import runner_requirements, runner_wheel

ROOT = Path(__file__).parents[1]


def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(runner_wheel().content))


def test_it_holds_the_package_with_its_scripts_and_no_tests() -> None:
    names = archive().namelist()
    for needed in ("runner/__main__.py", "worker/shim.py", "bootstrap_scripts/linux/first.py", "plan/aws/regions.json"):
        assert f"factory_cdk/{needed}" in names
    assert not [name for name in names if "tests/" in name or "__pycache__" in name]


def test_its_record_is_right() -> None:
    with archive() as wheel:
        (record,) = [name for name in wheel.namelist() if name.endswith("/RECORD")]
        lines = [line.rsplit(",", 2) for line in wheel.read(record).decode().splitlines()]
        assert {name for name, _, _ in lines} == set(wheel.namelist())
        for name, digest, size in lines:
            content = wheel.read(name)
            if name != record:
                expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                assert (digest, int(size)) == (f"sha256={expected}", len(content))


def test_a_package_that_is_installed_from_it_makes_the_same_bytes(tmp_path: Path) -> None:
    """So a checkout and an install of one version name the same release."""
    with archive() as wheel:
        wheel.extractall(tmp_path)
    program = "import factory_cdk, factory_cdk.runner_wheel as w; print(factory_cdk.__file__, w.runner_wheel().sha256)"
    command = [sys.executable, "-P", "-c", program]
    env = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=env, timeout=PATIENCE)
    assert done.stdout.split() == [str(tmp_path / "factory_cdk" / "__init__.py"), runner_wheel().sha256]


def test_what_the_runner_needs_is_locked_by_hash_as_pyproject_says() -> None:
    """After a change of the dependencies: `python tools/lock_runner.py`."""
    text = runner_requirements().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    locked = {}
    for line in lines:
        assert re.search(r" --hash=sha256:[0-9a-f]{64}", line), line
        requirement = Requirement(line.partition(" --hash")[0])
        locked[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in map(Requirement, project["dependencies"]):
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    ours = {canonicalize_name(name): version for name, version in pinned.items()}
    assert {name: version for name, version in locked.items() if ours.get(name, version) != version} == {}
