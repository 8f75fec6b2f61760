"""Every diagnostic is explained, every example causes its code, and no fix does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from factory_cdk.codes import CODES
from factory_cdk.compile import compile_at_hand
from factory_cdk.diagnostics import Diagnostic, PlanError
from factory_cdk.explain.explanations import Explanation, explanations
from factory_cdk.lint.linting import CHECKS, lint_stage
from factory_cdk.lint.literals import check_literals
from factory_cdk.plan.ignores import silenced
from factory_cdk.plan.load import load_plan

NO_EXAMPLE = {
    "F601": "no plan causes it, only larger bootstrap scripts do (tests/design/test_limits.py)",
}

BY_ENGINES = ("F720", "F721")

BASE = """\
factory:
  name: example
  bots:
    reader: {source: {path: bots/reader}, bot_path: reader:read}
  stages:
    test:
      desk: {type: local, bots: {reader: }}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a valid plan and its bots, on a machine without a default region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    for bot in ("reader", "solver"):
        (tmp_path / "bots" / bot).mkdir(parents=True)
        (tmp_path / "bots" / bot / f"{bot}.py").write_text("def read(job): ...\n", encoding="utf-8")
    (tmp_path / "factory-plan.yml").write_text(BASE, encoding="utf-8")
    return tmp_path


def found_in(text: str, folder: Path, *, engines: bool = False) -> dict[str, str]:
    """What validating, designing and linting every stage of a plan finds: codes and messages.

    CDK's validation and cfn-lint take seconds and run only with `engines`.
    """
    file = folder / "example.yml"
    file.write_text(text, encoding="utf-8")
    loaded = load_plan(file)
    found: list[tuple[str, str]] = [
        (one.code, one.message) for one in silenced(loaded.diagnostics, loaded.text, loaded.file)
    ]
    for stage in loaded.plan.stages if loaded.plan else ():
        try:
            design = compile_at_hand(loaded.plan, stage, cache=folder / "cache")  # type: ignore[arg-type]
        except PlanError as error:
            found += told(error.diagnostics)
            continue
        found += told(design.diagnostics)
        if engines:
            found += told(lint_stage(loaded, design))
        else:
            found += [(one.code, one.message) for check in CHECKS for one in check(design)]
            found += [(one.code, one.message) for one in check_literals(yaml.safe_load(text))]
    return dict(found)


def told(found: tuple[Diagnostic, ...]) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in found]


def examples(kind: str) -> list[Explanation]:
    return [one for one in explanations().values() if one.example is not None and one.example.kind == kind]


def name(explanation: Explanation) -> str:
    return explanation.code.code


def test_every_code_is_explained_once_and_nothing_else_is() -> None:
    assert list(explanations()) == list(CODES)


def test_every_code_has_an_example_but_those_that_no_plan_causes() -> None:
    assert {code for code, one in explanations().items() if one.example is None} == set(NO_EXAMPLE)


def test_every_line_of_an_example_says_whether_it_is_wrong_or_fixed_or_both() -> None:
    for explanation in explanations().values():
        for line in explanation.example.diff.splitlines() if explanation.example else ():
            assert line[:2] in ("- ", "+ ", "  "), f"{name(explanation)}: {line!r}"
            assert len(line) <= 120, f"{name(explanation)}: {line!r}"


@pytest.mark.slow
def test_what_cdk_and_cfn_lint_say_is_caused_by_the_plans_of_their_examples(folder: Path) -> None:
    shown = [explanations()[code].example for code in BY_ENGINES]
    (fixed,) = {example.fixed for example in shown if example is not None}  # one run less: each takes seconds
    after = found_in(fixed, folder, engines=True)
    for code, example in zip(BY_ENGINES, shown, strict=True):
        assert example is not None
        assert code in found_in(example.wrong, folder, engines=True)
        assert code not in after


