"""Archives of wheels, unpacked to be installed from: one folder for each, named by the SHA-256 of the archive."""

from __future__ import annotations

import shutil
from pathlib import Path

from packaging.utils import parse_wheel_filename

from factory_cdk.home import disk, make_private
from factory_cdk.pack.archive import unpack

WHEELS = "wheels"
"""The folder of a home in which they are."""


def unpacked_wheels(archive: Path, folder: Path) -> tuple[Path, ...]:
    """The wheels of `archive` in `folder`, which is there whole or not at all, sorted. FactoryError."""
    make_private(folder.parent)
    with disk(folder):
        if not folder.is_dir():
            fresh = folder.with_name(f"{folder.name}.new")
            if fresh.exists():
                shutil.rmtree(fresh)
            unpack(archive, fresh)
            fresh.rename(folder)
        return tuple(sorted(folder.glob("*.whl")))


def name_of_wheel(wheel: Path) -> str:
    """The package that is in a wheel."""
    return parse_wheel_filename(wheel.name)[0]
