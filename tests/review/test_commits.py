"""A plan as a commit has it: out of git's objects, nothing checked out, nothing fetched."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bot_sources import git
from two_versions import REGION, Plan, base, sector, stage, write

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.sources.version import version_of_folder
from factory_cdk.review.model import Report, Verdict
from factory_cdk.review.reviewing import reviewed
from factory_cdk.review.sides import of_git
from factory_cdk.review.sides.of_git import repository_of, side_of_commit
from factory_cdk.review.sides.of_plan import side_of_plan


class Checkout:
    """A git work tree with a plan in it."""

    def __init__(self, folder: Path, below: str = "") -> None:
        self.top = folder
        self.folder = folder / below
        self.folder.mkdir(parents=True)
        git(self.top, "init", "--quiet", "--initial-branch=main")

    def save(self, plan: Plan, code: Mapping[str, str] | None = None) -> Path:
        return write(self.folder, plan, code)

    def commit(self) -> str:
        git(self.top, "add", "--all")
        git(self.top, "commit", "--quiet", "--message", "a commit")
        return git(self.top, "rev-parse", "HEAD")

    def review(self, ref: str, **more: Any) -> Report:
        file = str(self.folder / "factory-plan.yml")
        cache = self.top.parent / "cache"
        after = side_of_plan(file, cache=cache, region=REGION, inside=self.top)
        with side_of_commit(repository_of(file), ref, cache=cache, region=REGION) as before:
            return reviewed(file, before, after, **more)


@pytest.fixture(params=["", "deep/er plans"])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a work tree", request.param)


def test_what_is_committed_is_unchanged_and_the_work_tree_stays_as_it_was(checkout: Checkout) -> None:
    checkout.save(base())
    commit = checkout.commit()
    checkout.save(base(), {"code/reader/reader.py": "def run(payload): return 2\n"})
    before = git(checkout.top, "status", "--porcelain"), (checkout.top / ".git" / "index").read_bytes()
    found = checkout.review("main")
    assert found.before == f"main ({commit[:9]})"
    assert sector(found).verdict is Verdict.CHANGED
    assert stage(found).bots[0].files is not None
    assert stage(found).bots[0].files.changed == ("reader.py",)
    assert (git(checkout.top, "status", "--porcelain"), (checkout.top / ".git" / "index").read_bytes()) == before
    checkout.save(base())
    assert not checkout.review("HEAD").differs


def test_files_that_git_ignores_make_no_difference(checkout: Checkout) -> None:
    checkout.save(base(), {".gitignore": "*.log\n/code/reader/data/\n", "code/reader/data/big.bin": "x"})
    checkout.commit()
    checkout.save(base(), {"code/reader/run.log": "a\n", "code/reader/data/big.bin": "y"})
    assert not checkout.review("HEAD").differs


def test_a_plan_that_the_commit_lacks_is_all_new(checkout: Checkout) -> None:
    (checkout.top / "README").write_text("first\n")
    checkout.commit()
    checkout.save(base())
    found = checkout.review("HEAD")
    assert [one.verdict for one in found.stages] == [Verdict.ADDED]
    assert {one.verdict for one in stage(found).sectors} == {Verdict.ADDED}
    assert any("everything is new" in note for note in found.notes)


def test_a_plan_that_was_not_valid_is_said_so_and_compared_as_far_as_it_goes(checkout: Checkout) -> None:
    broken = base()
    broken["factory"]["bots"]["third"] = {"source": {"path": "code/third", "nonsense": 1}, "bot_path": "third:run"}
    broken["factory"]["stages"]["prod"]["box"]["parameters"]["ImageId"] = "ami-0fedcba9876543210"
    checkout.save(broken)
    checkout.commit()
    checkout.save(base())
    found = checkout.review("HEAD")
    assert any("nonsense" in problem and problem.startswith("HEAD:") for problem in found.problems)
    assert sector(found).verdict is Verdict.REPLACED
    assert [one.what for one in sector(found).why] == ["ImageId"]


def test_a_stage_that_was_not_valid_does_not_hide_the_others(checkout: Checkout) -> None:
    broken = base()
    broken["factory"]["stages"]["test"] = {"box": {"type": "aws", "bots": {"nobody": {}}, "parameters": {}}}
    checkout.save(broken)
    checkout.commit()
    good = base()
    good["factory"]["stages"]["test"] = {"here": {"type": "local", "bots": {"writer": {}}}}
    checkout.save(good)
    found = checkout.review("HEAD")
    assert stage(found).verdict is Verdict.UNCHANGED
    assert found.problems


def test_text_that_is_no_plan_at_all(checkout: Checkout) -> None:
    checkout.save(base())
    file = checkout.folder / "factory-plan.yml"
    good = file.read_text()
    file.write_text("factory: [")
    checkout.commit()
    file.write_text(good)
    found = checkout.review("HEAD")
    assert found.problems and found.differs
    assert "cannot be compared" in stage(found).problems[0]


@pytest.mark.parametrize("ref", ["nowhere", "-h", "--all", "main~9", "main:factory-plan.yml", "a b", "\n"])
def test_a_ref_that_names_no_commit_here_is_refused_with_the_remedy(ref: str, checkout: Checkout) -> None:
    checkout.save(base())
    checkout.commit()
    with pytest.raises(FactoryError, match="git has no commit") as refused:
        checkout.review(ref)
    assert "git fetch" in (refused.value.remedy or "")


def test_what_is_fetched_is_not_yet_known_by_its_name(checkout: Checkout) -> None:
    """A clone of one branch has another one as FETCH_HEAD alone."""
    checkout.save(base())
    checkout.commit()
    for ref, remedy in (("release/2", "`git fetch origin release/2`, then `--against FETCH_HEAD`"),
                        ("HEAD~7", "`git fetch --unshallow`")):  # fmt: skip
        with pytest.raises(FactoryError) as refused:
            checkout.review(ref)
        assert remedy in (refused.value.remedy or "")


def test_a_plan_in_no_repository_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, base())
    with (
        pytest.raises(FactoryError, match="not in a git work tree"),
        side_of_commit(repository_of(str(file)), "HEAD", cache=tmp_path / "cache"),
    ):
        pass


def test_a_source_beside_the_repository_is_not_compared_and_said_so(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "repository")
    outside = tmp_path / "shared"
    outside.mkdir()
    (outside / "reader.py").write_text("def run(payload): return payload\n")
    plan = base()
    plan["factory"]["bots"]["reader"]["source"] = {"path": "../shared"}
    checkout.save(plan)
    checkout.commit()
    found = checkout.review("HEAD")
    assert not found.differs
    assert "the code of reader is outside of the repository, and not compared" in found.notes


@pytest.mark.parametrize("path", ["{outside}", "../shared", "code/link"])
def test_a_plan_under_review_cannot_have_folders_of_the_machine_read(path: str, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "repository")
    outside = tmp_path / "shared"
    for name in ("a", "b"):
        (outside / name).mkdir(parents=True)
        (outside / name / f"{name}-private.py").write_text("def run(payload): return payload\n")
    plans = []
    for name in ("a", "b"):
        plan = base()
        plan["factory"]["bots"]["reader"]["source"] = {"path": f"{path.format(outside=outside)}/{name}"}
        plans.append(plan)
    checkout.save(plans[0])
    (checkout.folder / "code" / "link").symlink_to(outside)
    checkout.commit()
    checkout.save(plans[1])
    found = checkout.review("HEAD")
    assert "private" not in repr(found)
    assert stage(found).bots[0].files is None
    assert not list((tmp_path / "cache").glob("bundles/*/*private*"))


def test_a_plan_that_is_a_link_in_the_commit_is_not_followed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "repository")
    secret = tmp_path / "secret.yml"
    secret.write_text("factory: {name: secret, token: abc}\n")
    (checkout.folder / "factory-plan.yml").symlink_to(secret)
    checkout.commit()
    (checkout.folder / "factory-plan.yml").unlink()
    checkout.save(base())
    found = checkout.review("HEAD")
    assert "symbolic link" in found.problems[0] and "token" not in repr(found)


def test_requirements_beside_the_plan_are_those_of_the_commit(checkout: Checkout) -> None:
    plan = base()
    plan["factory"]["bots"]["writer"] = {
        "source": {"pypi": "tool", "version": "1"},
        "bot_path": "tool:run",
        "requirements_path": "more/tool.txt",
    }
    checkout.save(plan, {"more/tool.txt": "-r base.txt\n", "more/base.txt": "six\n", "more/deep/x.txt": "\n"})
    checkout.commit()
    assert not checkout.review("HEAD").differs


def test_a_source_that_moves_in_the_repository_is_read_where_it_was(checkout: Checkout) -> None:
    checkout.save(base())
    checkout.commit()
    moved = base()
    moved["factory"]["bots"]["reader"]["source"] = {"path": "elsewhere"}
    checkout.save(moved, {"elsewhere/reader.py": "def run(payload): return payload\n"})
    found = checkout.review("HEAD")
    bot = stage(found).bots[0]
    assert (bot.before, bot.after) == ("code/reader", "elsewhere")


def test_the_commit_of_a_partial_clone_is_not_fetched(tmp_path: Path) -> None:
    origin = Checkout(tmp_path / "origin")
    origin.save(base(), {"code/reader/reader.py": "def run(payload): return 1\n"})
    origin.commit()
    origin.save(base(), {"code/reader/reader.py": "def run(payload): return 2\n"})
    origin.commit()
    git(origin.top, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", origin.top.as_uri(), "partial")
    file = str(tmp_path / "partial" / "factory-plan.yml")
    with (
        pytest.raises(FactoryError) as refused,
        side_of_commit(repository_of(file), "HEAD~1", cache=tmp_path / "cache", region=REGION) as before,
    ):
        before.stage("prod")
    assert "HEAD~1" in refused.value.message
    assert "partial clone" in (refused.value.remedy or "")
    missing = git(tmp_path / "partial", "rev-list", "--objects", "--missing=print", "--all")
    assert "?" in missing


def test_versions_that_git_gives_are_those_of_the_commit(checkout: Checkout) -> None:
    checkout.save(base())
    checkout.commit()
    git(checkout.top, "tag", "v1.4.0")
    checkout.save(base(), {"code/reader/more.py": "\n"})
    later = checkout.commit()
    repository = of_git.repository_of(str(checkout.folder / "factory-plan.yml"))
    for ref, version in (("v1.4.0", "1.4.0"), ("HEAD", f"1.4.1.dev1+g{later[:9]}")):
        commit = repository.commit(ref)
        top = checkout.top.parent / commit
        laid_out = of_git.Commit(repository, commit, ref, top, checkout.top.parent / "cache", REGION)
        assert laid_out.side().stages == ("prod",)
        assert version_of_folder(repository.git, top / checkout.folder.relative_to(checkout.top)) == version


def test_nothing_is_left_behind(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    checkout.save(base())
    checkout.commit()
    checkout.review("HEAD")
    assert list(temporary.iterdir()) == []
    assert subprocess.run(["git", "fsck"], cwd=checkout.top, capture_output=True, check=False).returncode == 0
