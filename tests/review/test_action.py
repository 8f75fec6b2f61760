"""The Action and the job of GitLab CI: their scripts run here, in bash, with git and a host's API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from comment_server import NUMBER, PROJECT, REPOSITORY, TOKEN, CommentServer, serving
from patience import PATIENCE

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
SCRIPTS = [name for name, step in STEPS.items() if "run" in step]
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab-review.yml").read_text(encoding="utf-8"))["factory-cdk-review"]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

PLAN = """factory:
  name: plant
  bots:
    reader:
      source:
        path: code
      bot_path: reader:read
  stages:
    prod:
      box:
        type: aws
        region_name: eu-west-2
        parameters:
          ImageId: ami-0242408af868aa11e
          InstanceType: t3.small
        bots:
          reader:
            processes: 1
    dev:
      desk:
        type: local
        bots:
          reader:
            processes: 1
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


class Checkout:
    """A repository at a host, its clone with the newest commit alone, and a runner's folders."""

    def __init__(self, folder: Path) -> None:
        self.origin = folder / "origin"
        self.folder = folder / "work with spaces"
        self.temporary = folder / "temp"
        self.summary = folder / "summary.md"
        self.origin.mkdir()
        git(self.origin, "init", "-q", "-b", "main")
        git(self.origin, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.write("factory-plan.yml", PLAN)
        self.write("code/reader.py", "def read(payload):\n    return payload\n")
        self.base = commit(self.origin, "A plan")

    def write(self, name: str, text: str) -> None:
        file = self.origin / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def change(self, old: str, new: str, plan: str = "factory-plan.yml") -> None:
        self.write(plan, PLAN.replace(old, new))
        commit(self.origin, "A change")

    def clone(self) -> None:
        git(self.origin.parent, "clone", "-q", "--depth=1", self.origin.as_uri(), str(self.folder))
        self.temporary.mkdir()
        (self.temporary / "factory-cdk").symlink_to(sys.prefix)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def server() -> Iterator[CommentServer]:
    with serving(CommentServer()) as state:
        yield state


def evaluated(text: str, known: Mapping[str, str]) -> str:
    """What GitHub makes of the expressions in a value: names, and `a || b`."""

    def value(found: re.Match[str]) -> str:
        return next(filter(None, (known[name.strip()] for name in found[1].split("||"))), "")

    return EXPRESSION.sub(value, text)


class Job:
    """Runs steps of the Action as GitHub's runner does: values by expressions into `env`, and bash as it calls it."""

    def __init__(self, checkout: Checkout, server: CommentServer, inputs: Mapping[str, str], base: str | None) -> None:
        self.checkout = checkout
        defaults = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
        assert set(inputs) <= set(defaults)
        self.known = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
        self.known["github.token"] = TOKEN
        self.known["github.action_path"] = str(ROOT)
        self.known["github.event.pull_request.base.sha"] = base or ""
        self.known["steps.artifact.outputs.artifact-url"] = (
            "https://github.com/plant/factory/actions/runs/1/artifacts/2"
        )
        event = checkout.temporary / "event.json"
        repo = {"repo": {"full_name": REPOSITORY}}
        event.write_text(json.dumps({"pull_request": {"number": NUMBER, "head": repo, "base": repo}}))
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "GITHUB_API_URL": server.url,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_STEP_SUMMARY": str(checkout.summary),
            "RUNNER_TEMP": str(checkout.temporary),
            "FACTORY_CDK_HOME": str(checkout.temporary / "home"),
            "no_proxy": "127.0.0.1",
        }

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step = STEPS[name]
        outputs = self.checkout.temporary / "outputs"
        outputs.write_text("")
        given = {key: evaluated(value, self.known) for key, value in step.get("env", {}).items()}
        script = self.checkout.temporary / "script.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.checkout.folder,
            env={**self.environment, **given, "GITHUB_OUTPUT": str(outputs)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        for line in outputs.read_text().splitlines():
            key, _, value = line.partition("=")
            self.known[f"steps.{step['id']}.outputs.{key}"] = value
        assert TOKEN not in done.stdout + done.stderr
        return done

    def runs(self, *names: str) -> list[int]:
        return [self.run(name).returncode for name in names]


REST = ("Review", "Comment", "Result")


def job(checkout: Checkout, server: CommentServer, base: str | None = None, **inputs: str) -> Job:
    given = {"plan": "factory-plan.yml", **{name.replace("_", "-"): value for name, value in inputs.items()}}
    return Job(checkout, server, given, base)


def test_a_pull_request_gets_a_comment_a_summary_and_annotations(checkout: Checkout, server: CommentServer) -> None:
    checkout.change("ami-0242408af868aa11e", "ami-09f1c02aa9bd47123")
    checkout.clone()
    here = job(checkout, server, checkout.base)
    done = here.run("Review")
    assert done.returncode == 0, done.stderr
    assert "::warning file=factory-plan.yml,line=" in done.stdout
    assert here.known["steps.review.outputs.differs"] == "true"
    report = Path(here.known["steps.review.outputs.report"]).read_text()
    assert "1 sector replaced" in report
    assert checkout.summary.read_text() == report
    assert json.loads(Path(here.known["steps.review.outputs.json"]).read_text())["differs"]
    assert here.runs("Comment", "Result") == [0, 0]
    assert server.bodies() == [report]
    assert here.runs(*REST) == [0, 0, 0]
    assert server.bodies() == [report]


def test_a_pull_request_that_changes_nothing_gets_no_comment(checkout: Checkout, server: CommentServer) -> None:
    checkout.write("README.md", "another file")
    commit(checkout.origin, "Another file")
    checkout.clone()
    here = job(checkout, server, checkout.base)
    assert here.runs(*REST) == [0, 0, 0]
    assert here.known["steps.review.outputs.differs"] == "false"
    assert server.bodies() == []


def test_what_is_in_fail_on_fails_the_job_after_the_comment(checkout: Checkout, server: CommentServer) -> None:
    checkout.change("ami-0242408af868aa11e", "ami-09f1c02aa9bd47123")
    checkout.clone()
    here = job(checkout, server, checkout.base, fail_on="replace,delete")
    review = here.run("Review")
    assert review.stderr.count("replace: stage prod") == 1
    assert "::error file=factory-plan.yml" in review.stdout
    assert here.runs("Comment", "Result") == [0, 1]
    assert "refused" in server.bodies()[0]


def test_some_stages_are_reviewed_and_have_a_comment_of_their_own(checkout: Checkout, server: CommentServer) -> None:
    checkout.change("t3.small", "t3.large")
    checkout.clone()
    assert job(checkout, server, checkout.base, stage="dev").runs(*REST) == [0, 0, 0]
    assert server.bodies() == []
    assert job(checkout, server, checkout.base, stage="prod dev").runs(*REST) == [0, 0, 0]
    (body,) = server.bodies()
    assert body.startswith("<!-- factory-cdk review: factory-plan.yml prod%20dev -->")


@pytest.mark.parametrize("against", ["main~1", "old", "HEAD"])
def test_it_compares_with_what_is_said(checkout: Checkout, server: CommentServer, against: str) -> None:
    git(checkout.origin, "branch", "old")
    checkout.change("t3.small", "t3.large")
    checkout.clone()
    if against == "main~1":
        git(checkout.folder, "fetch", "-q", "--unshallow")
    here = job(checkout, server, against=against)
    assert here.run("Review").returncode == 0
    assert here.known["steps.review.outputs.differs"] == str(against != "HEAD").lower()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"plan": "missing.yml"}, "missing.yml"),
        ({"stage": "nowhere"}, "nowhere"),
        ({"fail_on": "everything"}, "everything"),
        ({"against": "--upload-pack=touch pwned"}, ""),
        ({"against": "no-such-branch"}, "no-such-branch"),
    ],
)
def test_what_is_wrong_ends_the_job_with_a_reason(
    checkout: Checkout, server: CommentServer, inputs: dict[str, str], said: str
) -> None:
    checkout.clone()
    done = job(checkout, server, checkout.base, **inputs).run("Review")
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
    assert not list(checkout.folder.rglob("pwned"))
    without = job(checkout, server, None).run("Review")
    assert without.returncode == 1
    assert without.stdout.startswith("::error title=factory-cdk review::there is no pull request")


