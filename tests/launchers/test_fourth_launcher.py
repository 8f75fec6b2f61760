"""A launcher of somebody else: registered here, it is validated, built and run without a change of any file of ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from local_works import QUICK, Works, bot

from factory_cdk.compile import compile_packed
from factory_cdk.diagnostics import Diagnostic, FactoryError
from factory_cdk.home import make_private
from factory_cdk.launchers import LAUNCHERS, register
from factory_cdk.launchers.base import FACTORY_QUEUES, ProcessEnvironment, Refusal, Start
from factory_cdk.lifecycle.local.build import BuildOptions, build
from factory_cdk.plan.load import load_plan
from factory_cdk.plan.model import BotArguments
from factory_cdk.plan.schema.json_schema import json_schema
from factory_cdk.release import BotRelease

ENGINE = """
import json, os, sys

payload = json.load(sys.stdin)
print(f"the engine runs {sys.argv[1:]}", file=sys.stderr, flush=True)
json.dump([sys.argv[1:], payload, os.environ["IMAGE_STORE"], os.environ["MOOD"]], sys.stdout)
"""
"""A stand-in for what runs containers: what it was told is its result."""

PLAN = """
factory:
  name: works
  bots:
    cut: {source: {path: code}, bot_path: "bots:cut"}
    boxed: {source: {path: code}, command: [solve, --fast], config: {MOOD: calm}}
    last: {source: {path: code}, bot_path: "bots:last"}
  workflows:
    flow: {cut: {boxed: last}}
  stages:
    test:
      workflow: flow
      here:
        type: local
        bots:
          cut:
          boxed: {launcher: container, processes: 2, meta: {image: solver}}
          last:
"""


class ContainerLauncher:
    """Runs a program in a container for every job, by an engine that needs nothing of the bot's environment."""

    name = "container"
    transport = FACTORY_QUEUES
    idle_arguments = ("python", "skip-ini")
    idle_hint = "remove it: the image has its own"

    def __init__(self, engine: Path) -> None:
        self.engine = engine

    def validate(self, bot_path: str | None, command: tuple[str, ...] | None) -> Refusal | None:
        return None if command else Refusal("has `launcher: container` and no `command`", "name the program to run")

    def environment(self, bot: BotRelease, installed: ProcessEnvironment) -> ProcessEnvironment:
        variables = {**installed.variables, "IMAGE_STORE": "/images"}
        return replace(installed, python=sys.executable, roots=(), bins=(), variables=variables)

    def command(self, bot: BotRelease) -> Start:
        image = str(bot.arguments.meta["image"])
        return Start("command", (sys.executable, str(self.engine), "run", image, *(bot.command or ())))

    def processes(self, arguments: BotArguments) -> int:
        return arguments.processes + 1


class ElsewhereLauncher(ContainerLauncher):
    """One whose jobs are neither ours nor qalx's."""

    name = "elsewhere"
    transport = "elsewhere"


@pytest.fixture
def container(tmp_path: Path) -> Iterator[ContainerLauncher]:
    engine = tmp_path / "engine.py"
    engine.write_text(ENGINE)
    ours = ContainerLauncher(engine)
    register(ours)
    register(ElsewhereLauncher(engine))
    yield ours
    for name in ("container", "elsewhere"):
        LAUNCHERS.pop(name, None)


def found(works: Works, text: str) -> tuple[Diagnostic, ...]:
    plan = works.code.parent / "factory-plan.yml"
    plan.write_text(text)
    return load_plan(plan).diagnostics


@pytest.mark.slow
def test_its_bots_are_built_and_jobs_pass_through_them(works: Works, container: ContainerLauncher) -> None:
    works.write(
        "bots.py", "def cut(text):\n    return text.split()\n\ndef last(result):\n    return ['last', result]\n"
    )
    file = works.code.parent / "factory-plan.yml"
    file.write_text(PLAN)
    loaded = load_plan(file)
    assert loaded.plan is not None, loaded.diagnostics
    make_private(works.home)
    design = compile_packed(loaded.plan, "test", cache=works.home / "cache" / "pack")
    build(design, BuildOptions(works.home, timings=QUICK), works.said.append)
    records = {record.job.bot: record.result for record in works.run("cut", "a b")}
    told = [["run", "solver", "solve", "--fast"], ["a", "b"], "/images", "calm"]
    assert records == {"cut": ["a", "b"], "boxed": told, "last": ["last", told]}
    assert "starting 5 processes" in works.said, "one more than the plan says, as the launcher wants"
    log = "".join(path.read_text() for path in works.folder().logs.glob("*") if path.is_file())
    assert "the engine runs" in log


def test_a_plan_may_name_it_as_long_as_it_is_registered(works: Works, container: ContainerLauncher) -> None:
    assert found(works, PLAN) == ()
    assert '"container"' in json.dumps(json_schema())
    del LAUNCHERS["container"]
    (refused,) = found(works, PLAN)
    assert refused.message.startswith("`launcher` of `boxed` must be `python` or `command`")
    assert refused.message.endswith("not the text `container`")


def test_what_it_refuses_and_what_has_no_effect_is_told_when_the_plan_is_validated(
    works: Works, container: ContainerLauncher
) -> None:
    (refused,) = found(works, PLAN.replace("command: [solve, --fast]", 'bot_path: "bots:boxed"'))
    assert (refused.code, refused.line, refused.hint) == ("F313", 17, "name the program to run")
    assert refused.message == "`boxed` has `launcher: container` and no `command`"
    (idle,) = found(works, PLAN.replace("processes: 2", "python: '3.12'"))
    assert (idle.code, idle.hint) == ("F312", "remove it: the image has its own")


def test_jobs_do_not_pass_to_one_that_gets_its_jobs_elsewhere(works: Works, container: ContainerLauncher) -> None:
    text = PLAN.replace("launcher: container", "launcher: elsewhere")
    assert [(one.code, one.line) for one in found(works, text)] == [("F314", 16), ("F314", 17)]


def test_a_name_is_registered_once(container: ContainerLauncher) -> None:
    with pytest.raises(ValueError, match="there is a launcher container already"):
        register(container)


def test_a_stage_that_no_plan_was_read_for_is_refused_by_its_launchers_too(
    works: Works, container: ContainerLauncher
) -> None:
    works.write("bots.py", "def run(payload):\n    return payload\n")
    with pytest.raises(FactoryError, match="bot box has `launcher: container` and no `command`"):
        works.build(bot("box", "bots:run", launcher="container"))
    with pytest.raises(FactoryError, match="there is no launcher unheard-of"):
        works.build(bot("box", "bots:run", launcher="unheard-of"))