@pytest.mark.parametrize("explanation", [one for one in examples("plan") if name(one) not in BY_ENGINES], ids=name)
def test_the_plan_of_an_example_causes_its_code_and_its_fix_does_not(explanation: Explanation, folder: Path) -> None:
    code, example = name(explanation), explanation.example
    assert example is not None
    before, after = (found_in(text, folder) for text in (example.wrong, example.fixed))
    assert code in before, before
    assert code not in after, after
    refused = {found for found in after if CODES[found].severity == "error"}
    assert not refused, f"the fix is refused: {after}"


@pytest.mark.parametrize("explanation", examples("commands"), ids=name)
def test_the_commands_of_an_example_cause_its_code_and_its_fix_does_not(explanation: Explanation, folder: Path) -> None:
    code, example = name(explanation), explanation.example
    assert example is not None
    before, after = (run(text, folder) for text in (example.wrong, example.fixed))
    assert before.returncode == 1
    assert f"[{code}]" in before.stdout + before.stderr
    assert after.returncode == 0, after.stdout + after.stderr
    assert f"[{code}]" not in after.stdout + after.stderr


def run(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of an example, lines that start with `$`."""
    script = "\n".join(line.removeprefix("$ ") for line in commands.splitlines())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def plan_of(stages: str, bots: int, *, config: str = "", feeds: str = "") -> str:
    """A plan with so many bots; `stages`, `config` and workflows (`feeds`) are YAML."""
    named = "".join(
        f"    bot_{n}: {{source: {{path: bots/reader}}, bot_path: 'reader:read'{feeds}}}\n" for n in range(bots)
    )
    return f"factory:\n  name: example\n{config}  bots:\n{named}  stages:\n    prod:\n{stages}"


def box(number: int, bots: range) -> str:
    """An aws sector with some of the bots of a plan."""
    named = "".join(f"          bot_{n}:\n" for n in bots)
    return (
        f"      box{number}:\n        type: aws\n        region_name: eu-west-2\n"
        "        parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro}\n"
        f"        bots:\n{named}"
    )


def boxes(sizes: list[int]) -> str:
    """Sectors with so many bots each, all different ones."""
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return "".join(
        box(n, range(start, start + size)) for n, (start, size) in enumerate(zip(starts, sizes, strict=True))
    )


def config(characters: int) -> str:
    return f"  config: {{TABLE: '{'x ' * (characters // 2)}'}}\n"


SKETCHES: dict[str, tuple[Callable[[], str], Callable[[], str]]] = {
    "F602": (
        lambda: plan_of(boxes([550]), 550, feeds=", config: {A: 1}"),
        lambda: plan_of(boxes([20] * 5), 100, feeds=", config: {A: 1}"),
    ),
    "F603": (lambda: plan_of(boxes([200]), 200), lambda: plan_of(boxes([20] * 10), 200)),
    "F604": (
        lambda: plan_of(boxes([1]), 1, config=config(500_000)),
        lambda: plan_of(boxes([1]), 1, config="  config: {TABLE: tables/2026.csv}\n"),
    ),
    "F605": (lambda: plan_of(boxes([1] * 100), 100), lambda: plan_of(boxes([1] * 100), 100)),
    "F606": (
        lambda: plan_of(boxes([1] * 350), 350, config=config(500_000)),
        lambda: plan_of(boxes([1] * 350), 350, feeds=", config: {TABLE: tables/2026.csv}"),
    ),
}
"""What the sketches stand for, in full: a plan that is too large and one that is not."""


def test_every_sketch_stands_for_something_that_is_proved_here() -> None:
    assert [name(one) for one in examples("sketch")] == list(SKETCHES)


@pytest.mark.slow
@pytest.mark.parametrize("code", SKETCHES)
def test_what_a_sketch_stands_for_causes_its_code_and_its_fix_does_not(code: str, folder: Path) -> None:
    wrong, fixed = SKETCHES[code]
    assert code in found_in(wrong(), folder)
    if code == "F605":  # the plan stays the same: a lock fixes it
        (folder / "example.yml").write_text(fixed(), encoding="utf-8")
        lock = subprocess.run(
            [sys.executable, "-m", "factory_cdk", "lock", "--plan", "example.yml"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert lock.returncode == 0, lock.stdout + lock.stderr
    assert code not in found_in(fixed(), folder)
