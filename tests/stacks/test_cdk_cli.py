"""Plain `cdk synth` and `factory-cdk synth` give the same bytes."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

from factory_cdk.stacks.node import wheel_node

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
REFERENCE = "plans/reference/factory-plan.yml"
CDK = Path(sys.prefix) / "cdk-cli" / "node_modules" / "aws-cdk" / "bin" / "cdk"

needs_cdk_cli = pytest.mark.skipif(not CDK.is_file(), reason="the CDK CLI is not installed; ./dev test installs it")


def cdk(*arguments: str, where: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "1",
        **variables,
    }
    environment.pop("AWS_REGION", None)
    command = [str(wheel_node()), str(CDK), *arguments]
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=300, check=False)


def same_files(left: Path, right: Path) -> bool:
    names = sorted(path.name for path in left.iterdir() if path.name != "synth.lock")
    assert names == sorted(path.name for path in right.iterdir())
    _, different, failed = filecmp.cmpfiles(left, right, names, shallow=False)
    assert (different, failed) == ([], [])
    return bool(names)


@needs_cdk_cli
def test_plain_cdk_synth_and_factory_cdk_synth_give_the_same_bytes(tmp_path: Path) -> None:
    context = ["-c", f"plan={REFERENCE}", "-c", "stage=prod", "-c", "pack=false"]
    result = cdk("synth", "--quiet", "--output", str(tmp_path / "plain"), *context)
    assert result.returncode == 0, result.stderr
    ours = [sys.executable, "-m", "factory_cdk", "synth", "--plan", REFERENCE, "--stage", "prod"]
    subprocess.run([*ours, "-o", str(tmp_path / "ours"), "-q"], cwd=ROOT, check=True, timeout=PATIENCE)
    assert same_files(tmp_path / "plain", tmp_path / "ours")


@needs_cdk_cli
def test_bare_cdk_synth_in_a_checkout_synthesizes_the_example_that_cdk_json_names(tmp_path: Path) -> None:
    result = cdk("synth", "--quiet", "--output", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    names = {path.name for path in (tmp_path / "out").glob("*.template.json")}
    kinds = ("queues", "eu-west-1", "eu-west-2")
    assert names == {f"my-factory-name-dev-{kind}.template.json" for kind in kinds}


@needs_cdk_cli
def test_cdk_synth_in_the_example_app_synthesizes_the_factory_beside_the_app_s_own_stack(tmp_path: Path) -> None:
    result = cdk(
        "synth",
        "--quiet",
        "--output",
        str(tmp_path / "out"),
        where=ROOT / "plans" / "cdk-app",
        FACTORY_CDK_HOME=str(tmp_path / "home"),
        CDK_VALIDATION="false",  # 4 s; cdk-nag, which the app adds, runs nevertheless
    )
    assert result.returncode == 0, result.stderr
    assert "AwsSolutions" not in result.stderr and "WARNING" not in result.stderr, result.stderr
    assert "end-of-life" not in result.stderr, "the Node of the app is that of the extra"
    stacks = "cdk_app-prod/queues, cdk_app-prod/eu-west-2, Operations"
    assert stacks in result.stdout + result.stderr


@needs_cdk_cli
def test_the_reason_of_a_refusal_reaches_whoever_runs_cdk(tmp_path: Path) -> None:
    out = ["--output", str(tmp_path / "out")]
    refused = cdk("synth", *out, "-c", "stage=tst")
    assert refused.returncode == 1
    assert "unknown stage `tst`" in refused.stderr
    assert "did you mean `test`?" in refused.stderr
    plan = Path(shutil.copy(ROOT / REFERENCE, tmp_path / "plan.yml"))
    plan.write_text(plan.read_text().replace("InstanceType: t2.nano", "InstnceType: t2.nano", 1))
    invalid = cdk("synth", *out, "-c", f"plan={plan}")
    assert invalid.returncode == 1
    assert "error[F502]" in invalid.stderr
    assert "Traceback" not in invalid.stderr


@needs_cdk_cli
def test_a_stage_without_aws_sectors_says_that_there_is_nothing_to_synthesize(tmp_path: Path) -> None:
    result = cdk("synth", "--output", str(tmp_path / "out"), "-c", "stage=test")
    assert "stage test has no aws sector: there is nothing to synthesize" in result.stderr
