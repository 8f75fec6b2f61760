"""Repositories, archives and wheels made by an attacker: refused, and nothing outside of the cache is touched."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pack_sources import (
    BOT,
    Repository,
    at_path,
    bot,
    git_source,
    leftovers,
    names,
    pack_one,
    package,
    refusal,
    wheel,
    write_files,
)

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import unpack
from factory_cdk.pack.sources.submodules import joined, safe_url

PWNED = "pwned"


@pytest.fixture(autouse=True)
def nothing_got_out(tmp_path: Path):  # type: ignore[no-untyped-def]
    """After every test: no file of the attacker's anywhere but in what the test itself made of it."""
    yield
    assert not list(tmp_path.parent.glob(PWNED)) + list(tmp_path.glob(PWNED)) + list(tmp_path.glob(f"*/{PWNED}"))
    if (tmp_path / "cache").exists():
        assert leftovers(tmp_path / "cache") == []
        assert [path for path in (tmp_path / "cache").rglob("*") if path.is_symlink()] == []


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../../../../../etc/passwd", "..", "nowhere", "bots/../../x", "loop", ".git/config", "bad\x01"],
)
def test_a_link_out_of_the_tree_or_to_nowhere_is_refused(
    target: str, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT, links={"loop": target})
    said = refusal(pack_one(tmp_path, bot(git_source(repository)), env))
    assert "link 'loop'" in said


def test_a_link_to_a_folder_that_it_lies_in_is_refused(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT, links={"bots/again": "../bots"})
    assert "points at a folder that it lies in" in refusal(pack_one(tmp_path, bot(git_source(repository)), env))


