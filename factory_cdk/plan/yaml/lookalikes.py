"""Finds characters that look like the space, colon, dash or quote of YAML, or like nothing, and are none of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE = "\u00ad\u115f\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u3164\ufeff"
_JOINERS = "\u200c\u200d"
_COLONS = "\uff1a\ufe55\ufe13"
_DASHES = "\u2010-\u2015\u2212\ufe63\uff0d"
_QUOTES = "\u2018-\u201f\u00ab\u00bb\u300c\u300d\uff02\uff07"
_BRACKETS = "\uff3b\uff3d\uff5b\uff5d\uff0c\uff03"

_ANY = re.compile(f"[{_SPACES}{_INVISIBLE}{_JOINERS}{_COLONS}{_DASHES}{_QUOTES}{_BRACKETS}]")
_QUOTED_OR_COMMENT = re.compile(r"""'(?:[^'\n]|'')*'|"(?:[^"\\\n]|\\.)*"|(?:^|(?<=\s))#.*""")

_IN_A_KEY = re.compile(
    f"^[{_SPACES}{_INVISIBLE}{_JOINERS}{_QUOTES}{_DASHES}]|[{_INVISIBLE}]|[{_SPACES}{_JOINERS}{_QUOTES}]$"
)
_IN_A_VALUE = re.compile(
    f"^[{_SPACES}{_JOINERS}{_QUOTES}{_BRACKETS}]|[{_INVISIBLE}]|[{_SPACES}{_JOINERS}]$|^[{_DASHES}](?=\\s)"
    f"|(?<=[A-Za-z0-9_-])[{_COLONS}](?=\\s|$)"
)
_IN_A_LINE = re.compile(
    f"(?<![^ \\t])[{_SPACES}{_INVISIBLE}{_JOINERS}]|[{_INVISIBLE}]|(?<=:)[{_SPACES}]|(?<=-)[{_SPACES}]|[{_SPACES}](?=:)"
    f"|(?<=[A-Za-z0-9_-])[{_COLONS}]|^\\s*[{_DASHES}](?=\\s)|(?<=[:,\\[{{-])\\s*[{_QUOTES}{_BRACKETS}]"
)

MAX_LINES = 5
"""How many lines before the one that a parser complains of may hold the character that is to blame."""


def has_lookalikes(text: str) -> bool:
    """Whether `text` has any such character, wherever: then a closer look is worth its time."""
    return _ANY.search(text) is not None


def in_key(text: str) -> str | None:
    """The character in an unquoted key that cannot be meant; None when there is none."""
    found = _IN_A_KEY.search(text)
    return found[0] if found else None


def in_value(text: str) -> str | None:
    """The character in an unquoted value that cannot be meant; None when there is none."""
    found = _IN_A_VALUE.search(text)
    return found[0] if found else None


def in_lines(lines: list[str], line: int) -> tuple[int, int, str] | None:
    """The line and column (from 1) of such a character, and the character, on `line` or shortly before it, outside
    quotes and comments; None when there is none.
    """
    for number in range(min(line, len(lines)), max(line - MAX_LINES, 1) - 1, -1):
        if not _ANY.search(lines[number - 1]):
            continue
        bare = _QUOTED_OR_COMMENT.sub(lambda found: "x" * len(found[0]), lines[number - 1])
        found = _IN_A_LINE.search(bare)
        if found:
            place = _ANY.search(bare, found.start())
            if place:
                return number, place.start() + 1, place[0]
    return None


def named(character: str) -> str:
    """`U+00A0 (no-break space)`."""
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def fix(character: str) -> str:
    """What to do about such a character."""
    for kind, hint in _fixes():
        if re.match(f"[{kind}]", character):
            return hint
    return "remove it"


def _fixes() -> Iterator[tuple[str, str]]:
    yield _SPACES, "replace it by an ordinary space"
    yield _COLONS, "replace it by an ordinary colon `:`"
    yield _DASHES, "replace it by an ordinary hyphen `-`"
    yield _QUOTES, "replace it by an ordinary quote `'` or `\"`"
    yield _BRACKETS, "replace it by the ordinary character"
