"""Which Node an app of one's own runs on: that of the extra, not the one on PATH, which may be none of use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory_cdk.stacks.node import wheel_node

AWS_FIRST = "import aws_cdk\nfrom factory_cdk.stacks.library import FactoryStage\n"
LIBRARY_FIRST = "from factory_cdk.stacks.library import FactoryStage\nimport aws_cdk\n"
SYNTH = "import os, sys\naws_cdk.App(outdir=sys.argv[1]).synth()\nprint(os.environ.get('JSII_NODE'))\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder on whose `bin` is a Node that does not run."""
    (tmp_path / "bin").mkdir()
    node = tmp_path / "bin" / "node"
    node.write_text("#!/bin/sh\nexit 7\n")
    node.chmod(0o755)
    return tmp_path


def python(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "JSII_NODE"}
    environment |= {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "CDK_VALIDATION": "false", **variables}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run(folder: Path, app: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "app.py").write_text(app)
    return python(folder, "-m", "factory_cdk.stacks.run", "app.py", "out", **variables)


@pytest.mark.slow
def test_an_app_that_is_run_by_us_may_import_aws_cdk_first(folder: Path) -> None:
    done = run(folder, AWS_FIRST + SYNTH)
    assert (done.returncode, done.stdout) == (0, f"{wheel_node()}\n"), done.stderr
    assert (folder / "out" / "manifest.json").is_file()


@pytest.mark.slow
def test_an_app_that_imports_the_library_first_needs_nothing_more(folder: Path) -> None:
    (folder / "app.py").write_text(LIBRARY_FIRST + SYNTH)
    done = python(folder, "app.py", "out")
    assert (done.returncode, done.stdout) == (0, f"{wheel_node()}\n"), done.stderr


@pytest.mark.slow
def test_a_home_that_holds_no_cache_holds_nothing_up(folder: Path) -> None:
    done = run(folder, LIBRARY_FIRST + SYNTH, HOME="/proc", FACTORY_CDK_HOME=str(folder / "home"))
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "manifest.json").is_file()


def test_the_node_that_the_user_names_is_the_one(folder: Path) -> None:
    done = run(folder, AWS_FIRST, JSII_NODE=str(folder / "bin" / "node"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: CDK needs Node, and")
    assert "set JSII_NODE to a Node that runs" in done.stderr


@pytest.mark.slow
def test_a_plan_that_is_refused_is_told_without_a_traceback(folder: Path) -> None:
    (folder / "plan.yml").write_text("factory: {nmae: x}\n")
    app = "import aws_cdk\nfrom factory_cdk.stacks.library import FactoryStage\n"
    done = run(folder, f"{app}FactoryStage(aws_cdk.App(), plan='plan.yml', stage='test')\n")
    assert done.returncode == 1
    assert "plan.yml:1:11: error[F102]: unknown key `nmae`\n   help: did you mean `name`?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_app_that_is_not_there_and_none_are_told(folder: Path) -> None:
    absent = python(folder, "-m", "factory_cdk.stacks.run", "absent.py")
    assert (absent.returncode, absent.stderr.splitlines()[0]) == (1, "error: app not found: absent.py")
    none = python(folder, "-m", "factory_cdk.stacks.run")
    assert (none.returncode, none.stderr[:6]) == (2, "usage:")
