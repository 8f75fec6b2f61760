"""Bundles laid out to be run from: one read-only folder for each, named by its digest, shared and never changed.

Bots of every kind of source run from there, those from a path too: what runs is then byte for byte what was
checked, locked and would go to an instance, and neither a factory nor a worker that is restarted picks up code
that its author has half edited. The price is a copy of the folder, and a `build` to see a change.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path

from factory_cdk.bundle import Bundle
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import disk, make_private
from factory_cdk.pack.archive import unpack
from factory_cdk.pack.paths import native
from factory_cdk.state.locks import holding, take_lock

BUNDLES = "bundles"
LONGEST_WAIT = 600.0
"""Seconds to wait for another process that lays out the same bundle."""


def bundle_folder(home: Path, digest: str) -> Path:
    """Where the bundle of this digest is laid out, whether it is or not."""
    return home / BUNDLES / digest


def lay_out(home: Path, bundle: Bundle) -> Path:
    """The folder with the files of `bundle`, made if need be: whole or not at all. FactoryError."""
    archive = archive_of(bundle)
    folder = bundle_folder(home, bundle.digest)
    make_private(folder.parent)
    lock = take_lock(folder.with_name(f"{folder.name}.lock"), wait=LONGEST_WAIT)
    if lock is None:
        raise FactoryError(
            f"another process has been unpacking {folder} for {LONGEST_WAIT / 60:.0f} minutes",
            "end that process, or wait for it",
        )
    with holding(lock), disk(folder):
        if not _is_whole(folder, archive):
            fresh = folder.with_name(f"{folder.name}.new")
            for leftover in (fresh, folder):
                remove_read_only(leftover)
            unpack(archive, fresh)
            _make_read_only(fresh)
            fresh.rename(folder)
    return folder


def archive_of(bundle: Bundle) -> Path:
    """The archive of a packed bundle. FactoryError when it is not in the cache."""
    if bundle.archive is None:
        raise FactoryError(f"{bundle.bot} is not packed", "run `factory-cdk pack`")
    return Path(bundle.archive)


def remove_read_only(folder: Path) -> None:
    """Remove a folder that was laid out, if it is there."""
    if folder.exists():
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o700)
        shutil.rmtree(folder)


def _is_whole(folder: Path, archive: Path) -> bool:
    """Whether every file is there with its size: a power loss may leave names without their contents."""
    if not folder.is_dir():
        return False
    try:
        with zipfile.ZipFile(archive) as bundle:
            return all(
                (folder / native(entry.filename)).lstat().st_size == entry.file_size for entry in bundle.infolist()
            )
    except FileNotFoundError:
        return False
    except zipfile.BadZipFile as error:
        raise FactoryError(f"{archive} is not a valid bundle: {error}", "delete it and pack again") from error


def _make_read_only(folder: Path) -> None:
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            file = Path(path, name)
            file.chmod(stat.S_IMODE(file.stat().st_mode) & 0o555)
        Path(path).chmod(0o555)
