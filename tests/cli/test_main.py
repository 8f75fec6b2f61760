"""The command line as a whole: help, versions, exit codes, what it imports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest
from patience import PATIENCE
from uv import find_uv_bin

from factory_cdk.cli import COMMANDS
from factory_cdk.state.files import write_json
from factory_cdk.state.requests import ask
from factory_cdk.state.runner_spec import RunnerSpec, spec_as_json
from factory_cdk.state.stage_folder import stage_folder
from factory_cdk.version import __version__

REFERENCE = Path(__file__).parents[2] / "plans" / "reference" / "factory-plan.yml"
UV = [find_uv_bin(), "pip", "install", "--no-deps", "--python", sys.executable]
HEAVY = ("aws_cdk", "boto3", "botocore", "cfnlint", "rich", "jinja2", "packaging")


def factory_cdk(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factory_cdk", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=PATIENCE,
        check=False,
    )


def test_the_version_is_the_package_s() -> None:
    assert factory_cdk("--version").stdout == f"factory-cdk, version {__version__}\n"


@pytest.mark.slow
def test_help_lists_every_command_with_what_it_does() -> None:
    result = factory_cdk("--help")
    assert result.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w", result.stdout, re.MULTILINE), command


@pytest.mark.slow
@pytest.mark.parametrize("group", [(), ("jobs",)])
def test_no_line_of_a_list_of_commands_is_cut_off_in_80_columns(group: tuple[str, ...]) -> None:
    said = factory_cdk(*group, "--help", COLUMNS="80").stdout
    listed = said.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert len(listed) >= 8
    assert [line for line in listed if not re.fullmatch(r"  [a-z-]+ +[A-Z].*[.]", line) or "..." in line] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples(command: str) -> None:
    result = factory_cdk(command, "--help")
    assert result.returncode == 0
    assert f"factory-cdk {command}" in result.stdout.partition("Examples:")[2]


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("validate",), ("validate", "--plan"), ("synth", "--plan", "x"), ("validate", "--format", "xml")],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong_on_stderr(arguments: tuple[str, ...]) -> None:
    result = factory_cdk(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


def test_a_misspelled_command_is_answered_with_the_one_that_was_meant() -> None:
    assert "No such command 'sbumit'. Did you mean `submit`?" in factory_cdk("sbumit").stderr
    assert "No such command 'nonsense'.\n" in factory_cdk("nonsense").stderr


@pytest.mark.slow
def test_completion_knows_commands_options_and_what_is_built(tmp_path: Path) -> None:
    state = stage_folder(tmp_path, "works", "test")
    state.path.mkdir(parents=True)
    write_json(state.spec, spec_as_json(RunnerSpec("works", "test", (), ())))
    ask(state, gate="closed")

    def completed(line: str) -> list[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        done = subprocess.run(
            [Path(sys.executable).with_name("factory-cdk")],
            env={**os.environ, "_FACTORY_CDK_COMPLETE": "bash_complete", "FACTORY_CDK_HOME": str(tmp_path), **words},
            capture_output=True,
            text=True,
            check=True,
        )
        return [one.partition(",")[2] for one in done.stdout.splitlines()]

    assert completed("factory-cdk jo") == ["jobs"]
    assert completed("factory-cdk jobs list --out") == ["--outcome"]
    assert completed("factory-cdk jobs list --outcome de") == ["delayed", "dead"]
    assert completed("factory-cdk logs --name w") == ["works"]
    assert completed("factory-cdk logs --name works --stage ") == ["test"]
    assert "test" not in completed("factory-cdk logs --name other --stage ")


def test_an_error_names_its_remedy_and_has_no_traceback() -> None:
    result = factory_cdk("synth", "--plan", str(REFERENCE), "--stage", "tst")
    assert result.returncode == 1
    assert "unknown stage `tst`" in result.stderr
    assert "help: did you mean `test`?" in result.stderr
    assert "Traceback" not in result.stderr


def test_output_that_is_no_terminal_has_no_colour() -> None:
    result = factory_cdk("validate", "--plan", str(REFERENCE))
    assert "\x1b" not in result.stdout + result.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    command = f"{quote(sys.executable)} -m factory_cdk validate --plan {quote(str(REFERENCE))} | head -n 1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.stderr == ""
    assert "warning[F402]" in result.stdout


def test_validating_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from factory_cdk.plan.load import load_plan\n"
        "import factory_cdk.cli, factory_cdk.cli.commands.validate\n"
        f"load_plan({str(REFERENCE)!r})\n"
        "print(*(name for name in sys.modules if '.' not in name))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    # The reference plan has PyPI sources, whose names `packaging` checks.
    assert not set(result.stdout.split()) & (set(HEAVY) - {"packaging"})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_said_in_one_line() -> None:
    command = f"{quote(sys.executable)} -m factory_cdk validate --plan {quote(str(REFERENCE))} >/dev/full"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 1
    assert result.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_terminal_without_the_characters_gets_escapes_and_no_traceback(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text("factory:\n  name: a…b\n", encoding="utf-8")
    result = factory_cdk("validate", "--plan", str(plan), PYTHONIOENCODING="latin-1")
    assert result.returncode == 1
    assert "a\\u2026b" in result.stdout
    assert result.stderr == ""


@pytest.mark.slow
def test_the_demo_runs_a_factory_to_its_end_and_exits_0(tmp_path: Path) -> None:
    """The script itself, its set-up replaced by the environment that runs this test; needs a package index."""
    root = Path(__file__).parents[2]
    if subprocess.run(
        [*UV, "--dry-run", "packaging==21.3"], capture_output=True, timeout=PATIENCE, check=False
    ).returncode:
        pytest.skip("no package index answers")
    copy = tmp_path / "a checkout"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    script = (copy / "dev").read_text().replace("    set_up cdk\n", "")
    (copy / "dev").write_text(script.replace("bin=$PWD/$venv/bin", f"bin={quote(str(Path(sys.executable).parent))}"))
    result = subprocess.run([copy / "dev", "demo"], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"packaging": "21.3"' in result.stdout
    assert '"packaging": "25.0"' in result.stdout
    assert "my-factory-name-dev-eu-west-1" in result.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_no_file_of_ours(closed: str, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m factory_cdk ps {closed}'
    environ = {**os.environ, "FACTORY_CDK_HOME": str(tmp_path / "home")}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environ, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr


def test_python_that_throws_docstrings_away_is_refused_in_words() -> None:
    command = [sys.executable, "-OO", "-m", "factory_cdk", "validate", "--plan", "plan.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, ["  help: unset PYTHONOPTIMIZE, or set it to 1"])
