"""`factory-cdk schema`, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE


def schema(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "schema", *arguments], capture_output=True, timeout=PATIENCE, check=False
    )


def test_the_schema_goes_to_stdout_as_json() -> None:
    result = schema()
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["properties"]["factory"]["required"] == ["name", "bots", "stages"]


@pytest.mark.slow
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


def test_the_page_on_the_plan_is_the_one_in_docs() -> None:
    page = schema("--format", "markdown").stdout
    assert page == (Path(__file__).parents[2] / "docs" / "plan.md").read_bytes()
    assert b"| `processes` | How many worker processes run this bot (default: 1) | `4` |" in page


@pytest.mark.slow
def test_the_plans_on_the_page_are_valid(tmp_path: Path) -> None:
    factory, flow = [
        block.partition("```")[0] for block in schema("--format", "markdown").stdout.decode().split("```yaml\n")[1:]
    ]
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "cutting.py").write_text("def cut(payload):\n    return payload\n")
    names = ("reader", "checker", "solver", "mesher", "writer", "other_reader")
    bots = "".join(f"    {name}: {{source: {{path: bots}}, bot_path: 'cutting:cut'}}\n" for name in names)
    here = "".join(f"          {name}:\n" for name in names)
    stages = f"  stages:\n    test:\n      workflow: flow\n      here:\n        type: local\n        bots:\n{here}"
    indented = "".join(f"  {line}\n" for line in flow.splitlines())
    for name, text in {"first": factory, "second": f"factory:\n  name: x\n  bots:\n{bots}{indented}{stages}"}.items():
        plan = tmp_path / f"{name}.yml"
        plan.write_text(text)
        command = [sys.executable, "-m", "factory_cdk", "validate", "--plan", str(plan)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
