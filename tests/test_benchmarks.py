"""The benchmarks run, and say what the README shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_the_compiler_is_measured_beside_its_floors(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, BENCHMARKS / "compiler.py", "--rounds", "1", "--sectors", "2", "--json", file]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = json.loads(file.read_text())
    assert all(isinstance(figure["value"], float) for figure in figures)  # may be below 0 on a busy machine
    assert all(figure["what"] in said for figure in figures)
    assert said.count("s for 34 resources, 6 files") == 2, "a bare L1 app makes as much"


def test_the_local_factory_is_measured_beside_its_floors(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [
        sys.executable,
        BENCHMARKS / "local_factory.py",
        "--quick",
        "--without",
        "huey",
        "celery",
        "--json",
        file,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = {figure["what"]: figure for figure in json.loads(file.read_text())}
    assert all(what in said for what in figures)
    assert {"memory of the runner", "memory of each worker"} <= figures.keys()
    for batch in (1, 10):
        figure = figures[f"chains, 1 worker per bot, batch {batch}"]
        assert figure["value"] > 0
        assert (figure["goal"], figure["at_least"]) == (0.5, True)
    assert "2 workers and the runner" in figures["CPU of 2 idle workers"]["beside"]


@pytest.mark.skipif(shutil.which("py-spy", path=Path(sys.executable).parent) is None, reason="needs the extra `bench`")
def test_the_profile_of_a_runner_says_where_its_time_goes(tmp_path: Path) -> None:
    command = [
        sys.executable,
        BENCHMARKS / "profile_runner.py",
        "--chains",
        "1500",
        "--batch",
        "10",
        "--folder",
        tmp_path,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts, lines = said.partition("the lines at which it is most:")[::2]
    assert "queues: finishing (SQLite)" in parts
    shares = [float(share) for share in re.findall(r" us +([\d.]+)%", parts)]
    assert 99 < sum(shares) < 101
    assert "factory_cdk/queues/sqlite_steps.py:" in lines


def test_the_queues_on_aws_are_measured_beside_bare_loops(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, BENCHMARKS / "aws_queues.py", "--rounds", "1", "--chains", "50", "--json", file]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = {figure["what"]: figure for figure in json.loads(file.read_text())}
    assert all(what in said for what in figures)
    for ratio in (
        "our engine, no history / bare boto3 loop",
        "our engine, with a history / bare boto3 loop with a table",
    ):
        assert figures[ratio]["value"] > 0
        assert (figures[ratio]["goal"], figures[ratio]["at_least"]) == (0.5, True)


@pytest.mark.network
def test_installing_on_an_instance_is_measured_beside_venv_and_pip(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, BENCHMARKS / "instance_install.py", "--rounds", "1", "--json", file]
    environ = {**os.environ, "FACTORY_CDK_HOME": str(tmp_path / "home")}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environ).stdout
    figures = json.loads(file.read_text())
    assert [figure["unit"] for figure in figures] == ["s", "s", "s", "x"]
    assert all(figure["value"] > 0 and figure["what"] in said for figure in figures)
    assert "`python -m venv` and `pip install`" in figures[-1]["beside"]