@pytest.mark.slow
def test_links_that_multiply_without_end_are_stopped(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    links = {f"f{level}/{side}": f"../f{level + 1}" for level in range(40) for side in "ab"}
    repository.commit({**BOT, "f40/file": ""}, links=links)
    assert "more than" in refusal(pack_one(tmp_path, bot(git_source(repository)), env))


def test_nothing_is_written_through_a_link_with_the_name_of_a_folder(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    link, file = repository.blob(str(tmp_path).encode()), repository.blob(b"x")
    inner = repository.tree_of([("100644", file, PWNED)])
    for rows in ([("120000", link, "a"), ("40000", inner, "a")], [("40000", inner, "a"), ("120000", link, "a")]):
        tree = repository.tree_of(rows)
        repository.commit_entries([("40000", tree, "t")])
        packed = pack_one(tmp_path, bot(git_source(repository), bot_path=None, command="x"), env)  # type: ignore[arg-type]
        assert "exists twice" in refusal(packed) or "is inside a file" in refusal(packed)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("new\nline.py", "control character"),
        ("tab\t.py", "control character"),
        ("esc\x1b[2J.py", "control character"),
        ("..\\pwned", "backslash"),
        ("..", "leaves the folder"),
        (".", "leaves the folder"),
        (".git", ".git folder"),
        (".GIT", ".git folder"),
        (".git ", ".git folder"),
        (".git. .", ".git folder"),
        (".Git::$INDEX_ALLOCATION", ".git folder"),
        ("GIT~1", ".git folder"),
        (".g\u200cit", ".git folder"),
        (".factory_cdk.", "factory-cdk adds"),
        (".FACTORY_CDK", "factory-cdk adds"),
        ("x" * 1100, "characters long"),
        (".factory_cdk", "factory-cdk adds"),
    ],
)
def test_a_name_that_no_bundle_should_hold_is_refused(
    name: str, why: str, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    file = repository.blob(b"x")
    for row in (("100644", file, name), ("40000", repository.tree_of([("100644", file, PWNED)]), name)):
        rows = [row, ("40000", repository.tree_of([("100644", file, "first.py")]), "bots")]
        repository.commit_entries([("40000", repository.tree_of(rows), "top")])
        said = refusal(pack_one(tmp_path, bot(git_source(repository, subdirectory="top")), env))
        assert "\x1b" not in said
    repository.commit_entries([row])
    said = refusal(pack_one(tmp_path, bot(git_source(repository)), env))
    assert why in said or "damaged" in said or "git says" in said


def test_a_name_that_is_not_text_is_refused(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    folder = write_files(tmp_path / "code", BOT)
    Path(os.fsdecode(os.fsencode(folder) + b"/latin\xe9.py")).write_text("")
    assert "is not UTF-8" in refusal(pack_one(tmp_path, bot(at_path(folder)), env))


def test_hooks_filters_and_monitors_of_a_repository_do_not_run(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    run = f"#!/bin/sh\ntouch {tmp_path}/{PWNED}\n"
    hooks = tmp_path / "hooks"
    for name in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc", "fsmonitor-watchman"):
        hook = write_files(hooks, {name: run}) / name
        hook.chmod(0o755)
    template = tmp_path / "template"
    template.mkdir()
    (template / "hooks").symlink_to(hooks)
    Path(env["HOME"], ".gitconfig").write_text(
        f"[core]\n hooksPath = {hooks}\n fsmonitor = {hooks}/fsmonitor-watchman\n[init]\n templateDir = {template}\n"
        f'[filter "evil"]\n smudge = touch {tmp_path}/{PWNED}\n required = true\n'
    )
    commit = repository.commit({**BOT, ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    for ref in ("main", commit):
        assert names(pack_one(tmp_path, bot(git_source(repository, ref)), env))


@pytest.mark.parametrize(
    "url",
    ["--upload-pack=touch pwned", "ext::sh -c touch% pwned", "-u./pwned", "fd::1", "ssh://-oProxyCommand=touch pwned/x",
     "../../../../../../../..", "../../../../../../../../../../../../etc", "./../--upload-pack=x/../../.."],
)  # fmt: skip
def test_a_submodule_with_an_option_or_a_command_for_an_url_gets_nowhere(
    url: str, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    modules = f'[submodule "m"]\n path = m\n url = "{url}"\n update = !touch {tmp_path}/{PWNED}\n'
    repository.commit({**BOT, ".gitmodules": modules}, modules={"m": "1" * 40})
    one = bot(git_source(repository, options={"recurse-submodules": True}))
    assert refusal(pack_one(tmp_path, one, env))


def test_a_repository_from_a_network_cannot_name_one_of_this_machine_as_its_submodule() -> None:
    for url in ("/etc", "file:///etc"):
        with pytest.raises(FactoryError, match="on this machine"):
            safe_url(url, "https://host/team/repo.git", "m")
    assert safe_url("../lib.git", "https://host/team/repo.git", "m") == "https://host/team/lib.git"
    assert joined("git@host:team/repo.git", "../lib.git") == "git@host:team/lib.git"
    assert joined("git@host:repo.git", "../lib.git") == "git@host:lib.git"
    for climbing in ("../../..", "../../../x", "../../../../x"):
        with pytest.raises(FactoryError, match="leaves its host"):
            joined("https://host/team/repo.git", climbing)


def test_a_submodule_over_a_link_or_over_files_is_refused(
    repository: Repository, another: Callable[[str], Repository], tmp_path: Path, env: dict[str, str]
) -> None:
    inner = another("inner")
    commit = inner.commit({f"x/{PWNED}": "x"})
    link = repository.blob(str(tmp_path).encode())
    over_a_link = [("120000", link, "m"), ("40000", repository.tree_of([("160000", commit, "n")]), "m")]
    beside_a_link = [("40000", repository.tree_of([("120000", link, "x")]), "m"), ("160000", commit, "m")]
    for place, rows in (("m/n", over_a_link), ("m", beside_a_link)):
        modules = repository.blob(f'[submodule "m"]\n path = {place}\n url = {inner.url}\n'.encode())
        repository.commit_tree(repository.tree_of([("100644", modules, ".gitmodules"), *rows]))
        one = bot(git_source(repository, options={"recurse-submodules": True}))
        assert "the path of the submodule" in refusal(pack_one(tmp_path, one, env))


@pytest.mark.parametrize("name", ["../../pwned", "{tmp}/pwned", "a/../../../pwned", "..\\..\\pwned"])
def test_a_zip_slip_wheel_writes_nothing_outside_of_the_folder_it_is_tried_in(
    name: str, index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(index, "evil", files={"evil.py": "def run(x): ...\n", name.format(tmp=tmp_path): "x"})
    packed = pack_one(tmp_path, bot(package("evil"), "evil:run"), env)
    assert names(packed) == [".factory_cdk/requirements.txt"]
    assert not [path for path in tmp_path.rglob(f"*{PWNED}") if tmp_path / "uv" not in path.parents]


def zip_of(file: Path, *entries: tuple[str, int]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, "../pwned")
    return file


@pytest.mark.parametrize(
    "entries",
    [
        [("../pwned", 0o100644)],
        [("/pwned", 0o100644)],
        [("C:/pwned", 0o100644)],
        [("a\\..\\..\\pwned", 0o100644)],
        [("link", stat.S_IFLNK | 0o777)],
        [("device", stat.S_IFCHR | 0o666)],
        [("folder/", 0o40755)],
        [("same", 0o100644), ("same", 0o100644)],
        [("file", 0o100644), ("file/below", 0o100644)],
        [(".factory_cdk/../../pwned", 0o100644)],
        [(".git/config", 0o100644)],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_is_no_bundle_of_ours_is_not_unpacked(entries: list[tuple[str, int]], tmp_path: Path) -> None:
    with pytest.raises(FactoryError):
        unpack(zip_of(tmp_path / "evil.zip", *entries), tmp_path / "into")


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(FactoryError, match="not a valid bundle"):
        unpack(broken, tmp_path / "into")


@pytest.mark.parametrize(
    "line", ["-r /etc/passwd", "-c ../../outside.txt", "--requirement=../outside.txt", "-r  x/../../y"]
)
def test_a_requirements_file_that_includes_one_from_outside_is_refused(
    line: str, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit({**BOT, "requirements.txt": f"{line}\n"})
    said = refusal(pack_one(tmp_path, bot(git_source(repository)), env))
    assert "leaves the source" in said
    assert "root:" not in said


def test_a_static_project_runs_nothing_of_itself_while_it_is_packed(
    repository: Repository, index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    wheel(index, "lib")
    project = '[project]\nname = "b"\nversion = "1"\ndependencies = ["lib"]\n[build-system]\nrequires = []\n'
    project += 'build-backend = "evil"\nbackend-path = ["."]\n'
    evil = f"open({str(tmp_path / PWNED)!r}, 'w')\n"
    repository.commit({**BOT, "pyproject.toml": project, "evil.py": evil, "setup.py": evil, "sitecustomize.py": evil})
    packed = pack_one(tmp_path, bot(git_source(repository)), env)
    assert packed.bundle is not None
    assert packed.bundle.requirements[0].startswith("lib==1.0 --hash=sha256:")
