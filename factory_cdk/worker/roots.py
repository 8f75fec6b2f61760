"""The bot's own code: found first, and compiled elsewhere, so that its folder is only read."""

from __future__ import annotations

import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    import types
    from collections.abc import Sequence


def use_roots(roots: Sequence[str], bytecode: str | None) -> None:
    """Put `roots` in front of sys.path; compiled files of what is below them go below `bytecode`, if given."""
    sys.path[:0] = roots
    if bytecode is None:
        return
    below = tuple(os.path.join(root, "") for root in roots)  # noqa: PTH118 - pathlib takes 10 ms to import

    class RootLoader(SourceFileLoader):
        def get_code(self, fullname: str) -> types.CodeType | None:
            before, sys.pycache_prefix = sys.pycache_prefix, bytecode
            try:
                return super().get_code(fullname)
            finally:
                sys.pycache_prefix = before

    find = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (RootLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )

    def hook(path: str) -> FileFinder:
        if not os.path.join(path, "").startswith(below):  # noqa: PTH118
            raise ImportError(path)
        return find(path)  # type: ignore[return-value]

    sys.path_hooks.insert(0, hook)
    for root in roots:
        sys.path_importer_cache.pop(root, None)
