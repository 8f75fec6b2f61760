"""What docs/bots.md and docs/python.md show runs as it stands, and type checkers know the types in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

from factory_cdk import Factory

DOCS = Path(__file__).parents[2] / "docs"

WRONG = """
from factory_cdk import Bot, Factory, Job

bot = Bot("wrong")

@bot.process
def work(job: Job) -> int:
    job.publish_status(5)
    return job.attempts

length: str = Factory("factory-plan.yml").submit("cut", {}).job
length = Factory("factory-plan.yml").map("cut", [])
"""


def blocks(page: str, language: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    return "\n\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.fixture
def workshop(plan: Path) -> Path:
    """The folder that the pages speak of."""
    plan.write_text(blocks("bots.md", "yaml"))
    (plan.parent / "code" / "bots.py").write_text(blocks("bots.md", "python"))
    (plan.parent / "script.py").write_text(blocks("python.md", "python"))
    return plan.parent


@pytest.mark.slow
def test_the_page_on_python_runs_with_the_bots_of_the_page_on_bots(workshop: Path) -> None:
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=workshop, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "0 jobs and 1 dead letter are left" in done.stdout
    assert not list((workshop / "home" / "factories").rglob("runner-spec.json"))


@pytest.mark.slow
def test_every_bot_of_the_page_does_what_it_says(workshop: Path) -> None:
    factory = Factory(workshop / "factory-plan.yml")
    factory.build()
    assert factory.submit("shout", "aloud").result(PATIENCE) == "ALOUD"
    part = {"part": "rod", "length": 2.0}
    assert factory.submit("weld", part).result(PATIENCE) == {**part, "heat": 1200, "welded": True}
    assert "StepFailed" in str(factory.submit("weld", {"part": "rod", "length": 0}).exception(PATIENCE))
    tested = subprocess.run(
        [sys.executable, "-c", "import bots; bots.test_weighing()"], cwd=workshop / "code", check=False
    )
    assert tested.returncode == 0


def test_the_page_names_every_step_and_everything_of_a_job() -> None:
    from factory_cdk import Bot, Job

    text = (DOCS / "bots.md").read_text(encoding="utf-8")
    steps = [name.removesuffix("_function") for name in vars(Bot()) if name.endswith("_function")]
    told = [name for name in dir(Job) if not name.startswith("_") and name != "resume_processing"]
    assert len(steps) == 10
    assert [name for name in (*steps, *told) if f"`{name}" not in text] == []


@pytest.mark.slow
def test_a_type_checker_knows_bots_jobs_and_futures(workshop: Path) -> None:
    (workshop / "code" / "wrong.py").write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", "cache", "code/bots.py", "code/wrong.py", "script.py"],
        cwd=workshop,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    assert found == [
        ("code/wrong.py", "8", "arg-type"),
        ("code/wrong.py", "9", "attr-defined"),
        ("code/wrong.py", "12", "assignment"),
    ], done.stdout
