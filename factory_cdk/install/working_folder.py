"""The working folder of a bot: a copy of its bundle of its own, which it may write to.

What a bot writes beside its code stays in its stage, and goes with it: neither other bots that share the bundle, nor
other stages, nor the next build see it.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from factory_cdk.home import disk, make_private
from factory_cdk.install.bundles import remove_read_only


def make_working_folder(folder: Path, bundle: Path) -> None:
    """Copy the folder `bundle` to `folder`, whole or not at all, for its owner to write to; one that is there stays as
    it is. FactoryError.
    """
    if folder.exists():
        return
    make_private(folder.parent)
    fresh = folder.with_name(f"{folder.name}.new")
    with disk(folder):
        remove_read_only(fresh)  # what a killed build left
        shutil.copytree(bundle, fresh, symlinks=True)
        for path, _, files in os.walk(fresh):
            for entry in (Path(path), *(Path(path, name) for name in files)):
                if not entry.is_symlink():
                    entry.chmod(stat.S_IMODE(entry.stat().st_mode) | stat.S_IWUSR)
        fresh.rename(folder)
