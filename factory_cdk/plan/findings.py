"""Collects the diagnostics of one plan, each at its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plan.model import Position
from factory_cdk.plan.nodes import MappingNode, Node, Path, ScalarNode, locate


class Findings:
    """What has been found wrong with one plan so far. `root` is set once the YAML has been composed."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node = MappingNode()
        self._found: dict[tuple[str, int, int, str], Diagnostic] = {}

    def add(self, code: str, message: str, hint: str | None = None, *, line: int = 1, column: int = 1) -> None:
        """Add a diagnostic at a line and column (from 1)."""
        self._add(code, message, hint, line, column, ())

    def at_key(self, path: Path, code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at the key that `path` ends with (at the value when it ends in a list)."""
        spot = locate(self.root, path)
        if spot.key is None:
            self._add(code, message, hint, spot.node.line, spot.node.column, spot.aliases)
        else:
            self._add(code, message, hint, spot.key.line, spot.key.column, spot.key_aliases)

    def at_value(self, path: Path, code: str, message: str, hint: str | None = None) -> None:
        """Add a diagnostic at the value that `path` leads to."""
        spot = locate(self.root, path)
        self._add(code, message, hint, spot.node.line, spot.node.column, spot.aliases)

    def key_position(self, path: Path) -> Position:
        """Where the key of `path` stands."""
        spot = locate(self.root, path)
        node = spot.key or spot.node
        return Position(node.line, node.column)

    def text_at(self, path: Path) -> str | None:
        """The scalar at `path` as it was written, or None where there is no scalar."""
        node = locate(self.root, path).node
        return node.text if isinstance(node, ScalarNode) else None

    def _add(self, code: str, message: str, hint: str | None, line: int, column: int, aliases: tuple[str, ...]) -> None:
        key = (code, line, column, message)
        if key in self._found:  # what stands behind an alias is found once for every use of it
            return
        if aliases:
            message = f"{message} (reached through the alias {', '.join(f'*{name}' for name in aliases)})"
        severity = CODES[code].severity
        self._found[key] = Diagnostic(code, severity, message, hint, self.file, line, column)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the file."""
        return tuple(sorted(self._found.values(), key=lambda found: (found.line, found.column, found.code)))

    @property
    def refused(self) -> bool:
        """Whether there is any error among the findings."""
        return any(found.severity is Severity.ERROR for found in self._found.values())


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The hint for a misspelled `name`: the closest of `known`, else all of them when they are few."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if 0 < len(names) <= 12:
        return "known: " + ", ".join(f"`{known_name}`" for known_name in names)
    return None
