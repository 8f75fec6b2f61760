"""Leftovers: what was made to run a save, and what nothing runs any more: it would fill the disk, save after save."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from factory_cdk.home import disk
from factory_cdk.local.bundles import remove_read_only
from factory_cdk.local.roster import Posting
from factory_cdk.local.standing import list_factories
from factory_cdk.pack.store import Store


class Leftovers:
    """Bundles under `home`, and in the `cache` that they came from, which were made since this object was: by a watch,
    for the postings that are added. What was there before is left alone, as all environments are that others may share.
    """

    def __init__(self, home: Path, cache: Path) -> None:
        self._home, self._store = home, Store(cache)
        self._since = time.time()
        self._added: dict[str, Posting] = {}

    def add(self, postings: Iterable[Posting]) -> None:
        """Postings that run, or are about to."""
        self._added.update({posting.folder: posting for posting in postings})

    def clear(self, kept: Collection[str] = ()) -> None:
        """Remove what was added and is on the roster of no stage, except the bundles with the digests `kept`.

        FactoryError when it cannot be removed.
        """
        used = {
            folder
            for factory in list_factories(self._home)
            if factory.roster
            for posting in factory.roster.postings
            for folder in _folders(posting)
        }
        for name, posting in list(self._added.items()):
            if Path(name) not in used and Path(name).name not in kept:
                del self._added[name]
                self._remove(posting, used)

    def _remove(self, posting: Posting, used: set[Path]) -> None:
        bundle = Path(posting.folder)
        for folder in _folders(posting):
            if folder not in used and self._is_ours(folder):
                with disk(folder):
                    remove_read_only(folder)
        if posting.bytecode is not None:
            shutil.rmtree(Path(posting.bytecode, *bundle.parts[1:]), ignore_errors=True)  # no more than a cache
        self._store.forget(bundle.name, self._since)

    def _is_ours(self, folder: Path) -> bool:
        try:
            return folder.stat().st_ctime >= self._since
        except FileNotFoundError:
            return False


def _folders(posting: Posting) -> list[Path]:
    """The folders that only workers with this very code need: its bundle, and its environment if it is installed."""
    bundle = Path(posting.folder)
    return [bundle] if posting.roots else [bundle, Path(posting.python).parents[1]]
