"""Where all state of factory_cdk lives, and what is said when it cannot be written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from factory_cdk.diagnostics import FactoryError
from factory_cdk.ownership import CONTAINER_MARKS, is_contained, refuse_others

VARIABLE = "FACTORY_CDK_HOME"
FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


class DiskFullError(FactoryError):
    """There is no room for what was to be written."""


def find_home(environ: Mapping[str, str] = os.environ, marks: Sequence[str] = CONTAINER_MARKS) -> Path:
    """The absolute folder that holds all state: FACTORY_CDK_HOME, else the platform's data directory.

    FactoryError when neither says (there is no HOME and the user is in no user database), and when others could change
    what is in it, except in a container, which has one of the files `marks`.
    """
    named = environ.get(VARIABLE)
    folder = Path(named).absolute() if named else _usual_home()
    if not is_contained(environ, marks):
        refuse_others(folder, f"set {VARIABLE} to a folder of your own")
    return folder


def _usual_home() -> Path:
    import platformdirs  # noqa: PLC0415 - 10 ms that a set variable saves

    try:
        folder = platformdirs.user_data_path("factory-cdk", appauthor=False)
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # older versions of platformdirs leave the ~ that they cannot resolve
        raise FactoryError(
            "there is no home directory to keep the state of factories in", f"set {VARIABLE} to a folder"
        )
    return folder


def pack_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the cache of bundles, in `find_home`."""
    return find_home(environ) / "cache" / "pack"


def make_private(folder: Path) -> Path:
    """Make `folder`, and the parents that it lacks, for this user alone (0700). FactoryError."""
    with disk(folder):
        for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return folder


def sync_folder(folder: Path, sync: Callable[[int], None] = os.fsync) -> None:
    """Make the names in `folder` durable; `sync` does it for an open file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def delete_folder(folder: Path) -> None:
    """Delete `folder` and all in it; what another process deletes at the same moment is no error: SQLite does, when the
    last one who has a database open closes it. OSError.
    """

    def gone_is_well(_function: object, _path: str, raised: tuple[type, BaseException, object]) -> None:
        if not isinstance(raised[1], FileNotFoundError):
            raise raised[1]

    shutil.rmtree(folder, onerror=gone_is_well)


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses (full, read-only, not ours) at `path` into a FactoryError; the rest passes."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> FactoryError:
    """The FactoryError that says what `error` means for the user of the state under `path`."""
    where = error.filename if isinstance(error.filename, str) else path
    if error.errno in FULL:
        return DiskFullError(f"the disk of {where} is full", f"free some space, or set {VARIABLE} to another disk")
    if error.errno in REFUSED:
        return FactoryError(
            f"{where} cannot be used: {error.strerror}", f"set {VARIABLE} to a folder that you may read and write"
        )
    if error.errno == errno.ENOTDIR:
        return FactoryError(f"{where} is not a folder", f"set {VARIABLE} to a folder")
    return FactoryError(f"{where}: {error.strerror or error}", "see whether it can be read and written")
