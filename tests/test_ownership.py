"""A home that others could change is refused, with what to do; one that merely looks so is not."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import VARIABLE, find_home
from factory_cdk.ownership import is_contained

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
UNKNOWN = 54321


@contextmanager
def being(user: int) -> Iterator[None]:
    """Act as another user for a while."""
    before = os.geteuid()
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that other users get to, too: what pytest makes is this user's alone."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "ho me"
        folder.mkdir()
        yield folder


def find(home: Path, **variables: str) -> Path:
    return find_home({VARIABLE: str(home), **variables}, marks=())


def refusal(home: Path) -> FactoryError:
    with pytest.raises(FactoryError) as refused:
        find(home)
    return refused.value


def shared_group() -> int:
    """A group that a user of this system, who is not us, is in."""
    ours = (0, os.geteuid())
    return next(one.pw_gid for one in pwd.getpwall() if one.pw_uid not in ours and one.pw_gid and _is_group(one.pw_gid))


def _is_group(number: int) -> bool:
    try:
        return bool(grp.getgrgid(number))
    except KeyError:
        return False


def test_a_home_of_ones_own_and_one_that_is_not_there_are_fine(home: Path) -> None:
    home.chmod(0o755)
    assert find(home) == home
    assert find(home / "missing") == home / "missing"


def test_a_home_that_everybody_may_write_to_is_refused_also_when_it_is_sticky(home: Path) -> None:
    for mode in (0o777, 0o1777, 0o702):
        home.chmod(mode)
        error = refusal(home)
        assert f"{home} may be written to by everybody" in error.message
        assert f"chmod go-w '{home}'" in (error.remedy or "")


@needs_root
def test_a_home_of_another_user_is_refused_to_users_and_to_root(home: Path) -> None:
    other = pwd.getpwnam("nobody")
    os.chown(home, other.pw_uid, -1)
    assert f"{home} belongs to nobody" in refusal(home).message
    os.chown(home, UNKNOWN, -1)
    with being(other.pw_uid):
        assert f"{home} belongs to user {UNKNOWN}" in refusal(home).message
        assert find(home.parent) == home.parent, "it is root's, who may change everything anyway"


@needs_root
def test_root_may_use_what_belongs_to_a_user_that_is_not_here(home: Path) -> None:
    os.chown(home, UNKNOWN, UNKNOWN)
    home.chmod(0o775)
    assert find(home) == home


@needs_root
def test_a_group_may_write_only_when_nobody_else_is_in_it(home: Path) -> None:
    home.chmod(0o2775)
    assert find(home) == home, "root's own group"
    os.chown(home, -1, UNKNOWN)
    assert find(home) == home, "a group that nobody is in"
    other = shared_group()
    os.chown(home, -1, other)
    assert f"may be written to by the group {grp.getgrgid(other).gr_name}" in refusal(home).message
    user = next(one for one in pwd.getpwall() if one.pw_gid == other)
    os.chown(home, user.pw_uid, other)
    alone = {one.pw_name for one in pwd.getpwall() if one.pw_gid == other} | set(grp.getgrgid(other).gr_mem)
    if alone == {user.pw_name}:
        with being(user.pw_uid):
            assert find(home) == home, "the group of this user alone"


@pytest.mark.parametrize("variable", ["container", "KUBERNETES_SERVICE_HOST"])
def test_in_a_container_whoever_made_it_says_who_may_write(home: Path, variable: str) -> None:
    home.chmod(0o777)
    assert find(home, **{variable: "yes"}) == home
    mark = home / ".dockerenv"
    mark.touch()
    assert find_home({VARIABLE: str(home)}, marks=[str(mark)]) == home


@pytest.mark.skipif(is_contained(os.environ), reason="this is a container")
def test_a_command_says_so_without_a_traceback(home: Path) -> None:
    home.chmod(0o777)
    environ = {**os.environ, VARIABLE: str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "factory_cdk", "list"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "may be written to by everybody" in done.stderr
    assert "chmod go-w" in done.stderr
    assert "Traceback" not in done.stderr
