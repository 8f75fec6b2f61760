"""`factory-cdk lint` as a process: real templates, CDK's validation and cfn-lint; formats, verdicts, silencing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE

REFERENCE = Path(__file__).parents[2] / "plans" / "reference" / "factory-plan.yml"

PLAN = """\
factory:
  name: works
  bots:
    draw:
      source: {pypi: draw, version: '1.0'}
      bot_path: draw:run
  stages:
    dev:
      box:
        type: aws
        region_name: eu-west-2
        alarm: idle
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: m3.medium
          # factory: ignore F703 -- an old SDK
          MetadataOptions: {HttpTokens: optional}
          BlockDeviceMappings:
            - DeviceName: /dev/sda1
              Ebs: {VolumeSize: 8, VolumeType: gp3}
        bots:
          draw: {config: {API_KEY: SECRET}}  # factory: ignore F705
      second:
        type: aws
        region_name: eu-west-2
        parameters:
          ImageId: ami-0123456789abcdef0
          InstanceType: x9.unheard
        bots: {draw: {}}
    here:
      box:
        type: local
        bots:
          draw: {config: {API_KEY: SECRET}}
  alarms:
    idle:
      Namespace: AWS/EC2
      MetricName: CPUUtilization
      Statistic: Average
      Period: 60
      EvaluationPeriods: 3
      Threshold: 5
      ComparisonOperator: LessThanThreshold
      AlarmActions: [terminate]
