"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(
    path: Path, content: bytes, *, mode: int | None = None, durable: bool = True, workspace: Path | None = None
) -> None:
    """Replace the file at `path` by `content`, whole or not at all, whoever else writes it at the same time.

    `mode`: its permissions; None keeps those of the file that is there, or gives a new one what the umask allows.
    `durable`: return when the file, and its name, are on disk. `workspace`: a folder on the same disk for the file
    until it is whole (None: that of `path`), where what a killed process leaves is cleared away. OSError when the file
    cannot be written; nothing is left then.
    """
    new = (workspace or path.parent) / f".{path.name}.{os.urandom(8).hex()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is None:
                _keep_mode(path, descriptor)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def _keep_mode(path: Path, descriptor: int) -> None:
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return
    os.fchmod(descriptor, mode)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
