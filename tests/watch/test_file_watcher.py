"""What a file watcher watches, and when it says that something changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_works import PATIENCE, until

from factory_cdk.pack.sources.folder import snapshot_of_folder
from factory_cdk.plan.model import PathSource
from factory_cdk.watch.file_watcher import Changes, FileWatcher, Watched, is_eventless


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "bots.py").write_text("one")
    (folder / ".gitignore").write_text("node_modules/\n*.log\n")
    return folder


class Looking:
    """A file watcher at work in a thread; what it saw, look by look, what was nothing left out."""

    def __init__(self, *sources: PathSource, files: tuple[Path, ...] = ()) -> None:
        self.saw: list[Changes] = []
        self.said: list[str] = []
        self._stop = threading.Event()
        self.watcher = FileWatcher(sources, files, self._stop, self.said.append)
        self._thread = threading.Thread(target=self._look)

    def seen(self) -> set[Watched]:
        """All that changed so far."""
        return set().union(*self.saw)

    def __enter__(self) -> Looking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _look(self) -> None:
        self.saw += (seen for seen in self.watcher.changes() if seen)


@pytest.fixture
def looking(code: Path) -> Iterator[Looking]:
    with Looking(PathSource("code", code)) as begun:
        yield begun


def test_a_change_from_before_the_first_look_is_seen(code: Path) -> None:
    looking = Looking(PathSource("code", code))
    (code / "package" / "bots.py").write_text("two")
    with looking:
        until(lambda: looking.saw)
    assert looking.seen() == {PathSource("code", code)}


def test_only_the_source_that_changed_is_named_and_a_subdirectory_is_a_source_of_its_own(code: Path) -> None:
    whole, part = PathSource("code", code), PathSource("code", code, "package")
    with Looking(whole, part) as looking:
        (code / "other.py").write_text("x")
        until(lambda: looking.saw)
        assert looking.seen() == {whole}
        (code / "package" / "bots.py").write_text("two")
        until(lambda: looking.seen() == {whole, part})


def test_a_folder_made_with_all_that_is_in_it_is_watched_from_then_on(code: Path, looking: Looking) -> None:
    (code / "a" / "b" / "c").mkdir(parents=True)
    (code / "a" / "b" / "c" / "deep.py").write_text("1")
    until(lambda: any("a/b/c/deep.py" in names for seen in looking.saw for names in seen.values()))
    before = len(looking.saw)
    (code / "a" / "b" / "c" / "deep.py").write_text("2")
    until(lambda: looking.saw[before:])


def test_an_ignore_file_above_the_source_and_a_plan_are_looked_at_too(tmp_path: Path, code: Path) -> None:
    (tmp_path / ".git").mkdir()
    plan = tmp_path / "plan.yml"
    plan.write_text("one")
    with Looking(PathSource("code", code), files=(plan,)) as looking:
        (tmp_path / ".gitignore").write_text("bots.py\n")
        until(lambda: looking.saw)
        assert looking.seen() == {PathSource("code", code)}
        plan.with_suffix(".new").write_text("two")
        plan.with_suffix(".new").replace(plan)
        until(lambda: looking.seen() == {PathSource("code", code), plan})


def test_ignored_folders_are_not_even_watched_and_the_folders_that_links_lead_to_are(code: Path) -> None:
    for folder in ("node_modules/huge", ".git/objects", "venv", "hidden/there"):
        (code / folder).mkdir(parents=True)
    (code / "venv" / "pyvenv.cfg").touch()
    (code / "hidden" / "there" / "data").write_text("1")
    (code / ".factoryignore").write_text("hidden\n")
    (code / "data").symlink_to("hidden/there/data")
    found = snapshot_of_folder(code, "code")
    assert found.error is None
    assert found.folders == {str(code), str(code / "package"), str(code / "hidden" / "there")}
    assert set(found.files) == {".gitignore", ".factoryignore", "data", "package/bots.py"}
    assert snapshot_of_folder(code, "code") == found
    (code / "hidden" / "there" / "data").write_text("2")
    assert snapshot_of_folder(code, "code") != found


def test_a_source_that_cannot_be_packed_is_another_one_than_it_was(code: Path) -> None:
    before = snapshot_of_folder(code, "code")
    (code / "loop").symlink_to(".")
    looped = snapshot_of_folder(code, "code")
    assert looped != before
    assert "the link 'loop' points at a folder that it lies in" in (looped.error or "")
    (code / "loop").unlink()
    assert snapshot_of_folder(code, "code") == before
    gone = snapshot_of_folder(code / "nowhere", "code/nowhere")
    assert (gone.files, gone.folders) == ({}, frozenset())
    assert "does not exist" in (gone.error or "")


MOUNTS = [
    ("/home/me/shared", "nfs4"),
    ("/mnt/c", "9p"),
    ("/home/me/shared/disk", "ext4"),
    ("/x", "fuse.sshfs"),
    ("/", "ext4"),
]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/me/code", False), ("/home/me/shared/code", True), ("/home/me/shared/disk/code", False),
        ("/mnt/c/code", True), ("/mnt/code", False), ("/x", True), ("/xyz", False),
    ],
)  # fmt: skip
def test_a_file_system_of_another_machine_is_known_by_its_type(folder: str, expected: bool) -> None:
    assert is_eventless(Path(folder), MOUNTS) is expected
