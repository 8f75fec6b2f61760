"""What was made to run a save, and what nothing runs any more: it would fill the disk, save after save."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from factory_cdk.home import disk
from factory_cdk.install.bundles import remove_read_only
from factory_cdk.pack.cache import BundleCache
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.stages import list_factories


class Superseded:
    """Bundles under `home`, and in the `cache` that they came from, which were made since this object was: by a watch,
    for the pool specs that are added. What was there before is left alone, and so are environments that others may
    share.
    """

    def __init__(self, home: Path, cache: Path) -> None:
        self._home, self._cache = home, BundleCache(cache)
        self._since = time.time()
        self._added: dict[str, PoolSpec] = {}

    def add(self, pool_specs: Iterable[PoolSpec]) -> None:
        """Pool specs that run, or are about to."""
        self._added.update({pool_spec.bundle: pool_spec for pool_spec in pool_specs})

    def clear(self, kept: Collection[str] = ()) -> None:
        """Remove what was added and is on the spec of no stage, except the bundles with the digests `kept`.

        FactoryError when it cannot be removed.
        """
        used = {
            folder
            for factory in list_factories(self._home)
            if factory.spec
            for pool_spec in factory.spec.pool_specs
            for folder in _folders(pool_spec)
        }
        for name, pool_spec in list(self._added.items()):
            if Path(name) not in used and Path(name).name not in kept:
                del self._added[name]
                self._remove(pool_spec, used)

    def _remove(self, pool_spec: PoolSpec, used: set[Path]) -> None:
        bundle = Path(pool_spec.bundle)
        for folder in _folders(pool_spec):
            if folder not in used and self._is_ours(folder):
                with disk(folder):
                    remove_read_only(folder)
        if pool_spec.bytecode is not None:
            shutil.rmtree(Path(pool_spec.bytecode, *bundle.parts[1:]), ignore_errors=True)  # no more than a cache
        self._cache.remove(bundle.name, self._since)

    def _is_ours(self, folder: Path) -> bool:
        try:
            return folder.stat().st_ctime >= self._since
        except FileNotFoundError:
            return False


def _folders(pool_spec: PoolSpec) -> list[Path]:
    """The folders that only workers with this very code need: its bundle, its working folder, and its environment if it
    is installed.
    """
    folders = [Path(pool_spec.bundle), Path(pool_spec.folder)]
    return folders if pool_spec.roots else [*folders, Path(pool_spec.python).parents[1]]
