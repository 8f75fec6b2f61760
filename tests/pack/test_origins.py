"""What stands in for an unpacked bot, and what is never shown of where code came from."""

from pathlib import Path

import pytest

from factory_cdk.bundle import digest_of_source, origin_of, unpacked, without_credentials
from factory_cdk.plan.model import Bot, GitSource, PathSource, PypiSource


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://user:word@host/repo.git", "https://host/repo.git"),
        ("https://token@host:8443/repo", "https://host:8443/repo"),
        ("ssh://git:word@host/repo", "ssh://git@host/repo"),
        ("ssh://fredsmith@bitbucket.org/my-bots-repo", "ssh://fredsmith@bitbucket.org/my-bots-repo"),
        ("git@bitbucket.org/my-bots-repo", "git@bitbucket.org/my-bots-repo"),
        ("git@bitbucket.org:team/repo", "git@bitbucket.org:team/repo"),
        ("https://user:wo/rd@host/repo", "https://host/repo"),
        ("https://user:wo@rd@host/repo", "https://host/repo"),
        ("https://user:wo#rd@host/repo", "https://host/repo"),
        ("https://user:wo?rd@host/repo", "https://host/repo"),
        ("https://host/repo?private_token=word#word", "https://host/repo"),
        ("https://host/@scope/repo", "https://host/@scope/repo"),
        ("https://u:word@[::1]:3000/repo", "https://[::1]:3000/repo"),
        ("file:///srv/repo.git", "file:///srv/repo.git"),
        ("ssh://glpat-0123456789abcdefghij@host/repo", "ssh://host/repo"),
        ("glpat-0123456789abcdefghij@host:team/repo", "host:team/repo"),
        ("https://[broken/repo", "https://[broken/repo"),
    ],
)
def test_an_address_is_shown_without_its_credentials(written: str, shown: str) -> None:
    assert without_credentials(written) == shown
    assert without_credentials(shown) == shown


def test_an_origin_names_the_commit_where_there_is_one_else_the_branch() -> None:
    source = GitSource("https://t@host/repo", branch="develop", subdirectory="bots")
    assert origin_of(source) == "https://host/repo@develop (in bots)"
    assert origin_of(source, "c0ffee") == "https://host/repo@c0ffee (in bots)"
    assert origin_of(PypiSource("tool[fast]", "1.5.9")) == "tool[fast]==1.5.9"
    assert origin_of(PypiSource("tool", ">=1,<2")) == "tool>=1,<2"


def test_the_digest_of_a_source_is_what_the_plan_says_whoever_builds_and_wherever() -> None:
    here, there = Path("/here/code"), Path("/there/code")
    assert digest_of_source(PathSource("code", here)) == digest_of_source(PathSource("code", there))
    one = GitSource("https://one@host/repo", options={"depth": 1, "quiet": True})
    assert digest_of_source(one) == digest_of_source(GitSource("https://other:token@host/repo"))
    assert digest_of_source(one) != digest_of_source(GitSource("https://host/repo", branch="main"))


def test_an_unpacked_bot_has_a_bundle_that_says_so() -> None:
    bundle = unpacked(Bot("b", PypiSource("tool"), bot_path="tool:run"))
    assert (bundle.bot, bundle.packed, bundle.kind, bundle.origin) == ("b", False, "pypi", "tool")
    assert len(bundle.digest) == 64
    assert bundle.archive is None
