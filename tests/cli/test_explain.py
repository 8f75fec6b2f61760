"""`factory-cdk explain`, as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

from factory_cdk.codes import CODES


def explain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "explain", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_a_code_is_explained_with_an_example_and_its_fix() -> None:
    result = explain("F302")
    assert result.returncode == 0, result.stderr
    first, *_, last = result.stdout.strip().splitlines()
    assert first == f"error[F302]: {CODES['F302'].title}"
    assert "  -     main: [{reader: solver}, {solver: reader}]\n" in result.stdout
    assert "  +     main: [{reader: solver}]\n" in result.stdout
    assert last.startswith("A workflow must end")
    assert "\x1b" not in result.stdout


def test_a_code_may_be_written_in_small_letters() -> None:
    assert explain("f302").stdout == explain("F302").stdout


def test_the_list_names_every_code_in_order() -> None:
    result = explain("--list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(CODES)


def test_json_holds_what_is_wrong_and_what_is_fixed() -> None:
    one = json.loads(explain("F302", "--format", "json").stdout)
    assert one["code"] == "F302"
    assert one["severity"] == "error"
    assert one["example"]["kind"] == "plan"
    assert one["example"]["wrong"] != one["example"]["fixed"]
    every = json.loads(explain("--list", "--format", "json").stdout)
    assert one in every
    assert [each["code"] for each in every] == list(CODES)


def test_an_unknown_code_is_wrong_usage_and_the_closest_is_named() -> None:
    result = explain("F3022")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "there is no code `F3022`: did you mean `F302`?" in result.stderr


@pytest.mark.slow
def test_without_a_code_all_are_listed_and_a_code_with_the_list_is_wrong_usage() -> None:
    assert explain().stdout == explain("--list").stdout
    result = explain("F302", "--list")
    assert result.returncode == 2
    assert "name one code, or write --list" in result.stderr


def test_the_page_of_the_documentation_can_be_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "diagnostics.md"
    assert explain("--list", "--format", "markdown", "-o", str(file)).returncode == 0
    assert file.read_text(encoding="utf-8").startswith("# Diagnostics\n")
    assert explain("F302", "--format", "markdown").stdout in file.read_text(encoding="utf-8")
