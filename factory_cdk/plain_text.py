"""Text of users where a terminal or a log shows it: what would be obeyed or not be seen is escaped."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def printable(text: str) -> str:
    """`text` with escapes for control and invisible characters, which could rewrite a terminal or turn what is
    read round; line breaks and tabs stay. A line cannot start as a workflow command of GitHub (`::error::`),
    which obeys them in any output of a job, indented or not.
    """
    if text.isprintable() and not text.lstrip().startswith("::"):
        return text
    shown = "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)
    return re.sub(r"^(\s*):(?=:)", r"\1: ", shown, flags=re.MULTILINE)


def on_one_line(text: str) -> str:
    """`text` like `printable` shows it, its line breaks and tabs as escapes too."""
    if text.isprintable() and not text.lstrip().startswith("::"):
        return text
    return printable(text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r"))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cells_of(text: str) -> int:
    """How many cells of a terminal `text`, which is printable, takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


@lru_cache(maxsize=4096)
def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
