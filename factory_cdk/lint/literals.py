"""Finds literal secrets in what a plan says: by what tokens look like, by the names of keys, by their randomness.

Nothing of a value is ever in a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.lint.finding import Finding, InPlan
from factory_cdk.plan.tokens import has_random_run, known_token
from factory_cdk.plan.yaml.nodes import Path

_NAMED = re.compile(
    r"(?:^|[_\W])(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|(?:api|access|private|secret|auth)_?key)$"
)
_HARMLESS = re.compile(r"[A-Z][A-Z0-9_]*|[<{$%].*|.*[/:].*|[\d.]+|[*x]+")
"""Values of keys with such names that are no secrets: variable names, placeholders, paths, ARNs, URLs, numbers."""


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
    kind = known_token(text)
    if kind is not None:
        return kind
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if len(text) >= 8 and _NAMED.search(words) and not _HARMLESS.fullmatch(text):
        return "a secret, by its name"
    return "a key or token, by its randomness" if has_random_run(text) else None


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
