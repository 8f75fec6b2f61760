"""Values, names and money in a few words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from factory_cdk.plan.model import Json
from factory_cdk.review.formats.blocks import Line, Value

LONGEST_VALUE = 48
"""Characters of a value that a table shows."""

_AROUND = 12
"""Characters that two values share and that are shown beside where they differ."""


def as_value(value: Json) -> str:
    """A value of a plan as its reader wrote it: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_values(before: Json, after: Json) -> tuple[str, str]:
    """Two values that differ, so that they look different: the number 1 and the text `"1"`."""
    old, new = as_value(before), as_value(after)
    return (json.dumps(before), json.dumps(after)) if old == new and type(before) is not type(after) else (old, new)


def shortened(text: str, most: int = LONGEST_VALUE) -> str:
    """`text`, its middle left out where it is longer than `most`."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def change(before: Json, after: Json, most: int = LONGEST_VALUE) -> Line:
    """Before → after, both shortened so that what differs is seen; None is said to be absent."""
    if before is None and after is None:
        return ("",)
    if before is None:
        return ("none → ", Value(shortened(as_value(after), most)))
    if after is None:
        return (Value(shortened(as_value(before), most)), " → none")
    old, new = _shortened_pair(*as_values(before, after), most)
    return (Value(old), " → ", Value(new))


def _shortened_pair(old: str, new: str, most: int) -> tuple[str, str]:
    if max(len(old), len(new)) <= most:
        return old, new
    shared = 0
    shortest = min(len(old), len(new))
    while shared < shortest and old[shared] == new[shared]:
        shared += 1
    tail = 0
    while tail < shortest - shared and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return _part(old, shared, tail, most), _part(new, shared, tail, most)


def _part(text: str, shared: int, tail: int, most: int) -> str:
    """`text` without most of the beginning and the end that the other value has, too."""
    start = shared - _AROUND if shared > _AROUND + 1 else 0
    end = len(text) - tail + _AROUND if tail > _AROUND + 1 else len(text)
    middle = shortened(text[start:end], most)
    return ("…" if start else "") + middle + ("…" if end < len(text) else "")


def names(found: Sequence[str], of: str) -> Line:
    """Names that share a row: all of up to three, else the first and the last and how many `of` them there are."""
    if len(found) <= 3:
        line: list[str | Value] = []
        for name in found:
            line += [", ", Value(name)] if line else [Value(name)]
        return tuple(line)
    return (Value(found[0]), " … ", Value(found[-1]), f" ({counted(len(found), of)})")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 sector`, `2 sectors`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def money(dollars: float) -> str:
    """`1,234.50 USD`. Not `$`, between two of which GitHub and GitLab see mathematics."""
    return f"{dollars:,.2f} USD"


def money_change(before: float, after: float) -> str:
    """`+12.30 USD a month (100.00 → 112.30)`."""
    sign = "+" if after >= before else "−"
    return f"{sign}{money(abs(after - before))} a month ({before:,.2f} → {after:,.2f})"
