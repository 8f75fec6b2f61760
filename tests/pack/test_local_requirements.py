"""Folders and archives of the source that a requirements file names: they are locked and installed as uv and pip do."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_projects import archive, below, built, installed
from pack_sources import Repository, at_path, bot, git, git_source, pack_one, package, refusal, wheel, write_files

from factory_cdk.pack import Lock, PackedBot
from factory_cdk.pack.requirements.policy import local_place

PLAIN = {"b.py": "def run(payload): return payload\n"}
LIB = {**below("libs/lib", built("lib", "one")), "libs/lib/VERSION": "2.0"}


@pytest.fixture(autouse=True)
def library(index: Path) -> None:
    wheel(index, "one")


def required(packed: PackedBot) -> list[str]:
    archive(packed).close()
    assert packed.bundle is not None
    return [line.partition(" --hash")[0] for line in packed.bundle.requirements]


LINES = [
    "./libs/lib", "-e ./libs/lib", "libs/lib", "--editable=libs/lib", "lib @ file:./libs/lib", "-e file:libs/lib",
    "lib @ file://${PROJECT_ROOT}/libs/lib", "./libs/lib ; python_version > '3.8'", "-e ./libs/lib#egg=lib",
    "./libs/lib[fast]", "-r req/more.txt",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_folder_of_the_source_is_locked_with_what_it_requires(line: str, tmp_path: Path, env: dict[str, str]) -> None:
    files = {**PLAIN, **LIB, "requirements.txt": f"{line}\n", "req/more.txt": "./libs/lib  # from the root\n"}
    packed = pack_one(tmp_path, bot(at_path(write_files(tmp_path / "code", files)), "b:run"), env)
    assert [line.partition(" ;")[0] for line in required(packed)] == ["one==1.0"]
    assert packed.locked is not None
    assert [project.partition(" ;")[0] for project in packed.locked.projects] == ["libs/lib"]


SHAPES = {
    "an editable folder": ({**PLAIN, **LIB, "requirements.txt": "-e ./libs/lib\n"}, None, {"lib-2.0"}),
    "the source itself": (
        {**built("app", "one"), "VERSION": "1.5", "requirements.txt": "-e .\n"},
        None,
        {"app-1.5"},
    ),
    "the source and a folder of it": (
        {**built("app", "lib"), "VERSION": "1.5", **LIB, "requirements.txt": ".\n-e ./libs/lib\n"},
        None,
        {"app-1.5", "lib-2.0"},
    ),
    "a folder beside the subdirectory": (
        {**below("app", PLAIN), "app/requirements.txt": "-e ../libs/lib\n", **LIB},
        "app",
        {"lib-2.0"},
    ),
    "a folder that requires another one by its own path": (
        {
            **below("app", PLAIN),
            "app/requirements.txt": "-e ../libs/far/a\n",
            **below("libs/far/a", built("a", "lib", more="[tool.uv.sources]\nlib = {path = '../../lib'}\n")),
            "libs/far/a/VERSION": "5.0",
            **LIB,
        },
        "app",
        {"a-5.0", "lib-2.0"},
    ),
    "a folder of the subdirectory that requires another one": (
        {
            "requirements.txt": "./libs/a\n",
            **PLAIN,
            **below("libs/a", built("a", "lib", more="[tool.uv.sources]\nlib = {path = '../lib'}\n")),
            "libs/a/VERSION": "5.0",
            **LIB,
        },
        None,
        {"a-5.0", "lib-2.0"},
    ),
    "a folder that reads a file beside itself": (
        {
            **below("app", PLAIN),
            "app/requirements.txt": "./lib\n",
            **below("app/lib", built("lib", "one", version="../../VERSION")),
            "VERSION": "7.0",
        },
        "app",
        {"lib-7.0"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["path", "git"])
def test_projects_that_a_requirements_file_names_are_installed(
    shape: str, kind: str, repository: Repository, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, subdirectory, expected = SHAPES[shape]
    below_it = {"subdirectory": subdirectory} if subdirectory else {}
    if kind == "git":
        repository.commit(files)
    source = (
        git_source(repository, **below_it)
        if kind == "git"
        else at_path(write_files(tmp_path / "code", files), **below_it)
    )
    target = "b:run" if any(name.endswith("b.py") for name in files) else "app:run"
    one = bot(source, target, requirements_path="requirements.txt")
    packed = pack_one(tmp_path, one, env)
    assert required(packed) == ["one==1.0"]
    assert {*expected, "one-1.0"} == installed(packed, tmp_path / "home", monkeypatch, env)
    assert packed.locked is not None
    again = pack_one(tmp_path / "elsewhere", one, env, Lock("works", {"b": packed.locked}))
    assert again.error is None, again.error
    assert again.bundle is not None and packed.bundle is not None
    assert again.bundle.layout == packed.bundle.layout


def test_a_folder_that_requires_one_outside_of_the_source_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    write_files(tmp_path, LIB)
    more = "[tool.uv.sources]\nlib = {path = '../../libs/lib'}\n"
    files = {**PLAIN, "requirements.txt": "./a\n", **below("a", built("a", "lib", more=more)), "a/VERSION": "1"}
    said = refusal(pack_one(tmp_path, bot(at_path(write_files(tmp_path / "code", files)), "b:run"), env))
    assert "what a bot needs has to be inside its source" in said


def test_a_wheel_in_the_source_is_installed(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = write_files(tmp_path / "code", {**PLAIN, "requirements.txt": "./wheels/lib-3.0-py3-none-any.whl\n"})
    wheel(code / "wheels", "lib", "3.0", requires=["one"])
    packed = pack_one(tmp_path, bot(at_path(code), "b:run"), env)
    assert required(packed) == ["one==1.0"]
    assert installed(packed, tmp_path / "home", monkeypatch, env) == {"lib-3.0", "one-1.0"}


def test_a_folder_takes_its_version_from_git(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**PLAIN, **below("libs/lib", built("lib", uses_git=True)), "requirements.txt": "-e ./libs/lib\n"}
    code = write_files(tmp_path / "code", files)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v4.5"]):
        git(code, *arguments)
    packed = pack_one(tmp_path, bot(at_path(code), "b:run"), env)
    assert packed.version == "4.5"
    assert installed(packed, tmp_path / "home", monkeypatch, env) == {"lib-4.5"}


def test_requirements_are_locked_again_when_those_of_a_folder_change(tmp_path: Path, env: dict[str, str]) -> None:
    code = write_files(tmp_path / "code", {**PLAIN, **LIB, "requirements.txt": "./libs/lib\n"})
    one = bot(at_path(code), "b:run")
    assert required(pack_one(tmp_path, one, env)) == ["one==1.0"]
    write_files(code, below("libs/lib", built("lib")))
    assert required(pack_one(tmp_path, one, env)) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-e ./libs/gone", "'./libs/gone' is not in the source of b"),
        ("./ignored", "'./ignored' is not in the source of b"),
        ("-e ./data", "the folder './data' has no pyproject.toml, setup.py or setup.cfg"),
        ("-e .", "the folder '.' has no pyproject.toml, setup.py or setup.cfg"),
        ("lib @ file:///srv/lib", "leaves the source"),
        ("wheels/lib-1.0-py3-none-any.whl", "is not in the source of b"),
    ],
)
def test_a_folder_that_is_not_there_or_cannot_be_built_is_refused(
    line: str, said: str, tmp_path: Path, env: dict[str, str]
) -> None:
    files = {**PLAIN, "requirements.txt": f"one\n{line}\n", "data/x.csv": "", "ignored/setup.py": "",
             ".gitignore": "ignored\n"}  # fmt: skip
    assert said in refusal(pack_one(tmp_path, bot(at_path(write_files(tmp_path / "code", files)), "b:run"), env))


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("-e .", "."), ("./a", "./a"), ("-e a", "a"), ("lib @ ./a[x]", "./a"), ("a/b ; python_version > '3'", "a/b"),
        ("file:a%20b", "a b"), ("lib-1.0.whl", "lib-1.0.whl"), ("lib", None), ("lib[x]>=1", None),
        ("git+https://h.io/a/b.git@main", None), ("-e git+ssh://git@h.io/a/b", None), ("-r ./a.txt", None),
        ("lib @ https://h.io/a/b.whl", None), ("# ./a", None), ("-e git@h.io:a/b", None), ("--find-links ./a", None),
    ],
)  # fmt: skip
def test_what_is_a_folder_or_an_archive_is_told_from_names_and_addresses(line: str, place: str | None) -> None:
    assert local_place(line) == place


def test_what_the_plan_adds_to_a_package_has_no_folders(tmp_path: Path, env: dict[str, str]) -> None:
    write_files(tmp_path, {"more.txt": "one\n-r other.txt\n", "other.txt": "./libs/lib\n", **LIB})
    said = refusal(pack_one(tmp_path, bot(package("one"), "one:run", requirements_path="more.txt"), env))
    assert "other.txt: './libs/lib' is a folder or a file, and b comes from an index" in said
