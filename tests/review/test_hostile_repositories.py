"""Repositories that whoever opens a pull request wrote: no program of theirs runs, and no file beside them is read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bot_sources import git
from test_commits import Checkout
from two_versions import base, stage

from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.history import history_here
from factory_cdk.review.sides.of_git import repository_of

PROJECT = """\
[build-system]
requires = ["setuptools", "setuptools_scm"]
build-backend = "setuptools.build_meta"
[project]
name = "reader"
dynamic = ["version"]
[tool.setuptools_scm]
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that leaves `ran` beside it when it runs."""
    file = tmp_path / "program.sh"
    file.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    file.chmod(0o755)
    return file


def ran(program: Path) -> bool:
    return (program.parent / "ran").exists()


def looks_like_a_repository(folder: Path, config: str) -> None:
    """Files of a work tree by which git would take `folder` for a bare repository."""
    for name in ("objects/pack", "refs/heads"):
        (folder / name).mkdir(parents=True)
    (folder / "objects" / "pack" / ".keep").touch()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    (folder / "config").write_text(config)


def test_a_bot_s_folder_that_looks_like_a_partial_clone_is_asked_nothing(tmp_path: Path, program: Path) -> None:
    """Its HEAD is missing, so that git would fetch it with the program that its config names."""
    checkout = Checkout(tmp_path / "repository")
    checkout.save(base(), {"code/reader/pyproject.toml": PROJECT})
    checkout.commit()
    folder = checkout.folder / "code" / "reader"
    looks_like_a_repository(
        folder,
        "[core]\nrepositoryformatversion = 1\nbare = true\n[extensions]\npartialClone = origin\n"
        f'[remote "origin"]\nurl = {folder.as_uri()}\npromisor = true\nuploadpack = {program}\n',
    )
    subprocess.run(["git", "rev-list", "--count", "HEAD"], cwd=folder, capture_output=True, check=False)
    assert ran(program), "the trap does not work"
    (program.parent / "ran").unlink()
    assert checkout.review("main").differs
    assert not ran(program)


def test_a_plan_s_folder_that_looks_like_a_repository_is_refused(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "repository", "factory")
    checkout.save(base())
    checkout.commit()
    looks_like_a_repository(checkout.folder, "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = ../..\n")
    said = git(checkout.folder, "rev-parse", "--show-toplevel")
    assert said == str(tmp_path), "the trap does not work"
    with pytest.raises(FactoryError, match="not in a git work tree"):
        repository_of(str(checkout.folder / "factory-plan.yml"))
    assert history_here(str(checkout.folder / "factory-plan.yml")).repositories == {}


def test_commits_of_a_repository_in_the_work_tree_are_read_without_its_programs(tmp_path: Path, program: Path) -> None:
    """A plan may name it as a bot's url: its config has git verify signatures with a program of its own."""
    bots = Checkout(tmp_path / "bots")
    git(bots.top, "commit", "--quiet", "--allow-empty", "--message", "one")
    git(bots.top, "commit", "--quiet", "--allow-empty", "--message", "two")
    head, body = git(bots.top, "cat-file", "commit", "HEAD").split("\n\n", 1)
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n iQ==\n -----END PGP SIGNATURE-----\n\n{body}\n"
    (tmp_path / "commit").write_text(signed)
    commits = [git(bots.top, "rev-parse", "HEAD~1")]
    commits += [git(bots.top, "hash-object", "-t", "commit", "-w", str(tmp_path / "commit"))]
    git(bots.top, "config", "log.showSignature", "true")
    git(bots.top, "config", "gpg.program", str(program))
    git(bots.top, "log", commits[1])
    assert ran(program), "the trap does not work"
    (program.parent / "ran").unlink()

    plan = base()
    plan["factory"]["bots"]["reader"]["source"] = {"url": str(bots.top), "branch": "main"}
    checkout = Checkout(tmp_path / "repository")
    file = checkout.save(plan)
    locked: dict[str, Any] = {
        "source": {"kind": "git", "url": str(bots.top), "ref": "main"},
        "module": "reader",
        "digest": "2" * 64,
        "archive_sha256": "2" * 64,
        "layout": {"roots": [""]},
    }
    for commit in commits:
        lock = {"format": 1, "factory": "mill", "bots": {"reader": {**locked, "commit": commit}}}
        (checkout.folder / "plan.lock").write_text(json.dumps(lock))
        checkout.commit()
    found = checkout.review("main~1", history=history_here(str(file)))
    (bot,) = (one for one in stage(found).bots if one.name == "reader")
    assert [one.title for one in bot.commits] == ["two"]
    assert not ran(program)


def test_a_plan_that_is_a_link_is_not_followed_and_nothing_of_its_target_is_shown(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "repository")
    file = checkout.save(base())
    checkout.commit()
    secret = tmp_path / "secret"
    secret.write_text("factory: {token: s3cret}\n")
    for name in ("plan.lock", "factory-plan.yml"):
        (checkout.folder / name).unlink(missing_ok=True)
        (checkout.folder / name).symlink_to(secret)
        with pytest.raises(FactoryError, match=rf"{name} is a symbolic link") as refused:
            checkout.review("main")
        assert "s3cret" not in f"{refused.value.message} {refused.value.remedy}"
    assert file.is_symlink()


def test_what_an_assembly_calls_a_commit_is_no_option_of_git(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "repository")
    file = checkout.save(base())
    commit = checkout.commit()
    history = history_here(str(file))
    url = checkout.top.as_uri()
    found = history.between(url, commit, commit)
    assert found is not None and found.count == 0
    for other in (f"--output={tmp_path}/written", "--all", "HEAD", commit[:9]):
        assert history.between(url, other, commit) is None
        assert history.between(url, commit, other) is None
    assert not list(tmp_path.glob("written*"))
