"""Modules of a bot that have the name of one of Python's standard library: which of the two an import gives depends on
who imports it first, and on whether the bot's code comes before the library on sys.path.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence


def shadowing(paths: Collection[str], roots: Sequence[str]) -> list[str]:
    """A note for each module among the files `paths` that is right in one of the import `roots` and has the name of a
    standard module.
    """
    notes = []
    for root in dict.fromkeys(roots):
        start = f"{root}/" if root else ""
        for name in sorted(sys.stdlib_module_names):
            for path in (f"{start}{name}.py", f"{start}{name}/__init__.py"):
                if path in paths:
                    notes.append(
                        f"{path} has the name of a module of Python's standard library: `import {name}` may give "
                        "either of them; rename the file" + (" or folder" if path.endswith("/__init__.py") else "")
                    )
    return notes
