"""References in what a step is given: `$item`, `$input`, and `$item.key` of them; `$$` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Any

_REFERENCE = re.compile(r"\$(?P<name>[A-Za-z_]+)(?P<keys>(\.[A-Za-z0-9_-]+)*)\Z")


def references(value: Json) -> Iterator[tuple[tuple[str | int, ...], str, str | None]]:
    """Every text in `value` that begins with one dollar sign: where it is, the text, and the name that it refers to
    (None: it is no reference).
    """
    if isinstance(value, str) and value.startswith("$") and not value.startswith("$$"):
        found = _REFERENCE.match(value)
        yield (), value, found["name"] if found else None
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            for path, text, name in references(part):
                yield (key, *path), text, name


def filled_in(value: Json, given: Mapping[str, Json]) -> Json:
    """`value` with its references to the names in `given` filled in. KeyError, with the text, for one that leads
    nowhere.
    """
    if isinstance(value, dict):
        return {key: filled_in(part, given) for key, part in value.items()}
    if isinstance(value, list):
        return [filled_in(part, given) for part in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value.startswith("$$"):
        return value[1:]
    found = _REFERENCE.match(value)
    if found is None or found["name"] not in given:
        raise KeyError(value)
    result = given[found["name"]]
    for key in found["keys"].split(".")[1:]:
        try:
            result = result[int(key)] if isinstance(result, list) else result[key]
        except (LookupError, TypeError, ValueError):
            raise KeyError(value) from None
    return result
