"""What a misspelled name may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_COMPARED = 80
"""Longer names are not compared: no name of a plan is."""

CUTOFF = 0.6
"""How alike (of 1) two names must be, so that one may be a misspelling of the other."""


MAX_LISTED = 20
"""Names that a hint lists where none is like the misspelled one."""


def closest(name: str, known: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
    """The one of `known` that a misspelled `name` is most likely to mean, if any is like it."""
    if len(name) > MAX_COMPARED:
        return None
    names = list(known)
    swapped = (one for one in names if len(one) == len(name) > 2 and sorted(one) == sorted(name))  # `pipy` for `pypi`
    return next(iter([*swapped, *difflib.get_close_matches(name, names, n=1, cutoff=cutoff)]), None)


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
    """The hint for a misspelled `name`: the closest of `known`, else all of them when they are few."""
    names = list(known)
    if len(name) > MAX_COMPARED:
        return None
    near = closest(name, names, cutoff=cutoff)
    if near is not None:
        return f"did you mean `{near}`?"
    if 0 < len(names) <= MAX_LISTED:
        return "known: " + ", ".join(f"`{known_name}`" for known_name in names)
    return None


def meant_by(hint: str | None) -> str | None:
    """The name that a hint of `did_you_mean` takes the misspelled one for; None where it takes it for none."""
    return hint.split("`")[1] if hint and hint.startswith("did you mean `") else None
