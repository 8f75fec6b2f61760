"""`factory-cdk validate` as a process: what it prints where, in every format, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from terminal import on_terminal

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "plans" / "reference" / "factory-plan.yml"
VALIDATE = [sys.executable, "-m", "factory_cdk", "validate"]
QUIET_ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "NO_COLOR"))}

GOOD = """\
factory:
  name: demo
  bots: {first: {source: {path: .}, bot_path: 'works:first'}}
  stages:
    test: {here: {type: local, bots: {first: }}}
"""
WARNED = GOOD.replace("path: .", "path: nowhere")
REFUSED = WARNED.replace("name: demo", "name: 1demo")
AWS = GOOD.replace("type: local,", "type: aws, parameters: {ImageId: ami-0123456789abcdef0, InstanceType: t3.micro},")


def validate(plan: str | Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**QUIET_ENVIRONMENT, "AWS_EC2_METADATA_DISABLED": "true", **options.pop("env", {})}
    return subprocess.run(
        [*VALIDATE, "--plan", str(plan), *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=PATIENCE,
        check=False,
        **options,
    )


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.yml"


def test_a_good_plan_is_valid_and_says_so(plan: Path) -> None:
    plan.write_text(GOOD)
    done = validate(plan)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{plan}: valid, no problems\n", "")


def test_text_shows_the_line_with_a_caret_and_what_to_do(plan: Path) -> None:
    plan.write_text(REFUSED)
    done = validate("plan.yml", cwd=plan.parent)
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout == (
        "plan.yml:2:9: error[F106]: "
        "invalid factory name `1demo`: it must be a letter, then up to 39 letters, digits, `_` or `-`\n"
        " 2 |   name: 1demo\n"
        "   |         ^\n"
        "   help: for example `demo`\n"
        "plan.yml:3:33: warning[F403]: source folder of `first` not found: nowhere\n"
        " 3 |   bots: {first: {source: {path: nowhere}, bot_path: 'works:first'}}\n"
        "   |                                 ^\n"
        "   help: relative paths are relative to the plan's folder; packing and building this bot will fail\n"
        "plan.yml: refused, 1 error, 1 warning\n"
    )


@pytest.mark.slow
def test_json_says_all_on_stdout_also_when_the_plan_is_refused(plan: Path) -> None:
    plan.write_text(REFUSED)
    done = validate(plan, "--format", "json")
    assert (done.returncode, done.stderr) == (1, "")
    said = json.loads(done.stdout)
    assert (said["plan"], said["valid"]) == (str(plan), False)
    error, warning = said["diagnostics"]
    assert error == {
        "code": "F106",
        "severity": "error",
        "message": "invalid factory name `1demo`: it must be a letter, then up to 39 letters, digits, `_` or `-`",
        "hint": "for example `demo`",
        "file": str(plan),
        "line": 2,
        "column": 9,
    }
    assert (warning["code"], warning["severity"], warning["line"]) == ("F403", "warning", 3)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "\x00"])
def test_json_is_whole_whatever_the_file_holds(text: str, plan: Path) -> None:
    plan.write_text(text)
    done = validate(plan, "--format", "json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["valid"], len(said["diagnostics"]) > 0) == (1, False, True)


def test_json_of_a_good_plan_is_valid_without_diagnostics(plan: Path) -> None:
    plan.write_text(GOOD)
    done = validate(plan, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"plan": str(plan), "valid": True, "diagnostics": []})


def test_github_gets_workflow_commands_at_the_lines(tmp_path: Path) -> None:
    folder = tmp_path / "a, b: 100%"
    folder.mkdir()
    (folder / "plan.yml").write_text(REFUSED)
    done = validate("a, b: 100%/plan.yml", "--format", "github", cwd=tmp_path)
    assert done.returncode == 1
    error, warning = done.stdout.splitlines()
    file = "file=a%2C b%3A 100%25/plan.yml"
    assert error.startswith(
        f"::error {file},line=2,col=9,title=F106::invalid factory name `1demo`: it must be a letter"
    )
    assert warning.startswith(f"::warning {file},line=3,col=33,title=F403::source folder of `first`")


@pytest.mark.slow
def test_strict_refuses_warnings_and_says_why(plan: Path) -> None:
    plan.write_text(WARNED)
    assert validate(plan).returncode == 0
    done = validate(plan, "--strict")
    assert done.returncode == 1
    assert done.stdout.endswith("plan.yml: refused, 1 warning (--strict refuses warnings)\n")
    assert json.loads(validate(plan, "--strict", "--format", "json").stdout)["valid"] is False


@pytest.mark.slow
def test_quiet_prints_errors_only(plan: Path) -> None:
    plan.write_text(WARNED)
    assert validate(plan, "-q").stdout == ""
    assert "F403" in validate(plan, "-q", "--strict").stdout
    plan.write_text(REFUSED)
    quiet = validate(plan, "--quiet").stdout
    assert "F106" in quiet and "F403" not in quiet and "refused" not in quiet


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["my plan.yml", "плян é.yml", "-plan.yml", "a'b\"c$(id).yml", "plan\u202e.yml", "a\x1bb.yml"]
)
def test_a_file_may_have_any_name_and_none_reaches_the_terminal_unescaped(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(REFUSED)
    for format_ in ("text", "github"):
        done = validate(f"./{name}", "--format", format_, cwd=tmp_path)
        assert done.returncode == 1 and "F106" in done.stdout
        assert all(line.isprintable() for line in done.stdout.splitlines())
    said = validate(f"./{name}", "--format", "json", cwd=tmp_path).stdout
    assert json.loads(said)["plan"] == f"./{name}"
    assert all(line.isprintable() for line in said.splitlines())


@pytest.mark.slow
def test_a_file_name_that_is_no_utf_8_is_shown_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"plan-\xe9.yml")
    (tmp_path / name).write_text(REFUSED)
    assert "plan-\\udce9.yml:2:9: error[F106]" in validate(name, cwd=tmp_path).stdout
    assert json.loads(validate(name, "--format", "json", cwd=tmp_path).stdout)["plan"] == name


def test_a_plan_may_come_through_a_pipe() -> None:
    done = validate("/dev/stdin", input=REFUSED.replace("path: nowhere", "path: ."))
    assert done.returncode == 1
    assert done.stdout.startswith("/dev/stdin:2:9: error[F106]")


@pytest.mark.parametrize(
    ("make", "code"), [(lambda path: None, "F001"), (lambda path: path.mkdir(), "F003")], ids=["missing", "a folder"]
)
def test_a_file_that_is_none_is_refused_without_a_line_to_show(make: Any, code: str, plan: Path) -> None:
    make(plan)
    done = validate(plan)
    assert done.returncode == 1
    first, help_, verdict = done.stdout.splitlines()
    assert first.startswith(f"{plan}:1:1: error[{code}]: ") and help_.startswith("   help: ")
    assert verdict == f"{plan}: refused, 1 error"


HOSTILE = GOOD.replace("name: demo", 'name: "\\e[2J\\e]0;owned\\a\\u202e"').replace(
    "bots: {first: {s", 'meta: {"\\x9b31m": .inf, "\\e[31m": ~}\n  bots: {first: {s'
)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["text", "github", "json"])
def test_terminal_escapes_in_a_plan_do_not_reach_the_terminal(format_: str, plan: Path) -> None:
    plan.write_text(HOSTILE)
    done = validate(plan, "--format", format_)
    assert "F106" in done.stdout and done.returncode == 1
    assert all(line.isprintable() for line in done.stdout.splitlines())


@pytest.mark.slow
def test_a_secret_in_a_plan_is_not_printed(plan: Path) -> None:
    plan.write_text(
        "factory:\n  name: 1demo\n  secrets: {TOKEN: hunter2}\n  bots:\n    first:\n"
        "      source: {url: 'https://me:hunter2@host/r'}\n      bot_path: works\n"
        "      secrets: [hunter2 two]\n      config: {A: b}\n"
        "  stages:\n    test:\n      secrets: hunter2\n"
        "      here: {type: local, bots: {first: {secrets: {A: {value: hunter2}}}}}\n"
    )
    for format_ in ("text", "github", "json"):
        done = validate(plan, "--format", format_)
        assert done.returncode == 1
        assert "hunter2" not in done.stdout + done.stderr
    shown = validate(plan).stdout
    assert "may hold a secret" in shown and "name: 1demo" in shown
    assert {"F109", "F218", "F106", "F215"} <= set(re.findall(r"\[(F\d+)\]", shown))


def caret(plan: Path) -> tuple[str, int, int]:
    """The first excerpt that validate shows, the terminal column of its caret, and of the character 1 in it."""
    lines = validate(plan).stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.strip().endswith("^"))

    def cells(text: str) -> int:
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
        return len(text) + wide - sum(unicodedata.category(character) == "Mn" for character in text)

    return lines[at - 1], cells(lines[at].partition("^")[0]), cells(lines[at - 1].partition("1")[0])


@pytest.mark.parametrize(
    "before",
    ["'é': x, ", "'日本語': x, ", "'e\u0301': x, ", '"a\\tb": x, ', "'a\tb': x,\t", "'\u200bx': y, ", "'🤖': x, "],
)
def test_the_caret_stands_under_what_is_meant(before: str, plan: Path) -> None:
    plan.write_text(GOOD.replace("name: demo", f"name: demo\n  meta: {{{before}1: y}}").replace("3:", "4:"))
    line, at, number = caret(plan)
    assert line.startswith(" 3 | ")
    assert at == number


def test_a_very_long_line_is_shown_around_the_caret(plan: Path) -> None:
    many = ", ".join(f"k{number}x: y" for number in range(5000))
    plan.write_text(GOOD.replace("name: demo", f"name: demo\n  meta: {{{many}, 1: z}}"))
    line, at, _ = caret(plan)
    assert len(line) < 220 and line.startswith(" 3 | …")
    assert line[at:].startswith("1: z")


def test_output_that_is_no_terminal_has_no_colour_and_is_not_wrapped(plan: Path) -> None:
    plan.write_text(REFUSED)
    done = validate(plan, env={"COLUMNS": "20", "TERM": "xterm-256color"})
    assert "\x1b" not in done.stdout
    assert "source folder of `first` not found: nowhere" in done.stdout


def on_a_terminal(plan: Path, **environment: str) -> str:
    """What validate prints to a terminal."""
    env = {**QUIET_ENVIRONMENT, "TERM": "xterm-256color", **environment}
    return on_terminal([*VALIDATE, "--plan", str(plan)], code=1, env=env)


@pytest.mark.slow
def test_a_terminal_gets_colour_unless_no_color_is_set(plan: Path) -> None:
    plan.write_text(REFUSED)
    assert "\x1b[" in on_a_terminal(plan)
    assert "\x1b" not in on_a_terminal(plan, NO_COLOR="1")


@pytest.mark.slow
def test_a_stage_is_checked_against_what_aws_takes(plan: Path) -> None:
    plan.write_text(AWS)
    assert validate(plan).returncode == 0
    done = validate(plan, "--stage", "test")
    assert done.returncode == 1
    assert "plan.yml:5:12: error[F512]: the aws sector `here` has no region" in done.stdout
    assert validate(plan, "--stage", "test", "--region", "eu-west-2").returncode == 0
    assert validate(plan, "--stage", "test", env={"AWS_REGION": "eu-west-2"}).returncode == 0
    assert validate(plan, "--stage", "test", env={"AWS_DEFAULT_REGION": "eu-west-2"}).returncode == 0


@pytest.mark.slow
def test_warnings_of_other_stages_are_not_told_of_a_stage_nor_refuse_it(plan: Path) -> None:
    bots = "first: {source: {path: .}, bot_path: 'works:first'}"
    second = f"{bots}, second: {{source: {{path: .}}, bot_path: 'works:second'}}"
    busy = "{here: {type: local, bots: {first: , second: }}}\n    quiet: {there: {type: local, bots: {first: }}}"
    plan.write_text(GOOD.replace(bots, second).replace("{here: {type: local, bots: {first: }}}", busy))
    assert "the stage `test` has 2 bots" in validate(plan, "--strict").stdout
    assert "the stage `test` has 2 bots" in validate(plan, "--stage", "test").stdout
    done = validate(plan, "--stage", "quiet", "--strict")
    assert (done.returncode, "F309" in done.stdout) == (0, False), done.stdout


def test_an_unknown_stage_is_a_diagnostic_in_json_too(plan: Path) -> None:
    plan.write_text(GOOD)
    done = validate(plan, "--stage", "tset", "--format", "json")
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert (found["code"], found["line"], found["hint"]) == ("F113", 4, "did you mean `test`?")


def test_a_region_that_does_not_exist_is_an_error_with_a_remedy(plan: Path) -> None:
    plan.write_text(AWS)
    done = validate(plan, "--stage", "test", "--region", "eu-west-22")
    assert done.returncode == 1
    assert "error: unknown default region `eu-west-22`" in done.stderr and "did you mean `eu-west-2`?" in done.stderr


@pytest.mark.slow
def test_the_reference_plan_is_valid_on_every_stage() -> None:
    for stage, count in (("test", 7), ("dev", 19), ("prod", 10)):
        done = validate(REFERENCE, "--stage", stage, "--region", "eu-west-2", "--format", "json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["valid"], len(said["diagnostics"])) == (0, True, count)


def test_it_needs_neither_network_nor_credentials_nor_a_home(tmp_path: Path) -> None:
    environment = {"PATH": "/nonexistent", "HOME": str(tmp_path / "none")}
    done = subprocess.run(
        [*VALIDATE, "--plan", str(REFERENCE)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_early_gets_no_traceback(plan: Path) -> None:
    plan.write_text(GOOD.replace("name: demo", "name: demo\n" + "".join(f"  k{i}: 1\n" for i in range(3000))))
    process = subprocess.Popen([*VALIDATE, "--plan", str(plan)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(PATIENCE) == 1
    process.stderr.close()
