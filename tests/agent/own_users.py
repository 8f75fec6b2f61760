"""Instances whose bots have users of their own, for real: needs root, and a Python that any user may run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent_works import PROGRAM, Instance

import factory_cdk
from factory_cdk.agent.setup import CAPABILITIES

SYSTEM_PYTHON = Path("/usr/bin/python3.11")
AGENT = 65_990
_CAPABILITIES = ",".join("+" + one.removeprefix("CAP_").lower() for one in CAPABILITIES.split())
AS_THE_UNIT = (
    *("setpriv", f"--reuid={AGENT}", f"--regid={AGENT}", "--clear-groups", "--no-new-privs"),
    *(f"--inh-caps=-all,{_CAPABILITIES}", f"--ambient-caps=-all,{_CAPABILITIES}", "--"),
)
"""What systemd makes of the unit's user and capabilities."""


@contextmanager
def own_users(instance: Instance) -> Iterator[None]:
    """The instance is in a folder that every user may pass, as /opt is; its agent is started as the unit says."""
    if os.getuid() or not SYSTEM_PYTHON.exists():
        pytest.skip("needs root and /usr/bin/python3.11")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o711)
    shutil.copytree(instance.index, folder / "index")
    instance.folder, instance.index = folder, folder / "index"
    package = Path(factory_cdk.__file__).parent
    code = folder / "python"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", code], check=True)
    (site,) = code.glob("lib/python*/site-packages")
    shutil.copytree(package, site / "factory_cdk", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "others.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    (code / "bin" / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    instance.programs = code / "bin"
    instance.command = [*AS_THE_UNIT, str(instance.programs / "python"), str(PROGRAM)]
    instance.environ["OWN_USERS"] = "1"
    try:
        yield
    finally:
        instance.end()
        shutil.rmtree(folder)
