"""What differs in a bot's code: commits, files, dependencies."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from bot_sources import commit, git, repository
from two_versions import base, report, stage

from factory_cdk.pack.requirements.changes import Dependency
from factory_cdk.pack.sources.git import git_with
from factory_cdk.review.code import bot_reports, compare_url
from factory_cdk.review.history import History, history_of, plain
from factory_cdk.review.model import BotReport, Files
from factory_cdk.review.sides.side import CodeSide, StageSide

A, B = "a" * 40, "b" * 40


def compared(before: CodeSide, after: CodeSide, history: History | None = None) -> BotReport:
    sides = (StageSide("prod", "mill", "1", code={"bot": code}) for code in (before, after))
    (found,) = bot_reports(*sides, history or History())
    return found


def code(**facts: object) -> CodeSide:
    told: Mapping[str, object] = {"kind": "pypi", "origin": "tool==1", "digest": "1", "pinned": True, **facts}
    return CodeSide("bot", **told)  # type: ignore[arg-type]


def test_dependencies_go_up_and_down_come_and_go() -> None:
    before = code(requirements=("Requests==2.9 --hash=sha256:aa", "numpy==1.26 --hash=sha256:bb", "six==1", "idna==3"))
    after = code(requirements=("requests==2.10 --hash=sha256:cc", "numpy==1.25", "attrs==25", "idna==3"), digest="2")
    assert compared(before, after).dependencies == (
        Dependency("attrs", "added", None, "25"),
        Dependency("numpy", "down", "1.26", "1.25"),
        Dependency("requests", "up", "2.9", "2.10"),
        Dependency("six", "removed", "1", None),
    )


def test_a_version_with_other_files_and_a_dependency_from_an_address() -> None:
    before = code(requirements=("six==1 --hash=sha256:aa", "lib @ https://h/lib-1.whl?token=s3cret#sha256=1"))
    after = code(requirements=("six==1 --hash=sha256:bb", "lib @ https://h/lib-2.whl?token=s3cret#sha256=1"))
    found = compared(before, after)
    assert found.dependencies == (
        Dependency("lib", "changed", "@ https://h/lib-1.whl", "@ https://h/lib-2.whl"),
        Dependency("six", "changed", "1", "1"),
    )
    assert "s3cret" not in repr(found)


def test_a_package_that_is_there_in_two_versions_for_two_pythons() -> None:
    before = code(requirements=('numpy==1.24 ; python_version < "3.12"', 'numpy==1.26 ; python_version >= "3.12"'))
    after = code(requirements=('numpy==1.24 ; python_version < "3.12"', 'numpy==2.0 ; python_version >= "3.12"'))
    assert compared(before, after).dependencies == (Dependency("numpy", "up", "1.24, 1.26", "1.24, 2.0"),)


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    found = stage(
        report(
            tmp_path,
            base(),
            base(),
            {"code/reader/old.py": "", "code/reader/reader.py": "def run(payload): return 1\n"},
            {"code/reader/new.py": "", "code/reader/reader.py": "def run(payload): return 2\n"},
        )
    )
    assert found.bots[0].files == Files(("new.py",), ("reader.py",), ("old.py",))
    assert len(found.bots[0].files) == 3


def test_code_that_nobody_has_here_is_said_so() -> None:
    found = compared(code(digest="1"), code(digest="2"))
    assert found.files is None
    assert any("its files are not here" in note for note in found.notes)
    (note,) = compared(code(pinned=False), code(pinned=False)).notes
    assert "factory-cdk lock" in note


@pytest.fixture
def bots(tmp_path: Path) -> tuple[str, list[str]]:
    """The url of a repository and its three commits."""
    url = repository(tmp_path / "bots.git", {"bot.py": "1"})
    first = git(tmp_path / "bots.git", "rev-parse", "main")
    return url, [first, *(commit(tmp_path / "bots.git", {"bot.py": text}) for text in "23")]


def here() -> History:
    return History(git_with({**os.environ}, threading.Event()))


def test_the_commits_of_a_repository_that_is_here(bots: tuple[str, list[str]]) -> None:
    url, commits = bots
    sides = [
        code(kind="git", url=url, commit=one, digest=one, origin=f"{url}@{one}") for one in (commits[0], commits[2])
    ]
    found = compared(*sides, here())
    assert found.commit_count == 2 and not found.backwards
    assert [one.id for one in found.commits] == [commits[2], commits[1]]
    assert [(one.title, one.author) for one in found.commits] == [("a commit", "A")] * 2
    back = compared(*reversed(sides), here())
    assert back.backwards and back.commit_count == 2


def test_commits_that_are_not_here_are_said_so(bots: tuple[str, list[str]], tmp_path: Path) -> None:
    url, commits = bots
    for history, where in ((here(), url), (here(), "https://host.invalid/bots"), (History(), url)):
        after = A if where == url and history.git else commits[1]
        sides = [code(kind="git", url=where, commit=one, digest=one) for one in (commits[0], after)]
        found = compared(*sides, history)
        assert found.commit_count is None
        assert any("not here" in note for note in found.notes)


def test_a_bot_whose_repository_is_that_of_the_plan(bots: tuple[str, list[str]], tmp_path: Path) -> None:
    url, commits = bots
    git(tmp_path, "clone", "--quiet", url, "clone")
    git(tmp_path / "clone", "remote", "add", "host", "git@github.com:team/bots.git")
    history = history_of(git_with({**os.environ}, threading.Event()), tmp_path / "clone")
    for same in (
        "https://github.com/team/bots",
        "ssh://git@github.com/team/bots.git",
        "https://x:y@GitHub.com/Team/bots",
    ):
        found = history.between(same, commits[0], commits[1])
        assert found is not None and found.count == 1
    assert history.between("https://github.com/team/other", commits[0], commits[1]) is None


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/team/bots", f"https://github.com/team/bots/compare/{A}...{B}"),
        ("https://github.com/team/bots.git", f"https://github.com/team/bots/compare/{A}...{B}"),
        ("git@github.com:team/bots.git", f"https://github.com/team/bots/compare/{A}...{B}"),
        ("ssh://git@gitlab.com/a/b/c.git", f"https://gitlab.com/a/b/c/-/compare/{A}...{B}"),
        ("https://github.com/team", None),
        ("https://github.com/team/bots)](javascript:x", None),
        ("https://github.com.evil.example/team/bots", None),
        ("file:///srv/bots.git", None),
        (None, None),
    ],
)
def test_the_page_that_shows_the_commits(url: str | None, page: str | None) -> None:
    assert compare_url(url, A, B) == page
    assert compare_url(url, A, "main") is None


def test_addresses_of_one_repository_are_the_same() -> None:
    same = ["https://h.example/a/b.git", "http://h.example/a/b/", "git@h.example:a/b", "ssh://git@h.example/a/b.git"]
    assert len({plain(url) for url in same}) == 1