""".replace("SECRET", "gh" + "p_" + "a1B2" * 9)
"""Put together from parts, so that nothing that looks for secrets finds one in this file."""

SECRET = "a1B2" * 9


def lint(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "lint", "--plan", "plan.yml", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "FACTORY_CDK_HOME": str(folder / "home"), **environment},
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lint")
    (folder / "plan.yml").write_text(PLAN, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def aws(folder: Path) -> dict[str, Any]:
    """What linting the stage `dev` printed as JSON, its exit code as `exit`."""
    (folder / ".cfnlintrc").write_text("ignore_checks: [E, W]\n: no YAML")  # someone's, and not for us
    result = lint("--stage", "dev", "--format", "json", folder=folder, CDK_VALIDATION="false")
    assert result.stderr == ""
    return {**json.loads(result.stdout), "exit": result.returncode}


def at(report: dict[str, Any], code: str) -> list[str]:
    """What stands in the plan where `code` was found, in the order of the file."""
    lines = PLAN.splitlines()
    found = [one for one in report["diagnostics"] if one["code"] == code]
    assert all(one["file"] == "plan.yml" for one in found)
    return [lines[one["line"] - 1][one["column"] - 1 :] for one in found]


@pytest.mark.slow
def test_every_check_reports_at_the_plan_s_line(aws: dict[str, Any]) -> None:
    assert at(aws, "F705") == ["Ebs: {VolumeSize: 8, VolumeType: gp3}"]
    assert at(aws, "F706") == ["m3.medium"]
    assert at(aws, "F707") == ["60"]
    assert at(aws, "F708") == ["terminate]"]
    assert [place[:3] for place in at(aws, "F701")] == ["ghp"], "not that of the other stage"


def test_what_cdk_and_cfn_lint_refuse_is_reported_at_the_plan_s_line(aws: dict[str, Any]) -> None:
    assert "x9.unheard" in at(aws, "F720")
    (unheard,) = [one for one in aws["diagnostics"] if "x9.unheard" in one["message"]]
    assert "cfn-lint and CDK]" in unheard["message"] and unheard["severity"] == "error"


def test_an_error_of_the_engines_refuses_the_plan(aws: dict[str, Any]) -> None:
    assert (aws["exit"], aws["valid"], aws["stage"]) == (1, False, "dev")


def test_a_comment_silences_and_one_that_does_not_is_reported(aws: dict[str, Any]) -> None:
    assert at(aws, "F703") == []
    assert at(aws, "F023") == ["F705"]


def test_nothing_is_found_in_what_we_generate(aws: dict[str, Any]) -> None:
    assert {one["file"] for one in aws["diagnostics"]} == {"plan.yml"}


@pytest.mark.slow
def test_a_secret_is_in_no_output(aws: dict[str, Any], folder: Path) -> None:
    assert SECRET not in json.dumps(aws)
    for format_ in ("text", "github", "sarif"):
        result = lint("--stage", "here", "--format", format_, folder=folder)
        assert "F701" in result.stdout
        assert SECRET not in result.stdout + result.stderr


@pytest.mark.slow
def test_the_reference_plan_has_warnings_and_notices_only(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_bytes(REFERENCE.read_bytes())
    result = lint("--stage", "dev", "--region", "eu-west-2", "--format", "json", folder=tmp_path)
    report = json.loads(result.stdout)
    assert (result.returncode, report["valid"]) == (0, True)
    codes = [one["code"] for one in report["diagnostics"]]
    assert codes.count("F704") == 4 and codes.count("F707") == codes.count("F708") == 1
    assert not {"F720", "F721", "F401"} & set(codes)


def run_program(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "FACTORY_CDK_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_stage_without_aws_sectors_needs_no_cdk(folder: Path) -> None:
    program = (
        "import sys; sys.modules['aws_cdk'] = sys.modules['cfnlint'] = None\n"
        "sys.argv = ['factory-cdk', 'lint', '--plan', 'plan.yml', '--stage', 'here', '--format', 'json']\n"
        "from factory_cdk.cli import main; main()"
    )
    result = run_program(program, folder)
    assert result.returncode == 0, result.stderr
    assert [one["code"] for one in json.loads(result.stdout)["diagnostics"]].count("F701") == 1


def test_without_the_extra_the_command_says_what_to_install(folder: Path) -> None:
    program = (
        "import sys; sys.modules['cfnlint'] = None\n"
        "sys.argv = ['factory-cdk', 'lint', '--plan', 'plan.yml', '--stage', 'dev']\n"
        "from factory_cdk.cli import main; main()"
    )
    result = run_program(program, folder)
    assert result.returncode == 1
    assert "cfn-lint, which is not installed" in result.stderr and "factory-cdk[cdk]" in result.stderr
    assert "Traceback" not in result.stderr


def test_warnings_refuse_only_when_strict_and_are_quiet_when_asked(folder: Path) -> None:
    result = lint("--stage", "here", "--strict", folder=folder)
    assert result.returncode == 1 and "(--strict refuses warnings)" in result.stdout
    result = lint("--stage", "here", "-q", folder=folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.slow
def test_sarif_has_the_command_s_exit_code(folder: Path) -> None:
    result = lint("--stage", "here", "--format", "sarif", folder=folder)
    assert result.returncode == 0
    assert json.loads(result.stdout)["runs"][0]["results"]
    assert lint("--stage", "here", "--format", "sarif", "--strict", folder=folder).returncode == 1


@pytest.mark.slow
def test_github_gets_notices_and_warnings_at_their_lines(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(PLAN.replace("name: works", "name: [works]"), encoding="utf-8")
    result = lint("--stage", "dev", "--format", "github", folder=tmp_path)
    assert result.returncode == 1
    assert result.stdout.startswith("::error file=plan.yml,line=2,")


@pytest.mark.slow
def test_a_plan_that_validation_refuses_is_not_linted(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(PLAN.replace("InstanceType: m3.medium", "InstnceType: m3"), encoding="utf-8")
    result = lint("--stage", "dev", "--format", "json", folder=tmp_path)
    codes = {one["code"] for one in json.loads(result.stdout)["diagnostics"]}
    assert result.returncode == 1
    assert "F502" in codes and not {code for code in codes if code.startswith("F7")}


@pytest.mark.slow
def test_an_unknown_stage_is_a_diagnostic(folder: Path) -> None:
    result = lint("--stage", "deev", folder=folder)
    assert result.returncode == 1
    assert "error[F113]" in result.stdout and "did you mean `dev`?" in result.stdout


@pytest.mark.slow
def test_validate_knows_the_same_comments(tmp_path: Path) -> None:
    unused = PLAN.replace("  alarms:\n", "  workflows:\n    spare: [draw]  # factory: ignore F310, F311\n  alarms:\n")
    (tmp_path / "plan.yml").write_text(unused, encoding="utf-8")
    command = [sys.executable, "-m", "factory_cdk", "validate", "--plan", "plan.yml", "--format", "json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    found = json.loads(result.stdout)["diagnostics"]
    assert [(one["code"], one["message"][:35]) for one in found] == [
        ("F023", "unused ignore comment: line 36 has ")
    ]  # no F311 there
    assert result.returncode == 0
    result = subprocess.run([*command, "--strict"], cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    assert result.returncode == 1
