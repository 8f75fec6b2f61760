"""`factory-cdk schema`, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def schema(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "schema", *arguments], capture_output=True, timeout=60, check=False
    )


def test_the_schema_goes_to_stdout_as_json() -> None:
    result = schema()
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["properties"]["factory"]["required"] == ["name", "bots", "stages"]


def test_the_schema_goes_to_a_file_when_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "plan.schema.json"
    assert schema("-o", str(file)).stdout == b""
    assert file.read_bytes() == schema().stdout


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "plan.schema.json"
    result = schema("--output", str(file))
    assert result.returncode == 1
    assert b"error: " + str(file).encode() + b" cannot be written: No such file or directory" in result.stderr
    assert b"Traceback" not in result.stderr
