"""What ignore files left out of a bundle: told when it is packed, and when a bot misses it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_COUNTED = 10_000
"""Files of a folder that are counted."""

_MOST_SHOWN = 4
_MISSED = re.compile(r"No module named '([^']+)'|No such file or directory: '([^']+)'|cannot import name '([^']+)'")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that a source has and its bundle does not: its path (a folder's ends with `/`), and how many
    files that is, MOST_COUNTED at most.
    """

    path: str
    files: int = 1


def left_out_at(path: str, where: Path, *, folder: bool) -> LeftOut:
    """What is left out at `path`, which is `where` on disk."""
    if not folder:
        return LeftOut(path)
    count = 0
    for _, _, names in os.walk(where):
        count += len(names)
        if count >= MOST_COUNTED:
            return LeftOut(f"{path}/", MOST_COUNTED)
    return LeftOut(f"{path}/", count)


def summary(left_out: Sequence[LeftOut]) -> str:
    """What was left out in one line: `3 files: config.json, data/ (2)`; empty for nothing."""
    found = [one for one in left_out if one.files]
    if not found:
        return ""
    count = sum(one.files for one in found)
    many = "+" if any(one.files >= MOST_COUNTED for one in found) else ""
    shown = [f"{one.path} ({one.files:,})" if one.path.endswith("/") else one.path for one in found[:_MOST_SHOWN]]
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return f"{count:,}{many} {'file' if count == 1 else 'files'}: {', '.join(shown)}{more}"


def missed(left_out: Iterable[str], message: str) -> str | None:
    """The path among `left_out` that the `message` of a bot's error is about, or None.

    A FileNotFoundError names a path, a ModuleNotFoundError a module; a file in a folder that was left out is its.
    """
    found = _MISSED.search(message)
    if found is None:
        return None
    module, file, name = found.groups()
    wanted = file or (module or name).replace(".", "/")
    parts = [part for part in wanted.split("/") if part not in ("", ".", "..")]
    for path in left_out:
        own = path.rstrip("/").split("/")
        names = {tuple(own), (*own[:-1], own[-1].removesuffix(".py"))}
        if any(tuple(parts[at : at + len(one)]) == one for one in names for at in range(len(parts))):
            return path
        if not path.endswith("/") and any(one[-1:] == tuple(parts[-1:]) for one in names):
            return path
    return None
