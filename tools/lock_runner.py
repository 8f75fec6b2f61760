"""Locks what the runner on an instance needs, with hashes: `python tools/lock_runner.py` (asks the package index).

It writes factory_cdk/runner_requirements.txt from the base dependencies in pyproject.toml, at the versions of
constraints.txt, for every platform and Python that the package supports. Run it when one of the two has changed.
Beside it, factory_cdk/runner_wheels.json says which wheels these are for each architecture and version of Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path

from uv import find_uv_bin

from factory_cdk.pack.wheels.making import fetched_wheels, write_wheels
from factory_cdk.pack.wheels.pip import pip_with
from factory_cdk.runner_wheel import requirement_lines
from factory_cdk.wheels import Target, archive_as_json

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "factory_cdk" / "runner_requirements.txt"
WHEELS = ROOT / "factory_cdk" / "runner_wheels.json"
ARCHITECTURES = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
HEADER = "# What the runner on an instance needs, for every platform: `python tools/lock_runner.py` writes this.\n"


def locked() -> str:
    """The locked requirements as text."""
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    command += ["--no-annotate", "--no-emit-index-url", "--python-version", "3.11", "--only-binary", ":all:"]
    command += ["--constraint", "constraints.txt", "pyproject.toml"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("--")]
    return HEADER + "\n".join(lines) + "\n"


def wheels() -> str:
    """The archives of wheels as JSON, by their targets."""
    pip = pip_with(os.environ, threading.Event())
    found = {}
    for target in (Target(architecture, python) for architecture in ARCHITECTURES for python in PYTHONS):
        with tempfile.TemporaryDirectory() as folder:
            fetched = fetched_wheels(pip, requirement_lines(), (), target, Path(folder, "wheels"))
            found[str(target)] = archive_as_json(write_wheels(fetched, Path(folder, "wheels.zip")))
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(locked(), encoding="utf-8")
    WHEELS.write_text(wheels(), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
