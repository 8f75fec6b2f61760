"""`factory-cdk review`, as a process."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from bot_sources import commit, git, repository
from patience import PATIENCE

PLAN = """\
factory:
  name: mill
  bots:
    reader: {source: {path: code}, bot_path: "bots:run"}
  stages:
    prod:
      box:
        type: aws
        region_name: eu-west-2
        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}
        bots: {reader: }
    test:
      here: {type: local, bots: {reader: }}
"""

Done = subprocess.CompletedProcess[str]


def review(*arguments: str, where: Path, **variables: str | None) -> Done:
    environment: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "HOME": str(where),
        "FACTORY_CDK_HOME": str(where / ".home"),
        "AWS_ACCESS_KEY_ID": None,
        "PYTHONUTF8": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", "review", "--plan", "factory-plan.yml", *arguments],
        cwd=where,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A work tree with the plan committed."""
    folder = tmp_path / "my plans"
    (folder / "code").mkdir(parents=True)
    (folder / "factory-plan.yml").write_text(PLAN)
    (folder / "code" / "bots.py").write_text("def run(payload): return payload\n")
    (folder / ".gitignore").write_text(".home/\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a commit")
    return folder


def change(folder: Path, was: str, now: str) -> None:
    file = folder / "factory-plan.yml"
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, now))


def test_exit_code_0_the_same_2_differs_1_what_was_not_wanted(checkout: Path) -> None:
    same = review("--against", "main", where=checkout)
    assert (same.returncode, same.stderr) == (0, "")
    assert len(same.stdout.splitlines()) == 1
    change(checkout, "t3.micro", "t3.small")
    assert review("--against", "main", where=checkout).returncode == 2
    assert review("--against", "main", "--fail-on", "replace,delete", where=checkout).returncode == 2
    refused = review("--against", "main", "--fail-on", "cost=1", where=checkout)
    assert refused.returncode == 1
    assert refused.stderr.startswith("cost: stage prod: ")
    assert "box" in refused.stdout


def test_only_the_stages_that_are_named(checkout: Path) -> None:
    change(checkout, "t3.micro", "t3.small")
    assert review("--against", "main", "--stage", "test", where=checkout).returncode == 0
    found = review("--against", "main", "--stage", "prod", "--format", "json", where=checkout)
    report = json.loads(found.stdout)
    assert [(one["name"], one["verdict"]) for one in report["stages"][0]["sectors"]] == [("box", "restarted")]
    unknown = review("--against", "main", "--stage", "prd", where=checkout)
    assert unknown.returncode == 1
    assert "unknown stage `prd`" in unknown.stderr and "did you mean `prod`" in unknown.stderr


def test_another_plan_and_an_assembly(checkout: Path) -> None:
    (checkout / "old.yml").write_text(PLAN.replace("ami-0123456789abcdef0", "ami-0fedcba9876543210"))
    found = review("--against-plan", "old.yml", where=checkout)
    assert found.returncode == 2 and "ImageId" in found.stdout
    missing = review("--against-plan", "nowhere.yml", where=checkout)
    assert missing.returncode == 1 and "nowhere.yml" in missing.stderr and "Traceback" not in missing.stderr
    nothing = review("--against-assembly", "code", where=checkout)
    assert nothing.returncode == 1 and "manifest.json cannot be read" in nothing.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of --against, --against-plan and --against-assembly"),
        (("--against", "main", "--against-plan", "x"), "give one of"),
        (("--against", "main", "--format", "html"), "--format"),
        (("--against", "main", "--fail-on", "everything"), "unknown reason `everything`"),
        (("--against", "-x"), "git has no commit `-x`"),
        (("--against", ""), "git has no commit"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, checkout: Path) -> None:
    result = review(*arguments, where=checkout)
    assert result.returncode in (1, 2)
    assert message in result.stderr and result.stdout == ""


def test_a_plan_that_is_refused_now(checkout: Path) -> None:
    change(checkout, "type: local", "type: lokal")
    result = review("--against", "main", where=checkout)
    assert result.returncode == 1
    assert "factory-plan.yml:13:20" in result.stderr and "Traceback" not in result.stderr


def test_nothing_needs_a_home_or_a_folder_that_can_be_written(checkout: Path) -> None:
    change(checkout, "t3.micro", "t3.small")
    no_home = review(
        "--against", "main", where=checkout, HOME=None, FACTORY_CDK_HOME=None, GIT_CONFIG_GLOBAL="/dev/null"
    )
    assert no_home.returncode == 2, no_home.stderr
    locked = checkout / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    found = review("--against", "main", where=checkout, FACTORY_CDK_HOME=str(locked / "home"))
    assert found.returncode == 2, found.stderr


def test_neither_cdk_nor_boto3_is_imported(checkout: Path) -> None:
    program = (
        "import sys\n"
        "from factory_cdk.cli import cli\n"
        "cli(['review', '--plan', 'factory-plan.yml', '--against', 'main'], standalone_mode=False)\n"
        "print(sorted({'aws_cdk', 'jsii', 'boto3', 'cfnlint'} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_a_report_that_goes_to_a_file(checkout: Path) -> None:
    change(checkout, "t3.micro", "t3.small")
    result = review("--against", "main", "--format", "markdown", "-o", "report.md", where=checkout)
    assert (result.returncode, result.stdout) == (2, "")
    assert "restarted" in (checkout / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_lock_that_moves_a_bot_to_another_commit(checkout: Path, tmp_path: Path) -> None:
    """From end to end: `factory-cdk lock` twice, and the commits between the two locks."""
    url = repository(tmp_path / "bots.git", {"bots.py": "def run(payload): return 1\n"})

    def lock(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "factory_cdk", "lock", "--plan", "factory-plan.yml", "-q", *arguments],
            cwd=checkout,
            env={**os.environ, "FACTORY_CDK_HOME": str(checkout / ".home")},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    change(checkout, "{path: code}", f"{{url: {url!r}, branch: main}}")
    lock()
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "locked")
    new = commit(tmp_path / "bots.git", {"bots.py": "def run(payload): return 2\n", "more.py": ""})
    lock("--upgrade")
    found = review("--against", "main", "--format", "json", where=checkout)
    assert found.returncode == 2, found.stderr
    bot = json.loads(found.stdout)["stages"][0]["bots"][0]
    assert [one["id"] for one in bot["commits"]] == [new]
    assert bot["files"]["added"] == ["more.py"] and bot["files"]["changed"] == ["bots.py"]
    assert {one["verdict"] for stage in json.loads(found.stdout)["stages"] for one in stage["sectors"]} == {"changed"}
