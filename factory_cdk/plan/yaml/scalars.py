"""The value of a plain YAML scalar: PyYAML's own rules (YAML 1.1), limited to what JSON can represent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import yaml

MAX_NUMBER = 2**53
"""Up to here every JSON reader keeps whole numbers exactly, Node's included; far beyond CDK has its tokens."""

_LONGEST_NUMBER = 64
_LONGEST_LOOKED_AT = 1000
_RESOLVERS = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_PREFIX = "tag:yaml.org,2002:"

SCALAR_TAGS = {f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "null")}
"""The tags that a plan may write before a scalar (`!!str 5`); every other one is refused."""

COLLECTION_TAGS: Mapping[type, set[str]] = {
    yaml.SequenceStartEvent: {f"{_PREFIX}seq"},
    yaml.MappingStartEvent: {f"{_PREFIX}map"},
}
"""The tags that a plan may write before a list and before a mapping, by the event that starts it."""

Scalar = str | int | float | bool | None

_LOOKS_ALIKE = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.([0-9]|[0-9]*[1-9])?)?([eE][-+]?[0-9]+)?")
_EVALUATED = re.compile(r"[$#]\{Token\[|\{\{resolve:")


_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ufffd\U00010000-\U0010ffff]")


def control(text: str) -> str | None:
    """The first character of `text` that no template can contain, as `U+0007`, or None: what YAML takes for printable
    (https://yaml.org/spec/1.1/#id868524) is what readers of templates take.
    """
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def evaluated(text: str) -> str | None:
    """The start of what CDK (`${Token[`) or CloudFormation (`{{resolve:`) would replace in `text`, or None."""
    found = _EVALUATED.search(text)
    return found[0] if found else None


@lru_cache(maxsize=4096)
def resolve(text: str, tag: str | None, plain: bool) -> Scalar:
    """The value of a scalar. `tag` is its explicit tag or None, `plain` whether it is written without quotes.

    Dates and `!!binary` stay the text that was written. Raises ValueError, worded as the end of a sentence
    about the text, for a number that JSON cannot represent or text that does not match its tag.
    """
    if tag is None:
        tag = _implicit_tag(text) if plain and len(text) <= _LONGEST_LOOKED_AT else f"{_PREFIX}str"
    match tag.removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return _bool(text)
        case "int" | "float" as kind:
            return _number(text, kind)
        case _:
            return text


def reads_otherwise(value: Scalar, text: str) -> bool:
    """Whether YAML reads the plain scalar `text` as a number or boolean that looks different: `010` is 8, `1:30`
    is 90, `1.10` is 1.1, `yes` is true.
    """
    if isinstance(value, bool):
        return text.lower() not in ("true", "false")
    return isinstance(value, int | float) and not _LOOKS_ALIKE.fullmatch(text)


def _bool(text: str) -> bool:
    try:
        return bool(_CONSTRUCTOR.construct_yaml_bool(yaml.ScalarNode(f"{_PREFIX}bool", text)))
    except KeyError:
        raise ValueError("is not a boolean (true or false)") from None


def _number(text: str, kind: str) -> int | float:
    # The length comes first: PyYAML multiplies its way through sexagesimal numbers of any length.
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"is a number of {len(text):,} characters; the limit is {_LONGEST_NUMBER}")
    node = yaml.ScalarNode(f"{_PREFIX}{kind}", text)
    construct = _CONSTRUCTOR.construct_yaml_int if kind == "int" else _CONSTRUCTOR.construct_yaml_float
    try:
        number: int | float = construct(node)
    except (ValueError, IndexError, OverflowError):
        raise ValueError("is not a valid number") from None
    if not -MAX_NUMBER <= number <= MAX_NUMBER:  # infinities and NaN are outside, too
        raise ValueError(f"cannot be stored exactly in JSON: it must be between -{MAX_NUMBER:,} and {MAX_NUMBER:,}")
    return number


def _implicit_tag(text: str) -> str:
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return str(tag)
    return f"{_PREFIX}str"
