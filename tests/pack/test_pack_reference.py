"""The source examples of the reference document, written as it writes them, read by the plan language and packed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pack_sources import BOT, TARGET, Repository, git, names, wheel, write_files

from factory_cdk.pack import PackReport, pack
from factory_cdk.plan.load import read_plan

PLAN = """factory:
  name: works
  bots:
    b:
      source:
{source}
      bot_path: {target}
  stages:
    test:
      here:
        type: local
        bots: {{b: {{}}}}
"""


@pytest.fixture
def packed(repository: Repository, tmp_path: Path, env: dict[str, str]) -> Callable[..., PackReport]:
    """Packs the bot of a plan with a source as written; the reference's hosts are repositories on this machine."""
    redirected = "".join(
        f'[url "{repository.url}"]\n insteadOf = {host}\n'
        for host in ("ssh://git@bitbucket.org/my-bots-repo", "https://github.com/some/repo.git")
    )
    Path(env["HOME"], ".gitconfig").write_text(redirected)

    def run(source: str, target: str = TARGET) -> PackReport:
        lines = "\n".join(f"        {line}" for line in source.splitlines())
        file = (
            write_files(tmp_path, {"factory-plan.yml": PLAN.format(source=lines, target=target)}) / "factory-plan.yml"
        )
        plan = read_plan(file)
        report = pack(plan, list(plan.bots.values()), cache=tmp_path / "cache", env=env)
        report.refuse_failures()
        return report

    return run


def test_a_private_repository_with_local_ssh_credentials(
    packed: Callable[..., PackReport], repository: Repository
) -> None:
    commit = repository.commit(BOT)
    report = packed("url: git@bitbucket.org/my-bots-repo")
    assert report.bundles["b"].origin == f"git@bitbucket.org/my-bots-repo@{commit}"


def test_a_public_repository(packed: Callable[..., PackReport], repository: Repository) -> None:
    commit = repository.commit(BOT)
    report = packed("url: https://github.com/some/repo.git")
    assert report.bundles["b"].origin == f"https://github.com/some/repo.git@{commit}"


def test_a_repository_with_arguments_of_git_clone(packed: Callable[..., PackReport], repository: Repository) -> None:
    repository.commit({"x": ""})
    repository.commit(BOT, branch="develop")
    report = packed("url: https://github.com/some/repo.git\nbranch: develop\nbare: true\nquiet: true")
    assert names(report.bots[0]) == sorted(BOT)


def test_a_path_to_local_code(packed: Callable[..., PackReport], tmp_path: Path) -> None:
    code = write_files(tmp_path / "home" / "user" / "path to" / "code", BOT)
    for path in (str(code), "home/user/path to/code"):
        assert names(packed(f"path: {path}").bots[0]) == sorted(BOT)


def test_a_package_on_pypi_with_and_without_a_version(packed: Callable[..., PackReport], index: Path) -> None:
    for version in ("1.2.3", "1.3"):
        wheel(index, "a_package_name", version)
    for source, version in (("", "1.3"), ("\nversion: 1.2.3", "1.2.3")):
        report = packed(f"pypi: a-package-name{source}", "a_package_name:run")
        assert report.bundles["b"].requirements[0].startswith(f"a-package-name=={version} --hash=sha256:")


def test_the_repository_of_the_tests_is_what_git_sees(repository: Repository) -> None:
    """Keeps the other tests honest: what they commit is a sound repository."""
    repository.commit(BOT, links={"x": "bots"}, executable=["bots/first.py"])
    assert "error" not in git(repository.folder, "fsck", "--strict")
