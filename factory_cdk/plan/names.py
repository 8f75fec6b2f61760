"""Names: the pattern they must match, and their forms on AWS."""

from __future__ import annotations

import hashlib
import re

NAME_LENGTH = 40
NAME_PATTERN = "[A-Za-z][A-Za-z0-9_-]{0,39}"
"""Factory, stage, sector, bot, workflow and alarm names."""

NAME_RULE = "a letter, then up to 39 letters, digits, `_` or `-`"

FACTORY_TAG, STAGE_TAG = "factory-cdk:factory", "factory-cdk:stage"
"""The tags of all that a stage has on AWS, whose values are the plan's own names."""

_NAME = re.compile(NAME_PATTERN)


def is_name(text: str) -> bool:
    """Whether `text` may name a factory, stage, sector, bot, workflow or alarm."""
    return _NAME.fullmatch(text) is not None


def hyphenated(name: str) -> str:
    """`name` for places where AWS refuses `_` (stack names): every `_` is a `-`."""
    return name.replace("_", "-")


def logical(name: str) -> str:
    """`name` as the start of a CloudFormation logical id: letters and digits, every word capitalised."""
    words = (word for word in re.split(r"[_-]+", name) if word)
    return "".join(word[0].upper() + word[1:] for word in words)


def digest8(text: str) -> str:
    """8 hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def shortened_to(name: str, limit: int, end: str) -> str:
    """`name` with `end` behind it, cut where both together are longer than `limit` characters."""
    return name[: limit - len(end)].rstrip("-_.") + end
