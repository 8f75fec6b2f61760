"""`factory-cdk graph`, as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from patience import PATIENCE

REFERENCE = Path(__file__).parents[2] / "plans" / "reference" / "factory-plan.yml"


def graph(*arguments: str, plan: Path = REFERENCE, stage: str = "test") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "graph", "--plan", str(plan), "--stage", stage, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
        # The hash seed differs from run to run: what is drawn may not.
        env={**os.environ, "PYTHONHASHSEED": "random", "PYTHONUTF8": "1"},
    )


@pytest.mark.slow
def test_a_stage_is_drawn_as_text_unless_told_otherwise() -> None:
    result = graph()
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("my_factory_name / test\n3 bots, 3 queues, 2 sectors\n")


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["text", "mermaid", "svg"])
def test_every_run_gives_the_same_bytes(format_: str, tmp_path: Path) -> None:
    file = tmp_path / "picture"
    first = graph("--format", format_, "--region", "eu-west-2", stage="dev")
    second = graph("--format", format_, "--region", "eu-west-2", "-o", str(file), stage="dev")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert second.stdout == ""
    assert file.read_text(encoding="utf-8") == first.stdout


def test_an_svg_is_a_document_of_its_own() -> None:
    root = ET.fromstring(graph("--format", "svg").stdout)  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not [element for element in root.iter() if {"href", "src", "onload"} & set(element.keys())]


@pytest.mark.slow
def test_a_refused_plan_and_an_unknown_stage_are_told_without_a_traceback(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text("factory: {}\n", encoding="utf-8")
    refused, unknown = graph(plan=plan), graph(stage="tset")
    assert refused.returncode == unknown.returncode == 1
    assert "error[F101]" in refused.stderr
    assert "did you mean `test`?" in unknown.stderr
    assert "Traceback" not in refused.stderr + unknown.stderr


def test_an_unknown_format_is_wrong_usage() -> None:
    assert graph("--format", "png").returncode == 2
