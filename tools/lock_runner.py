"""Locks what the runner on an instance needs, with hashes: `python tools/lock_runner.py` (asks the package index).

It writes factory_cdk/runner_requirements.txt from the base dependencies in pyproject.toml, at the versions of
constraints.txt, for every platform and Python that the package supports. Run it when one of the two has changed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "factory_cdk" / "runner_requirements.txt"
HEADER = "# What the runner on an instance needs, for every platform: `python tools/lock_runner.py` writes this.\n"


def locked() -> str:
    """The locked requirements as text."""
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    command += ["--no-annotate", "--no-emit-index-url", "--python-version", "3.11", "--only-binary", ":all:"]
    command += ["--constraint", "constraints.txt", "pyproject.toml"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("--")]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(locked(), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
