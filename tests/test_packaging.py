"""The wheel works in a clean environment as the checkout does: templates, schemas and snapshots are in it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from patience import PATIENCE
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "plans" / "reference" / "factory-plan.yml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_scripts_snapshots_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "bootstrap_scripts/linux/user-data.sh.j2",
        "plan/aws/regions.json",
        "prices/table.json",
        "py.typed",
        "review/report.schema.json",
        "worker/shim.py",
    ):
        assert f"factory_cdk/{needed}" in names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


@pytest.mark.slow
def test_a_base_install_validates_designs_and_says_what_synth_needs(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment with spaces"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True, timeout=PATIENCE)
    python = environment / "bin" / "python"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", str(python), *constraints, str(wheel)], check=True, timeout=300
    )
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(environment / "bin" / "factory-cdk"), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=clean, timeout=PATIENCE, check=False
        )

    validated = run("validate", "--plan", str(REFERENCE), "--stage", "dev", "--region", "eu-west-2")
    assert validated.returncode == 0, validated.stderr
    assert "valid, 19 warnings" in validated.stdout
    refused = run("synth", "--plan", str(REFERENCE), "--stage", "dev", "--region", "eu-west-2")
    assert refused.returncode == 1
    assert "factory-cdk[cdk]" in refused.stderr
    packages = subprocess.run([uv, "pip", "list", "--python", str(python)], capture_output=True, text=True, check=True)
    assert "aws-cdk-lib" not in packages.stdout


def test_shell_scripts_are_shellcheck_clean() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    result = subprocess.run([str(shellcheck), "dev", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout == ""
    assert result.returncode == 0


@pytest.mark.slow
def test_the_snapshot_of_aws_is_what_the_installed_tools_say() -> None:
    program = "import json, snapshot_aws; print(json.dumps(snapshot_aws.snapshot()))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    for name, text in json.loads(result.stdout).items():
        kept = json.loads((ROOT / "factory_cdk" / "plan" / "aws" / name).read_text())
        said = json.loads(text)
        if name == "regions.json":  # the emulator pins an older botocore: the snapshot may know more regions
            for partition, facts in said.items():
                assert facts["dns_suffix"] == kept[partition]["dns_suffix"]
                assert set(facts["regions"]) <= set(kept[partition]["regions"]), "run: python tools/snapshot_aws.py"
        else:
            assert said == kept, "run: python tools/snapshot_aws.py"
