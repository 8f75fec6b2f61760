"""What all that keeps state in files needs: folders that are deleted while others delete in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory_cdk.home import delete_folder


def test_a_folder_is_deleted_while_another_process_deletes_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "queues"
    (folder / "bodies").mkdir(parents=True)
    for name in ("queues.sqlite3", "queues.sqlite3-shm", "queues.sqlite3-wal"):
        (folder / name).touch()
    real = os.unlink

    def after_another(path: str, *, dir_fd: int | None = None) -> None:
        """SQLite's last user deletes both beside the database between our look at the folder and our own deleting."""
        for beside in ("queues.sqlite3-shm", "queues.sqlite3-wal"):
            if (folder / beside).exists():
                os.remove(folder / beside)  # noqa: PTH107 - `unlink` is what is watched
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", after_another)
    delete_folder(folder)
    assert not folder.exists()


def test_what_cannot_be_deleted_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        delete_folder(tmp_path / "file")
