"""A home and a folder for bots' code, and a shell beside a plan, for every test of the local factory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_works import Works, take_down
from shell import BOTS, PLAN, Shell


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    """A home and a folder for code; whatever was built is taken down in the end."""
    built = Works(tmp_path / "home", tmp_path / "code")
    built.code.mkdir()
    yield built
    take_down(built.home)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    folder = tmp_path / "a plan's place"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "bots.py").write_text(BOTS)
    plan = folder / "factory-plan.yml"
    plan.write_text(PLAN)
    made = Shell(folder, plan)
    yield made
    made.end()
    take_down(made.home)


@pytest.fixture
def small_disk(shell: Shell) -> Iterator[Path]:
    """The home of `shell`, on a disk of 4 MB of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root on Linux")
    shell.home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(shell.home)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield shell.home
    take_down(shell.home)
    subprocess.run(["umount", "-l", str(shell.home)], check=True)