@pytest.mark.parametrize("text", ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '\"; touch pwned; \"", "-h", "*"])
def test_no_input_becomes_shell_code(checkout: Checkout, server: CommentServer, text: str) -> None:
    plan = f"x{text}.yml".replace("/", "")
    checkout.write(plan, PLAN)
    commit(checkout.origin, "A plan with a name of its own")
    checkout.clone()
    here = job(checkout, server, checkout.base, plan=plan, stage=text, fail_on=text, region=text, against=text)
    here.run("Review")
    here.known |= {f"steps.review.outputs.{key}": text for key in ("code", "differs", "report", "folder")}
    here.run("Comment")
    here.run("Result")
    hostile_plan = job(checkout, server, git(checkout.folder, "rev-parse", "HEAD"), plan=plan)
    assert hostile_plan.runs("Review", "Comment") == [0, 0]
    assert not list(checkout.folder.parent.rglob("pwned"))


def test_inputs_that_are_used_are_those_that_there_are() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])
    for one in ACTION["inputs"].values():
        assert one["description"]
        assert one.get("required") or "default" in one


def test_outputs_are_those_of_steps_that_come_before() -> None:
    used = set(re.findall(r"steps\.(\w+)\.outputs\.([\w-]+)", json.dumps(ACTION)))
    review = set(re.findall(r'echo "(\w+)=', STEPS["Review"]["run"]))
    assert {name for step, name in used if step == "review"} == review
    assert {step for step, _ in used} == {"review", "artifact"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_expression_is_in_a_script_and_every_variable_is_given(name: str) -> None:
    step = STEPS[name]
    assert "${{" not in step["run"]
    assert step["shell"] == "bash"
    given = {*step.get("env", {}), "RUNNER_TEMP", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}
    assert set(re.findall(r"\$\{?([A-Z_]+)", step["run"])) <= given


def shellcheck(script: str, shell: str, tmp_path: Path) -> str:
    file = tmp_path / "script.sh"
    file.write_text(script)
    program = Path(sys.executable).with_name("shellcheck")
    command = [str(program), f"--shell={shell}", "--severity=style", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_has_nothing_to_say_about_the_action(name: str, tmp_path: Path) -> None:
    assert shellcheck(STEPS[name]["run"], "bash", tmp_path) == ""


def test_shellcheck_has_nothing_to_say_about_gitlab_s_job(tmp_path: Path) -> None:
    (script,) = GITLAB["script"]
    assert shellcheck(script, "sh", tmp_path) == ""


def run_gitlab(checkout: Checkout, server: CommentServer, **variables: str) -> subprocess.CompletedProcess[str]:
    """The job's script as GitLab's runner runs it, but for the environment, which is ready."""
    (script,) = GITLAB["script"]
    lines = [line for line in script.split("\n") if " -m venv " not in line and " -m pip " not in line]
    assert len(lines) == len(script.split("\n")) - 2
    environment_here = checkout.folder / ".factory-cdk"
    if not environment_here.exists():
        environment_here.symlink_to(sys.prefix)
    environment: dict[str, Any] = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **GITLAB["variables"],
        "CI_API_V4_URL": f"{server.url}/api/v4",
        "CI_JOB_URL": "https://gitlab.example/plant/factory/-/jobs/1",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": checkout.base,
        "CI_MERGE_REQUEST_IID": str(NUMBER),
        "CI_MERGE_REQUEST_PROJECT_ID": PROJECT,
        "FACTORY_CDK_HOME": str(checkout.temporary / "home"),
        "GITLAB_TOKEN": TOKEN,
        "no_proxy": "127.0.0.1",
        **variables,
    }
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(lines)], cwd=checkout.folder, env=environment, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return done


