"""Finds literal secrets in what a plan says: by what tokens look like, by the names of keys, by their randomness.

Nothing of a value is ever in a message.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from factory_cdk.lint.finding import Finding, InPlan
from factory_cdk.plan.tokens import token_in
from factory_cdk.plan.yaml.nodes import Path

_IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/:@]{3,}@")

_NAMED = re.compile(
    r"(?:^|[_\W])(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|(?:api|access|private|secret|auth)_?key)$"
)
_HARMLESS = re.compile(r"[A-Z][A-Z0-9_]*|[<{$%].*|.*[/:].*|[\d.]+|[*x]+")
"""Values of keys with such names that are no secrets: variable names, placeholders, paths, ARNs, URLs, numbers."""

_RUN = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def check_literals(data: Any) -> Iterator[Finding]:
    """F701: what looks like a secret in `data`, a whole plan as plain data; every stage of it."""
    for path, text in _texts(data, ()):
        kind = looks_like(text, _name(path))
        if kind is not None:
            message = f"`{_name(path)}` looks like it contains {kind}"
            hint = "list it under `secrets` and remove the value; if it was committed, revoke it"
            yield Finding("F701", InPlan(path), message, hint)


def looks_like(text: str, name: str = "") -> str | None:
    """What kind of secret `text`, the value of a key `name`, seems to be; None when it seems to be none."""
    if (kind := token_in(text)) is not None:
        return kind
    if _IN_URL.search(text):
        return "a password in a URL"
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if len(text) >= 8 and _NAMED.search(words) and not _HARMLESS.fullmatch(text):
        return "a secret, by its name"
    if any(_is_random(found[0].rstrip("=")) for found in _RUN.finditer(text)):
        return "a key or token, by its randomness"
    return None


def _is_random(run: str) -> bool:
    """Whether a run of letters and digits is as mixed as only random ones are.

    Of 24 random characters of base 64 nearly two thirds follow one of another kind (lower case, upper case,
    digit, other); names, paths and identifiers stay within a kind for whole words. Hexadecimal digits are
    no sign: digests and commits are public.
    """
    kinds = [_kind(character) for character in run]
    if not {"a", "A", "0"} <= set(kinds):
        return False
    # What parts a path into its names is no change of kind.
    pairs = [pair for pair in pairwise(kinds) if "+" not in pair]
    counts = Counter(run).values()
    entropy = -sum(count / len(run) * math.log2(count / len(run)) for count in counts)
    return sum(one != other for one, other in pairs) >= 0.45 * len(pairs) and entropy >= 3.8


def _kind(character: str) -> str:
    if character.isdigit():
        return "0"
    return ("a" if character.islower() else "A") if character.isalpha() else "+"


def _skipped(path: Path) -> bool:
    """Whether `path` leads to names of secrets, or to a source, where validation itself looks for passwords."""
    if "config" in path:
        return False
    return path[-1] == "secrets" or (len(path) == 4 and path[1] == "bots" and path[-1] == "source")


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not _skipped((*path, key)):
                yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _name(path: Path) -> str:
    """The nearest key."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")
