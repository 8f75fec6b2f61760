"""What ignore files left out of a bundle, as it is told when that is packed (`bundle.missed` tells it of a bot that
misses it).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_COUNTED = 10_000
"""Files of a folder that are counted."""

_MOST_SHOWN = 4


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