def test_a_merge_request_of_gitlab_gets_a_note(checkout: Checkout, server: CommentServer) -> None:
    checkout.change("ami-0242408af868aa11e", "ami-09f1c02aa9bd47123")
    checkout.clone()
    done = run_gitlab(checkout, server)
    assert done.returncode == 0, done.stderr
    assert "-/+ replaced" in done.stdout
    assert server.bodies() == [(checkout.folder / "factory-cdk-review.md").read_text()]
    refused = run_gitlab(checkout, server, FACTORY_FAIL_ON="replace", FACTORY_STAGE="prod dev")
    assert refused.returncode == 1
    assert len(server.bodies()) == 2
    assert set(GITLAB["artifacts"]["paths"]) <= {file.name for file in checkout.folder.iterdir()}


def test_a_merge_request_of_gitlab_that_changes_nothing_gets_no_note(checkout: Checkout, server: CommentServer) -> None:
    checkout.clone()
    assert run_gitlab(checkout, server).returncode == 0
    assert server.bodies() == []


def test_no_variable_of_gitlab_becomes_shell_code(checkout: Checkout, server: CommentServer) -> None:
    checkout.clone()
    for name in GITLAB["variables"]:
        done = run_gitlab(checkout, server, **{name: "$(touch pwned)`touch pwned`; touch pwned"})
        assert done.returncode != 0 or name == "FACTORY_VERSION"
    assert not list(checkout.folder.rglob("pwned"))


@pytest.mark.slow
def test_the_action_installs_itself(checkout: Checkout, server: CommentServer) -> None:
    checkout.clone()
    (checkout.temporary / "factory-cdk").unlink()
    here = job(checkout, server, checkout.base)
    here.environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    here.environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = here.run("Install factory_cdk")
    assert done.returncode == 0, done.stderr
    assert here.runs(*REST) == [0, 0, 0]
