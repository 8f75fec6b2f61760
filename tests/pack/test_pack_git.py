"""Bots from git: what is fetched, what is packed, what is asked again, and what git's refusals become."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pack_sources import (
    BOT,
    Repository,
    at_path,
    bot,
    git,
    git_source,
    leftovers,
    names,
    pack_all,
    pack_one,
    plan_of,
    refusal,
    write_files,
)

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack import locked_anew
from factory_cdk.pack.sources.git import address
from factory_cdk.plan.model import GitSource


def test_a_branch_is_packed_with_its_commit_as_origin(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit({"other.py": ""})
    commit = repository.commit(BOT, branch="develop")
    packed = pack_one(tmp_path, bot(git_source(repository, "develop")), env)
    assert names(packed) == sorted(BOT)
    assert packed.bundle is not None
    assert packed.bundle.commit == commit
    assert packed.bundle.origin == f"{repository.url}@{commit}"
    archive = Path(packed.bundle.archive or "")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == packed.bundle.archive_sha256
    assert leftovers(tmp_path / "cache") == []


def test_no_branch_means_the_remotes_default_branch(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT, branch="trunk")
    git(repository.folder, "symbolic-ref", "HEAD", "refs/heads/trunk")
    assert names(pack_one(tmp_path, bot(git_source(repository)), env)) == sorted(BOT)


@pytest.mark.parametrize("annotated", [True, False])
def test_a_tag_is_packed_by_the_commit_it_names(
    annotated: bool, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    commit = repository.commit(BOT)
    git(repository.folder, "tag", *(["-a", "-m", "x"] if annotated else []), "v1", commit)
    repository.commit({**BOT, "later.py": ""})
    one = bot(git_source(repository, "v1"))
    first, second = pack_one(tmp_path, one, env), pack_one(tmp_path, one, env)
    assert first.bundle is not None
    assert first.bundle.commit == commit
    assert (first.fetched, second.fetched, second.bundle) == (True, False, first.bundle)


def test_a_commit_is_packed_though_the_branch_moved_on(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    commit = repository.commit(BOT)
    repository.commit({"gone.py": ""})
    packed = pack_one(tmp_path, bot(git_source(repository, commit)), env)
    assert names(packed) == sorted(BOT)


@pytest.mark.parametrize(
    "options",
    [
        {"bare": True, "quiet": True},
        {"depth": 3},
        {"no-single-branch": True, "no-tags": True},
        {"shallow-since": "2019-01-01", "origin": "upstream"},
        {"single-branch": False, "verbose": True, "progress": True, "no-checkout": True},
        {"filter": "blob:none", "jobs": 2},
    ],
)
def test_every_allowed_clone_option_leaves_the_bundle_as_it_is(
    options: dict[str, str | int | bool], repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    assert names(pack_one(tmp_path, bot(git_source(repository, "main", options=options)), env)) == sorted(BOT)


def test_the_same_files_by_git_and_by_path_have_the_same_digest(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    files = {**BOT, "run.sh": "#!/bin/sh\n", "ünïcode name.txt": "x", ".factoryignore": "notes/\n", "notes/a.md": "x"}
    repository.commit(files, executable=["run.sh"], links={"first.py": "bots/first.py", "also": "bots"})
    folder = write_files(tmp_path / "code", files)
    (folder / "run.sh").chmod(0o700)
    (folder / "first.py").symlink_to("bots/first.py")
    (folder / "also").symlink_to("bots")
    by_git, by_path = pack_all(
        tmp_path, [bot(git_source(repository), name="git"), bot(at_path(folder), name="path")], env
    ).bots
    assert by_git.bundle is not None
    assert by_path.bundle is not None
    assert by_git.bundle.archive_sha256 == by_path.bundle.archive_sha256
    assert "also/first.py" in names(by_git)
    assert "notes/a.md" not in names(by_git)


def test_line_ends_and_attributes_of_the_repository_change_nothing(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    files = {**BOT, ".gitattributes": "*.txt text eol=crlf ident export-subst\n*.py export-ignore\n", "a.txt": "$Id$\n"}
    repository.commit(files)
    Path(env["HOME"], ".gitconfig").write_text("[core]\nautocrlf = true\n")
    folder = write_files(tmp_path / "code", files)
    by_git = pack_one(tmp_path, bot(git_source(repository)), env)
    by_path = pack_one(tmp_path, bot(at_path(folder)), env)
    assert by_git.bundle is not None
    assert by_path.bundle is not None
    assert by_git.bundle.digest == by_path.bundle.digest


def test_a_second_pack_asks_for_the_commit_and_fetches_nothing(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    one = bot(git_source(repository))
    assert [pack_one(tmp_path, one, env).fetched for _ in range(2)] == [True, False]
    repository.commit({**BOT, "new.py": ""})
    moved = pack_one(tmp_path, one, env)
    assert moved.fetched
    assert "new.py" in names(moved)


def test_with_a_lock_a_moved_branch_stays_and_the_remote_is_not_even_asked(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    commit = repository.commit(BOT)
    one = bot(git_source(repository))
    lock = locked_anew(plan_of(tmp_path, one), pack_all(tmp_path, [one], env), None)
    repository.commit({"gone.py": ""})
    elsewhere = pack_one(tmp_path / "elsewhere", one, env, lock)
    assert elsewhere.bundle is not None
    assert elsewhere.bundle.commit == commit
    repository.folder.rename(tmp_path / "unreachable")
    again = pack_one(tmp_path / "elsewhere", one, env, lock)
    assert (again.fetched, again.bundle) == (False, elsewhere.bundle)
    assert again.locked == lock.bots["b"]


def test_a_remote_that_hands_out_no_single_commits_is_fetched_whole(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    commit = repository.commit(BOT)
    repository.commit({"gone.py": ""})
    git(repository.folder, "config", "uploadpack.allowAnySHA1InWant", "false")
    old_protocol = {**env, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.version", "GIT_CONFIG_VALUE_0": "0"}
    assert names(pack_one(tmp_path, bot(git_source(repository, commit)), old_protocol)) == sorted(BOT)


def test_a_bundle_that_is_not_the_one_of_the_lock_is_refused(
    repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    one = bot(git_source(repository))
    lock = locked_anew(plan_of(tmp_path, one), pack_all(tmp_path, [one], env), None)
    forged = replace(lock, bots={"b": replace(lock.bots["b"], digest="0" * 64)})
    assert "not the one of plan.lock" in refusal(pack_one(tmp_path, one, env, forged))


def test_a_subdirectory_is_the_root_of_the_bundle(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    repository.commit(
        {**{f"inner/{path}": text for path, text in BOT.items()}, "shared.py": "x = 1\n", "big.bin": "x"},
        links={"inner/shared.py": "../shared.py"},
    )
    packed = pack_one(tmp_path, bot(git_source(repository, subdirectory="inner")), env)
    assert names(packed) == sorted([*BOT, "shared.py"])
    assert "no_such" in refusal(pack_one(tmp_path, bot(git_source(repository, subdirectory="no_such")), env))


def test_two_bots_of_one_commit_fetch_it_once(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    repository.commit({**BOT, "bots/second.py": "async def go(job): ...\n"})
    report = pack_all(
        tmp_path, [bot(git_source(repository), name="a"), bot(git_source(repository), "bots.second:go", name="z")], env
    )
    assert sorted(packed.fetched for packed in report.bots) == [False, True]
    assert len({bundle.digest for bundle in report.bundles.values()}) == 1


def test_submodules_are_left_out_and_said_or_fetched_where_the_plan_asks(
    repository: Repository, another: Callable[[str], Repository], tmp_path: Path, env: dict[str, str]
) -> None:
    deep, inner = another("deep"), another("inner")
    deep_commit = deep.commit({"deep.py": "x = 1\n"})
    modules = '[submodule "d"]\n path = deep\n url = ../deep.git\n'
    inner_commit = inner.commit({"inner.py": "", ".gitmodules": modules}, modules={"deep": deep_commit})
    inner.commit({"moved_on.py": ""})
    modules = f'[submodule "i"]\n path = lib/inner\n url = {inner.url}\n'
    repository.commit({**BOT, ".gitmodules": modules}, modules={"lib/inner": inner_commit})
    without = pack_one(tmp_path, bot(git_source(repository)), env)
    assert names(without) == sorted([*BOT, ".gitmodules"])
    assert any("lib/inner" in note and "recurse-submodules" in note for note in without.notes)
    recursive = bot(git_source(repository, options={"recurse-submodules": True}))
    whole = pack_one(tmp_path, recursive, env)
    assert {"lib/inner/inner.py", "lib/inner/deep/deep.py"} <= set(names(whole))
    assert (whole.notes, pack_one(tmp_path, recursive, env).fetched) == ((), False)


def test_git_lfs_pointers_are_named(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    repository.commit({**BOT, "model.bin": pointer})
    packed = pack_one(tmp_path, bot(git_source(repository)), env)
    assert any("Git LFS" in note and "model.bin" in note for note in packed.notes)
    assert pack_one(tmp_path, bot(git_source(repository)), env).notes == packed.notes


@pytest.mark.parametrize(
    ("branch", "remedy"),
    [("no-such-branch", "git ls-remote"), ("0" * 40, "lock --upgrade")],
)
def test_a_ref_that_is_not_there_is_told_in_gits_own_words(
    branch: str, remedy: str, repository: Repository, tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    said = refusal(pack_one(tmp_path, bot(git_source(repository, branch)), env))
    assert branch in said
    assert remedy in said
    assert str(tmp_path / "cache" / "work") not in said
    assert leftovers(tmp_path / "cache") == []


def test_an_empty_repository_is_told(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    assert repository.url in refusal(pack_one(tmp_path, bot(git_source(repository)), env))


def test_a_branch_that_vanished_is_told(repository: Repository, tmp_path: Path, env: dict[str, str]) -> None:
    repository.commit({"x": ""})
    repository.commit(BOT, branch="topic")
    one = bot(git_source(repository, "topic"))
    assert pack_one(tmp_path, one, env).error is None
    git(repository.folder, "update-ref", "-d", "refs/heads/topic")
    assert "no branch or tag 'topic'" in refusal(pack_one(tmp_path, one, env))


def test_a_pack_inside_a_git_hook_is_not_led_to_that_repository(
    repository: Repository, another: Callable[[str], Repository], tmp_path: Path, env: dict[str, str]
) -> None:
    repository.commit(BOT)
    hooked = another("hooked").folder
    in_hook = {**env, "GIT_DIR": str(hooked), "GIT_INDEX_FILE": str(hooked / "index"), "GIT_WORK_TREE": str(tmp_path)}
    assert names(pack_one(tmp_path, bot(git_source(repository)), in_hook)) == sorted(BOT)


def test_without_git_the_user_is_told_to_install_it(
    tmp_path: Path, env: dict[str, str], repository: Repository
) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    said = refusal(pack_one(tmp_path, bot(git_source(repository)), {**env, "PATH": str(nowhere)}))
    assert "install git" in said


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("git@bitbucket.org/my-bots-repo", "ssh://git@bitbucket.org/my-bots-repo"),
        ("ssh://fredsmith@bitbucket.org/my-bots-repo", "ssh://fredsmith@bitbucket.org/my-bots-repo"),
        ("git@bitbucket.org:team/repo.git", "git@bitbucket.org:team/repo.git"),
        ("host:repo", "host:repo"),
        ("https://github.com/some/repo.git", "https://github.com/some/repo.git"),
        ("/srv/git/repo.git", "file:///srv/git/repo.git"),
    ],
)
def test_an_address_is_given_to_git_as_the_reference_means_it(written: str, given: str) -> None:
    assert address(written) == given


@pytest.mark.parametrize(
    "url",
    ["--upload-pack=touch x", "-x", "ext::sh -c x", "fd::3", "ssh://-oProxyCommand=x/y", "-oX@host:y", "https://h/\nx",
     "foo://h/x", "hg::x", "relative/path", "a@-b/c", ""],
)  # fmt: skip
def test_an_address_that_is_an_option_or_a_command_is_never_given_to_git(url: str) -> None:
    with pytest.raises(FactoryError):
        address(url)


def test_a_password_in_an_address_appears_nowhere(tmp_path: Path, env: dict[str, str], repository: Repository) -> None:
    secret = "hunter2hunter2"
    local = f'[url "{repository.url}"]\n insteadOf = https://user:{secret}@example.invalid/bots.git\n'
    Path(env["HOME"], ".gitconfig").write_text(local)
    repository.commit(BOT)
    one = bot(GitSource(f"https://user:{secret}@example.invalid/bots.git"))
    packed = pack_one(tmp_path, one, env)
    assert packed.error is None
    assert secret not in repr(packed)
    for file in (tmp_path / "cache").rglob("*"):
        assert secret not in file.name
        assert not file.is_file() or secret.encode() not in file.read_bytes()
    unreachable = bot(GitSource(f"http://user:{secret}@127.0.0.1:1/bots.git"))
    assert secret not in refusal(pack_one(tmp_path, unreachable, env))
