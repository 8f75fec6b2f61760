"""The hooks for pre-commit: a repository that uses them refuses a plan that is not valid, and so does the entry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from patience import PATIENCE
from test_action import PLAN, git

ROOT = Path(__file__).parents[2]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
WRONG = PLAN.replace("bot_path", "bot_paht")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "code").mkdir()
    (folder / "code" / "reader.py").write_text("def read(payload):\n    return payload\n")
    (folder / "factory-plan.yml").write_text(PLAN)
    (folder / "other").mkdir()
    (folder / "other" / "code").symlink_to("../code")
    (folder / "other" / "factory-plan.yaml").write_text(PLAN)
    (folder / "compose.yml").write_text("services: {}\n")
    git(folder, "add", "-A")
    return folder


def entry(hook: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The hook's entry as pre-commit calls it: with its arguments, then the names of files."""
    program, *words = HOOKS[hook]["entry"].split()
    assert program == "python"
    return subprocess.run(
        [sys.executable, *words, *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_validate_checks_every_plan_that_is_named(repository: Path) -> None:
    done = entry("factory-cdk-validate", repository, "factory-plan.yml", "other/factory-plan.yaml")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": valid") == 2
    (repository / "other" / "factory-plan.yaml").write_text(WRONG)
    done = entry("factory-cdk-validate", repository, "--quiet", "other/factory-plan.yaml", "factory-plan.yml")
    assert done.returncode == 1
    assert "bot_paht" in done.stdout
    assert "other/factory-plan.yaml:" in done.stdout


@pytest.mark.slow
def test_lint_checks_every_stage_or_the_one_that_is_named(repository: Path) -> None:
    local = PLAN[: PLAN.index("    prod:")] + PLAN[PLAN.index("    dev:") :]
    (repository / "factory-plan.yml").write_text(local + local[local.index("    dev:") :].replace("dev", "test"))
    done = entry("factory-cdk-lint", repository, "factory-plan.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": valid") == 2
    done = entry("factory-cdk-lint", repository, "--stage", "dev", "factory-plan.yml")
    assert done.stdout.count(": valid") == 1
    assert entry("factory-cdk-lint", repository, "--stage=nowhere", "factory-plan.yml").returncode == 1
    (repository / "factory-plan.yml").write_text(WRONG)
    done = entry("factory-cdk-lint", repository, "factory-plan.yml")
    assert done.returncode == 1
    assert "bot_paht" in done.stdout


def test_without_a_plan_the_usage_is_said(repository: Path) -> None:
    done = entry("factory-cdk-validate", repository, "--strict")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


@pytest.mark.slow
def test_pre_commit_runs_the_hook_on_plans_and_on_nothing_else(repository: Path, tmp_path: Path) -> None:
    """With the repository of the hooks as it is here, committed or not, cloned as pre-commit clones it."""
    hooks = tmp_path / "hooks"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if name.startswith(("tests/", "docs/", "benchmarks/")) or not (ROOT / name).is_file():
            continue
        (hooks / name).parent.mkdir(parents=True, exist_ok=True)
        (hooks / name).write_bytes((ROOT / name).read_bytes())
    git(hooks, "init", "-q")
    git(hooks, "add", "-A")
    git(hooks, "commit", "-qm", "Hooks")
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment = {
        **pip,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
    }

    def run() -> subprocess.CompletedProcess[str]:
        command = ["pre-commit", "try-repo", str(hooks), "factory-cdk-validate", "--all-files", "--verbose"]
        return subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True, timeout=500, check=False
        )

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "factory-plan.yml: valid" in done.stdout
    assert "other/factory-plan.yaml: valid" in done.stdout
    assert "compose.yml" not in done.stdout
    (repository / "factory-plan.yml").write_text(WRONG)
    done = run()
    assert done.returncode == 1
    assert "bot_paht" in done.stdout


def test_every_hook_takes_plans_alone_and_says_what_it_does() -> None:
    assert set(HOOKS) == {"factory-cdk-validate", "factory-cdk-lint"}
    for hook in HOOKS.values():
        assert hook["types"] == ["yaml"]
        assert hook["require_serial"]
        assert "pass_filenames" not in hook
        assert hook["description"].endswith(".")
