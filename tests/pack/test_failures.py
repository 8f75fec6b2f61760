"""What goes wrong in uv and git is told by its kind, never by a word in a name, and all that they printed is kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pack_sources import BOT, at_path, bot, pack_one, plan_of, refusal, wheel, write_files
from uv_says import BUILD, BUILDS, GIT, UV, build_says

from factory_cdk.pack import pack
from factory_cdk.pack.command import Output
from factory_cdk.pack.failures import (
    MOST_LOGS,
    git_failure,
    kind_of_git_failure,
    kind_of_uv_error,
    read_uv_error,
    uv_failure,
)


@pytest.mark.parametrize(("said", "kind", "remedy"), UV, ids=[f"{kind}-{at}" for at, (_, kind, _) in enumerate(UV)])
def test_the_kind_of_a_failure_of_uv_is_read_from_its_sentences(said: str, kind: str, remedy: str) -> None:
    found, what_to_do = kind_of_uv_error(read_uv_error(said))
    assert found == kind
    assert remedy in what_to_do
    assert not re.search(r"[{}]", what_to_do)


@pytest.mark.parametrize(
    ("kind", "remedy", "printed"), BUILDS, ids=[f"{kind}-{at}" for at, (kind, _, _) in enumerate(BUILDS)]
)
def test_a_build_that_fails_names_what_is_missing_where_it_runs(kind: str, remedy: str, printed: str) -> None:
    found, what_to_do = kind_of_uv_error(read_uv_error(build_says(printed)))
    assert found == kind
    assert remedy in what_to_do
    assert not re.search(r"[{}]", what_to_do)


def test_of_a_package_of_an_index_another_version_may_help() -> None:
    said = build_says("error: can't find Rust compiler\n", "cryptography==3.4")
    assert kind_of_uv_error(read_uv_error(said))[1].endswith("or require a version of cryptography that has a wheel")


@pytest.mark.parametrize(("said", "kind"), GIT)
def test_the_kind_of_a_failure_of_git_is_read_from_its_sentences(said: str, kind: str) -> None:
    found, what_to_do = kind_of_git_failure(said.splitlines(), "https://h.io/x.git")
    assert found == kind
    assert not re.search(r"[{}]", what_to_do)


def test_the_parts_of_an_error_are_told_apart() -> None:
    error = read_uv_error(f"warning: something\n{BUILD}")
    assert error.error == "Failed to build `pyyaml==5.4.1`"
    assert [cause.partition(" ")[0] for cause in error.causes] == ["The", "Call"]
    assert error.package == "pyyaml==5.4.1"
    assert error.printed[-1] == "AttributeError: 'build_ext' object has no attribute 'cython_sources'"
    assert error.hints == ("Build failures usually indicate a problem with the package or the build environment",)


def test_the_head_stays_in_the_message_and_all_of_it_in_a_file(tmp_path: Path) -> None:
    noise = "".join(f"         line {number}\n" for number in range(500))
    said = BUILD.replace("         running egg_info\n", noise)
    error = uv_failure(Output(1, b"", said), "the environment of bot one cannot be made", tmp_path / "logs")
    for part in ("bot one", "pyyaml==5.4.1", "cython_sources", "more lines"):
        assert part in error.message
    assert "line 250" not in error.message
    named = re.search(r"all that uv printed is in (\S+)", error.message)
    assert named
    assert said in Path(named[1]).read_text("utf-8")
    assert Path(named[1]).stat().st_mode & 0o077 == 0


def test_logs_do_not_grow_without_end(tmp_path: Path) -> None:
    for number in range(MOST_LOGS + 20):
        git_failure(Output(128, b"", "fatal: no"), f"cloning {number}", "https://h.io/x", tmp_path)
    assert len(list(tmp_path.iterdir())) == MOST_LOGS


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    error = uv_failure(Output(2, b"", "error: no"), "it", tmp_path / "logs")
    assert "could not be kept" in error.message


@pytest.mark.parametrize("name", ["networkx", "dnspython", "requests-401", "python-requires"])
def test_a_package_that_is_not_there_is_not_blamed_on_the_network(
    name: str, tmp_path: Path, env: dict[str, str]
) -> None:
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": f"{name}==99\n"})
    said = refusal(pack_one(tmp_path, bot(at_path(code)), env))
    assert f"check the name {name}" in said
    assert "check the network" not in said
    assert "credentials" not in said
    assert str(tmp_path / "cache" / "logs") in said


def test_a_package_for_a_newer_python_is_told_with_the_python_that_it_needs(
    index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(index, "networkx", "3.2", requires_python=">=3.9")
    code = write_files(tmp_path / "code", {**BOT, "requirements.txt": "networkx==3.2\n"})
    one = bot(at_path(code))
    packed = pack(plan_of(tmp_path, one, python="3.8"), [one], cache=tmp_path / "cache", env=env).bots[0]
    assert "networkx==3.2 needs Python >=3.9" in refusal(packed)


def test_a_project_whose_toolchain_is_missing_is_told_which(tmp_path: Path, env: dict[str, str]) -> None:
    backend = "import subprocess\ndef get_requires_for_build_wheel(config_settings=None):\n    subprocess.check_call(["
    project = "[build-system]\nrequires=[]\nbuild-backend='backend'\nbackend-path=['.']\n[project]\nname='b'\n"
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(str(shutil.which("git")))
    for program, remedy in (("cargo", "needs Rust"), ("cmake", "needs CMake"), ("gcc", "a compiler (gcc)")):
        files = {
            "backend.py": f"{backend}{program!r}])\n",
            "pyproject.toml": f"{project}dynamic=['version','dependencies']\n",
        }
        code = write_files(tmp_path / program, {**BOT, **files})
        assert remedy in refusal(pack_one(tmp_path, bot(at_path(code)), {**env, "PATH": str(programs)}))
