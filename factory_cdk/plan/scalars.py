"""What a plain YAML scalar stands for: PyYAML's own rules (YAML 1.1), narrowed to what JSON can hold."""

from __future__ import annotations

import math
from functools import lru_cache

import yaml

_RESOLVERS = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_PREFIX = "tag:yaml.org,2002:"

TAGS = {f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
"""The tags that a plan may write (`!!str 5`); every other one is refused."""

Scalar = str | int | float | bool | None


@lru_cache(maxsize=4096)
def resolve(text: str, tag: str | None, plain: bool) -> Scalar:
    """The value of a scalar. `tag` is its explicit tag or None, `plain` whether it stands without quotes.

    Dates and `!!binary` stay the text that was written. Raises ValueError for a number that JSON cannot hold
    or text that its tag does not fit.
    """
    if tag is None:
        tag = _implicit_tag(text) if plain else f"{_PREFIX}str"
    node = yaml.ScalarNode(tag, text)
    match tag.removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return _bool(node)
        case "int":
            return int(_CONSTRUCTOR.construct_yaml_int(node))
        case "float":
            number = float(_CONSTRUCTOR.construct_yaml_float(node))
            if not math.isfinite(number):
                raise ValueError(f"{text} is no finite number")
            return number
        case _:
            return text


def _bool(node: yaml.ScalarNode) -> bool:
    try:
        return bool(_CONSTRUCTOR.construct_yaml_bool(node))
    except KeyError as error:
        raise ValueError(f"{node.value} is neither true nor false") from error


def _implicit_tag(text: str) -> str:
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return tag
    return f"{_PREFIX}str"
