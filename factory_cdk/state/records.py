"""Frozen dataclasses from JSON: what was read has the types that its fields are annotated with, or is refused.

The other way is `dataclasses.asdict` and `json.dumps`. msgspec would do it, but takes 40 ms to be imported, which every
command would pay.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_Reader = Callable[[Any, str], Any]
"""Takes what JSON holds, and where; ValueError."""


def from_json(kind: Any, content: Any, *, later_keys: bool = False) -> Any:
    """The dataclass `kind` that `content`, as `json.loads` returns it, says. A key may be missing whose field has a
    default. `later_keys`: keys that are not known are ignored. ValueError, which names the place.
    """
    if later_keys and isinstance(content, dict):
        content = {key: content[key] for key in content.keys() & {part.name for part in fields(kind)}}
    return _reader(kind)(content, "")


@functools.cache
def _reader(kind: Hashable) -> _Reader:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda content, where: content
    if origin is Literal:
        return lambda content, where: _one_of(inner, content, where)
    if origin in (Union, types.UnionType):
        return _union(inner)
    if origin is tuple:
        each = _reader(inner[0])  # of any length: there is no other kind here
        return lambda content, where: tuple(
            each(one, f"{where}[{number}]") for number, one in enumerate(_is(list, content, where))
        )
    if origin is Mapping:
        value = _reader(inner[1])
        return lambda content, where: {
            key: value(one, f"{where}.{key}") for key, one in _is(dict, content, where).items()
        }
    assert isinstance(kind, type), kind  # noqa: S101 - there is no other kind of annotation here
    if is_dataclass(kind):
        return _dataclass(kind)
    if issubclass(kind, Enum):
        return lambda content, where: kind(_one_of([one.value for one in kind], content, where))
    if kind is float:
        return lambda content, where: content if type(content) is int else _is(float, content, where)
    return lambda content, where: _is(kind, content, where)


def _dataclass(kind: type[Any]) -> _Reader:
    hints = get_type_hints(kind)
    readers = {part.name: _reader(hints[part.name]) for part in fields(kind)}
    needed = {part.name for part in fields(kind) if part.default is MISSING and part.default_factory is MISSING}

    def read(content: Any, where: str) -> Any:
        _is(dict, content, where)
        if missing := needed - content.keys():
            raise ValueError(f"{_place(where)} has no {', '.join(sorted(missing))}")
        if unknown := content.keys() - readers.keys():
            raise ValueError(f"{_place(where)} has unknown keys: {', '.join(sorted(unknown))[:200]}")
        return kind(**{key: readers[key](value, f"{where}.{key}") for key, value in content.items()})

    return read


def _union(kinds: tuple[Any, ...]) -> _Reader:
    """One kind or None: no other union can be told apart in JSON."""
    (present,) = (kind for kind in kinds if kind is not types.NoneType)
    reader = _reader(present)
    return lambda content, where: None if content is None else reader(content, where)


def _one_of(values: Any, content: Any, where: str) -> Any:
    if not isinstance(content, str) or content not in values:
        raise ValueError(f"{_place(where)} is not one of {', '.join(map(str, values))}")
    return content


def _is(kind: type[Any], content: Any, where: str) -> Any:
    if type(content) is not kind:
        raise ValueError(f"{_place(where)} is not of the type {kind.__name__}")
    return content


def _place(where: str) -> str:
    return f"`{where.removeprefix('.')}`" if where else "it"
