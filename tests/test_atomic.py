"""A file is replaced whole or not at all, whoever else writes it, and keeps its permissions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factory_cdk.atomic import replace_file


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_permissions_are_those_of_the_file_before_or_what_the_umask_allows_or_as_given(
    tmp_path: Path, umask: int
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")
    assert (path.read_bytes(), mode(path)) == (b"one", 0o666 & ~umask)
    path.chmod(0o604)
    replace_file(path, b"two")
    assert (path.read_bytes(), mode(path)) == (b"two", 0o604)
    replace_file(path, b"three", mode=0o600, durable=False)
    assert (path.read_bytes(), mode(path)) == (b"three", 0o600)


def test_a_file_that_cannot_be_replaced_stays_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "folder" / "file").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    for workspace in (None, tmp_path / "work"):
        with pytest.raises(IsADirectoryError):
            replace_file(tmp_path / "folder" / "file", b"one", workspace=workspace)
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "nowhere" / "file", b"one")
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == {"folder", "folder/file", "work"}


def test_a_write_that_is_interrupted_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """A process may write no more than 4 KB to a file (the kernel's limit): the rest is refused in the middle."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    program = (
        "import resource, signal, sys; from pathlib import Path; from factory_cdk.atomic import replace_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "replace_file(Path(sys.argv[1]), bytes(100_000))"
    )
    done = subprocess.run([sys.executable, "-B", "-c", program, path], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_who_write_at_once_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 50_000 for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: replace_file(path, content, durable=False), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
