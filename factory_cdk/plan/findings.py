"""Collects the diagnostics of one plan, each at its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plan.model import Position
from factory_cdk.plan.spelling import did_you_mean, meant_by
from factory_cdk.plan.yaml.nodes import MappingNode, Node, Path, ScalarNode, locate
from factory_cdk.plan.yaml.scalars import control, reads_otherwise

MAX_COMPARISONS = 100_000
"""How many names a plan's misspelled names are compared with (about 10 µs each)."""

MAX_MESSAGE = 800
"""Characters of a message; an attacker's plan could put a name of a million into each."""

MAX_ALIASES = 8


_Key = tuple[str, int, int, str]


class Findings:
    """What has been found wrong with one plan so far. `root` is set once the YAML has been composed."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node = MappingNode()
        self._found: dict[_Key, Diagnostic] = {}
        self._meant: set[Path] = set()
        self._lacking: dict[_Key, tuple[Path, ...]] = {}
        self._comparisons = MAX_COMPARISONS

    def add(self, code: str, message: str, hint: str | None = None, *, line: int = 1, column: int = 1) -> None:
        """Add a diagnostic at a line and column (from 1)."""
        self._add(code, message, hint, line, column)

    def at_key(self, path: Path, code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at the key that `path` ends with (at the value when it ends in a list)."""
        spot = locate(self.root, path)
        if spot.key is None:
            self._add(code, message, hint, spot.node.line, spot.node.column, path, spot.aliases)
        else:
            self._add(code, message, hint, spot.key.line, spot.key.column, path, spot.key_aliases)

    def at_value(self, path: Path, code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at the value that `path` leads to."""
        spot = locate(self.root, path)
        self._add(code, message, hint, spot.node.line, spot.node.column, path, spot.aliases)

    def lacking(self, path: Path, keys: Iterable[str], code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at the key that `path` ends with: the mapping has none of `keys`, or nothing at all. It is
        not told where a misspelled key of that mapping means one of them (`suggest_key`), which is told already, nor
        where the key stands twice: the other one may have them.
        """
        if self._is_repeated(path):
            return
        spot = locate(self.root, path)
        node, aliases = (spot.key, spot.key_aliases) if spot.key is not None else (spot.node, spot.aliases)
        found = self._add(code, message, hint, node.line, node.column, path, aliases)
        self._lacking[found] = tuple((*path, key) for key in keys)

    def key_position(self, path: Path) -> Position:
        """Where the key of `path` stands."""
        spot = locate(self.root, path)
        node = spot.key or spot.node
        return Position(node.line, node.column)

    def text_at(self, path: Path) -> str | None:
        """The scalar at `path` as it was written, or None where there is no scalar."""
        node = locate(self.root, path).node
        return node.text if isinstance(node, ScalarNode) else None

    def suggest(self, name: str, known: Iterable[str]) -> str | None:
        """`did_you_mean`, until a plan with thousands of misspelled names has had its share of time."""
        names = list(known)
        self._comparisons -= len(names)
        return did_you_mean(name, names) if self._comparisons >= 0 else None

    def suggest_key(self, path: Path, known: Iterable[str]) -> str | None:
        """The hint for the unknown key that `path` ends with: `suggest`, remembering which of `known` is meant."""
        *owner, name = path
        hint = self.suggest(str(name), known)
        if near := meant_by(hint):
            self._meant.add((*owner, near))
        return hint

    def is_misspelled(self, key: str, under: Path = ()) -> bool:
        """Whether a misspelled key somewhere `under` a path means `key`: what follows from that is not told."""
        return any(path[-1] == key and path[: len(under)] == under for path in self._meant)

    def is_undefined(self, path: Path) -> bool:
        """Whether it is unknown which keys are meant to be in the mapping at `path`: its own key is misspelled, or an
        entry has been left out (`MappingNode.left_out`) there, or where it lacks. What lacks there is not told.
        """
        node = locate(self.root, path).node  # where there is none, the mapping that lacks it
        return path in self._meant or self._is_repeated(path) or (isinstance(node, MappingNode) and bool(node.left_out))

    def is_partial(self, path: Path) -> bool:
        """Whether anything in the value at `path` has been left out: what lacks in it is not told."""
        node = locate(self.root, path).node
        return self._is_repeated(path) or (not isinstance(node, ScalarNode) and node.partial)

    def _is_repeated(self, path: Path) -> bool:
        owner = locate(self.root, path[:-1]).node
        return bool(path) and isinstance(owner, MappingNode) and path[-1] in owner.left_out

    def as_written(self, path: Path, value: Any) -> None:
        """Warn (F021) when YAML has read the plain scalar at `path` as a `value` that does not look like it."""
        if not isinstance(value, bool | int | float):
            return
        node = locate(self.root, path).node
        if isinstance(node, ScalarNode) and not node.quoted and reads_otherwise(value, node.text):
            kind = "" if isinstance(value, bool) else "the number "
            message = f"YAML reads `{node.text}` as {kind}{json.dumps(value)}"
            self.at_value(path, "F021", message, f"quote it if it is text: '{node.text}'")

    def holds_control(self, path: Path, text: str, *, key: bool = False) -> None:
        """Refuse (F114) `text`, the value at `path` or the `key` that it ends with, when no template can hold it."""
        found = control(text)
        if found:
            report = self.at_key if key else self.at_value
            report(path, "F114", f"this text holds the control character {found}", "leave it out: no template takes it")

    def holds_nul(self, path: Path, text: str) -> None:
        """Refuse (F114) `text`, the value at `path`, which is to be a variable or an argument, when it holds a NUL."""
        if "\0" in text:
            hint = "leave it out: it would end a variable or an argument"
            self.at_value(path, "F114", "this text holds the control character U+0000", hint)

    def all_as_written(self, path: Path, data: Any) -> None:
        """`as_written` for every scalar in `data`, which is at `path`."""
        if isinstance(data, dict | list):
            for key, value in data.items() if isinstance(data, dict) else enumerate(data):
                self.all_as_written((*path, key), value)
        else:
            self.as_written(path, data)

    def _add(
        self,
        code: str,
        message: str,
        hint: str | None,
        line: int,
        column: int,
        path: Path = (),
        aliases: tuple[str, ...] = (),
    ) -> _Key:
        # What stands behind an alias is found once for every use of it, each time under other names above it.
        key = (code, line, column, re.sub("`([^`]*)`", lambda name: "`" if name[1] in path else name[0], message))
        if key in self._found:
            return key
        message = shortened(message, MAX_MESSAGE)
        hint = shortened(hint, MAX_MESSAGE) if hint else None
        if aliases:
            names = ", ".join(f"*{shortened(name)}" for name in aliases[:MAX_ALIASES])
            message = f"{message} (reached through the alias{'es' if len(aliases) > 1 else ''} {names})"
        severity = CODES[code].severity
        self._found[key] = Diagnostic(code, severity, message, hint, self.file, line, column)
        return key

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the file."""
        told = [one for key, one in self._found.items() if self._meant.isdisjoint(self._lacking.get(key, ()))]
        return tuple(sorted(told, key=lambda found: (found.line, found.column, found.code)))

    @property
    def refused(self) -> bool:
        """Whether there is any error among the findings."""
        return any(found.severity is Severity.ERROR for found in self._found.values())


def shortened(text: str, limit: int = 60) -> str:
    """`text` for a message: on one line, and cut when it is long."""
    text = " ".join(text[: limit + 1].split()) if not text.isprintable() else text
    return text if len(text) <= limit else text[: limit - 1] + "…"
