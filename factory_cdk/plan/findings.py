"""Collects the diagnostics of one plan, each at its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plan.model import Position
from factory_cdk.plan.spelling import CUTOFF, did_you_mean, meant_by
from factory_cdk.plan.yaml.nodes import MappingNode, Node, Path, ScalarNode, locate
from factory_cdk.plan.yaml.scalars import control, reads_otherwise

MAX_COMPARISONS = 100_000
"""How many names a plan's misspelled names are compared with (about 10 µs each)."""

MAX_MESSAGE = 800
"""Characters of a message; an attacker's plan could put a name of a million into each."""

MAX_ALIASES = 8

ESCAPES = "in double quotes a backslash starts an escape sequence: use single quotes"


_Key = tuple[str, int, int, str]


class Findings:
    """What has been found wrong with one plan so far. `root` is set once the YAML has been composed."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node = MappingNode()
        self._lines: list[str] = []
        self._found: dict[_Key, Diagnostic] = {}
        self._meant: set[Path] = set()
        self._missing: dict[_Key, tuple[Path, ...]] = {}
        self._comparisons = MAX_COMPARISONS

    def set_text(self, text: str) -> None:
        """Say what the file's text is."""
        self._lines = text.splitlines()

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

    def in_value(self, path: Path, column: int, code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at a character (from 1) of the text that `path` leads to; at the whole value where that is
        written in a way in which its characters are elsewhere.
        """
        spot = locate(self.root, path)
        node = spot.node
        if isinstance(node, ScalarNode) and self._is_in_place(node):
            before = column - 1 + (self._lines[node.line - 1][node.column - 1] in "\"'")
            self._add(code, message, hint, node.line, node.column + before, path, spot.aliases)
        else:
            self.at_value(path, code, message, hint)

    def _is_in_place(self, node: ScalarNode) -> bool:
        """Whether the text of a scalar is in the file as it is, on one line."""
        rest = self._lines[node.line - 1][node.column - 1 :] if node.line <= len(self._lines) else ""
        return rest.startswith((node.text, f'"{node.text}"', f"'{node.text}'"))

    def missing(self, path: Path, keys: Iterable[str], code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at the key that `path` ends with: the mapping has none of `keys`, or nothing at all. It is
        not reported where a misspelled key of that mapping means one of them (`suggest_key`), which is reported
        already, nor where the key is a duplicate: the other one may have them.
        """
        if self._is_repeated(path):
            return
        spot = locate(self.root, path)
        node, aliases = (spot.key, spot.key_aliases) if spot.key is not None else (spot.node, spot.aliases)
        found = self._add(code, message, hint, node.line, node.column, path, aliases)
        self._missing[found] = tuple((*path, key) for key in keys)

    def key_position(self, path: Path) -> Position:
        """The position of the key of `path`."""
        spot = locate(self.root, path)
        node = spot.key or spot.node
        return Position(node.line, node.column)

    def text_at(self, path: Path) -> str | None:
        """The scalar at `path` as it was written, or None where there is no scalar."""
        node = locate(self.root, path).node
        return node.text if isinstance(node, ScalarNode) else None

    def suggest(self, name: str, known: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
        """`did_you_mean`, until a plan with thousands of misspelled names has had its share of time."""
        names = list(known)
        self._comparisons -= len(names)
        return did_you_mean(name, names, cutoff=cutoff) if self._comparisons >= 0 else None

    def suggest_key(self, path: Path, known: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
        """The hint for the unknown key that `path` ends with: `suggest`, remembering which of `known` is meant."""
        *owner, name = path
        hint = self.suggest(str(name), known, cutoff=cutoff)
        if near := meant_by(hint):
            self._meant.add((*owner, near))
        return hint

    def is_misspelled(self, key: str, under: Path = ()) -> bool:
        """Whether a misspelled key somewhere `under` a path means `key`: what follows from that is not reported."""
        return any(path[-1] == key and path[: len(under)] == under for path in self._meant)

    def is_undefined(self, path: Path) -> bool:
        """Whether it is unknown which keys are meant to be in the mapping at `path`: its own key is misspelled, or an
        entry has been left out (`MappingNode.left_out`) there, or where it is missing. No missing key is
        reported there.
        """
        node = locate(self.root, path).node  # where there is none, the mapping that lacks it
        return path in self._meant or self._is_repeated(path) or (isinstance(node, MappingNode) and bool(node.left_out))

    def is_partial(self, path: Path) -> bool:
        """Whether anything in the value at `path` has been left out: a missing key in it is not reported."""
        node = locate(self.root, path).node
        return self._is_repeated(path) or (not isinstance(node, ScalarNode) and node.partial)

    def _is_repeated(self, path: Path) -> bool:
        owner = locate(self.root, path[:-1]).node
        return bool(path) and isinstance(owner, MappingNode) and path[-1] in owner.left_out

    def warn_if_read_otherwise(self, path: Path, value: Any) -> None:
        """Warn (F021) when YAML has read the plain scalar at `path` as a `value` that looks different."""
        if not isinstance(value, bool | int | float):
            return
        node = locate(self.root, path).node
        if isinstance(node, ScalarNode) and not node.quoted and reads_otherwise(value, node.text):
            kind = "" if isinstance(value, bool) else "the number "
            message = f"YAML reads `{node.text}` as {kind}{json.dumps(value)}"
            self.at_value(path, "F021", message, _as_meant(value, node.text))

    def refuse_control(self, path: Path, text: str, *, key: bool = False) -> None:
        """Refuse (F114) `text`, the value at `path` or the `key` that it ends with, when no template can contain it."""
        found = control(text)
        if found:
            report = self.at_key if key else self.at_value
            report(path, "F114", f"control character {found} in this text", self._without_control(path, "templates"))

    def _without_control(self, path: Path, what: str) -> str:
        escaped = self.is_quoted(path)
        return f"remove it: {what} cannot contain it" + (f"; {ESCAPES}" if escaped else "")

    def is_quoted(self, path: Path) -> bool:
        """Whether the scalar at `path` is written in quotes or as a block."""
        node = locate(self.root, path).node
        return isinstance(node, ScalarNode) and node.quoted

    def refuse_nul(self, path: Path, text: str) -> None:
        """Refuse (F114) `text`, the value at `path`, a variable or an argument, when it contains a NUL."""
        if "\0" in text:
            hint = self._without_control(path, "variables and arguments")
            self.at_value(path, "F114", "control character U+0000 in this text", hint)

    def warn_of_all_read_otherwise(self, path: Path, data: Any) -> None:
        """`warn_if_read_otherwise` for every scalar in `data`, which is at `path`."""
        if isinstance(data, dict | list):
            for key, value in data.items() if isinstance(data, dict) else enumerate(data):
                self.warn_of_all_read_otherwise((*path, key), value)
        else:
            self.warn_if_read_otherwise(path, data)

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
        # A value behind an alias is checked once for every use of it, each time under other keys.
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
        reported = [one for key, one in self._found.items() if self._meant.isdisjoint(self._missing.get(key, ()))]
        return tuple(sorted(reported, key=lambda found: (found.line, found.column, found.code)))

    @property
    def refused(self) -> bool:
        """Whether there is any error among the findings."""
        return any(found.severity is Severity.ERROR for found in self._found.values())


_USER = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@")


def _as_meant(value: bool | int | float, text: str) -> str:
    """The hint for a plain scalar that YAML has read as a `value` that looks different: all that may be meant."""
    if isinstance(value, bool):
        return f"write '{text}' if it is text, or {json.dumps(value)} if it is a boolean"
    decimal = f", {int(text)} if it is a decimal number," if re.fullmatch(r"0[0-9]+", text) else ","
    return f"write '{text}' if it is text{decimal} or {json.dumps(value)} if it is this number"


def shortened(text: str, limit: int = 60) -> str:
    """`text` for a message: on one line, without the user of a URL, who may be a token, and cut when it is long."""
    text = _USER.sub(r"\1…@", text)
    text = " ".join(text[: limit + 1].split()) if not text.isprintable() else text
    return text if len(text) <= limit else text[: limit - 1] + "…"
