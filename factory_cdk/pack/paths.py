"""Which paths a bundle may hold: relative ones that stay inside it, on every operating system."""

from __future__ import annotations

import os
import re

from factory_cdk.diagnostics import FactoryError

OURS = ".factory_cdk"
"""The folder of a bundle that is ours alone: its locked requirements lie there."""

REQUIREMENTS = f"{OURS}/requirements.txt"
"""Where a bundle holds its locked requirements, in the form that uv and pip read."""

_LONGEST = 1024
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What HFS+ leaves out of names (utf8.c of git, next_hfs_char)."""

_SHORT_GIT = re.compile(r"git~[0-9]+")
"""The short name that Windows gives `.git`."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def native(text: str) -> str:
    """`text`, whose bytes are UTF-8 everywhere, as this Python hands it to the operating system.

    The same text but in a locale of another encoding, in which a name of a file is still the same bytes.
    """
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def portable(name: str) -> str:
    """A name that the operating system gave, read as UTF-8 whatever the locale: the inverse of `native`."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def checked(raw: bytes | str, where: str) -> str:
    """The path of a file of a source, `/` between its parts; FactoryError when a bundle cannot hold it.

    Refused: what is not UTF-8, contains a control character or a backslash, is absolute, climbs (`..`), has an
    empty part, lies in a `.git` folder or in ours, or is over 1024 characters long.
    """
    try:
        path = raw.decode() if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        raise _refused(raw, where, "is not UTF-8") from None
    parts = path.split("/")
    if _CONTROL.search(path):
        raise _refused(path, where, "contains a control character")
    if "\\" in path:
        raise _refused(path, where, "contains a backslash, which separates folders on Windows")
    if "" in parts or "." in parts or ".." in parts or (path[1:2] == ":" and len(parts[0]) == 2):
        raise _refused(path, where, "leaves the folder")
    seen = [_as_other_systems_see(part) for part in parts]
    if any(part == ".git" or _SHORT_GIT.fullmatch(part) for part in seen):
        raise _refused(path, where, "lies in a .git folder")
    if seen[0] == OURS:
        raise _refused(path, where, f"lies in {OURS}/, which is reserved for files that factory-cdk adds")
    if len(path) > _LONGEST:
        raise _refused(path[:80] + "…", where, f"is over {_LONGEST} characters long")
    return path


def _as_other_systems_see(part: str) -> str:
    """A part of a path as the file systems of Windows and macOS read it: without case, points and spaces at its end, a
    stream, and characters that nobody sees (git's core.protectNTFS and core.protectHFS).
    """
    return _UNSEEN.sub("", part).partition(":")[0].rstrip(" .").casefold()


def _refused(path: bytes | str, where: str, why: str) -> FactoryError:
    return FactoryError(
        f"{where}: the file name {path!r} {why}", "rename the file, or leave it out with a line in .factoryignore"
    )
