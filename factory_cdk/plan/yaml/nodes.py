"""A YAML text as a tree of nodes that keep their positions and the aliases that lead to them.

PyYAML's C parser gives events; this module composes them itself, since PyYAML's own composer drops the names
of aliases, keeps the second of two equal keys and expands alias bombs. Merge keys (`<<`) are resolved here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The keys and list indexes that lead from the root to a value."""


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A scalar: `value` as PyYAML resolves it, `text` as it was written (without quotes), `quoted` whether its
    type was written too (quotes, a block, a tag). Line and column count from 1.
    """

    value: str | int | float | bool | None
    text: str
    line: int
    column: int
    quoted: bool = False
    weight: int = 1
    height: int = 0


@dataclass(slots=True, eq=False)
class Item:
    """An element of a list; `alias` is the name of the alias at this place, or None."""

    node: Node
    alias: str | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """A key and its value; `alias` is the alias that is the value or that merged the entry in."""

    key: ScalarNode
    node: Node
    alias: str | None = None
    merged: bool = False


@dataclass(slots=True, eq=False)
class SequenceNode:
    """A list. `weight` counts this node and all below it, aliases expanded; `height` the levels below it; `partial`
    says that some mapping below has left an entry out.
    """

    items: list[Item]
    line: int
    column: int
    weight: int = 1
    height: int = 0
    partial: bool = False


@dataclass(slots=True, eq=False)
class MappingNode:
    """A mapping in the order of the file (merged entries first, as PyYAML has them); weighed like a list.

    `left_out` has the keys of the entries that do not count, as they were written: a second one of the same key, and
    those whose key is no text. Each is reported, so no plan with one is accepted. `partial`: here or below.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    line: int = 1
    column: int = 1
    weight: int = 1
    height: int = 0
    left_out: set[str] = field(default_factory=set)
    partial: bool = False


Node: TypeAlias = "ScalarNode | SequenceNode | MappingNode"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a path ends: the value's node, its key's node (None in a list and at the root), and the aliases
    on the way to the value and to the key.
    """

    node: Node
    key: ScalarNode | None
    aliases: tuple[str, ...]
    key_aliases: tuple[str, ...]


def locate(root: Node, path: Path) -> Spot:
    """The spot at `path`, or at the nearest existing parent when the path goes further than the file."""
    spot = Spot(root, None, (), ())
    for step in path:
        node = spot.node
        if isinstance(node, MappingNode) and isinstance(step, str) and step in node.entries:
            entry = node.entries[step]
            via = (*spot.aliases, entry.alias) if entry.alias else spot.aliases
            spot = Spot(entry.node, entry.key, via, via if entry.merged else spot.aliases)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            item = node.items[step]
            via = (*spot.aliases, item.alias) if item.alias else spot.aliases
            spot = Spot(item.node, None, via, via)
        else:
            break
    return spot


def plain(node: Node) -> Any:
    """The node as plain dicts, lists and scalars; what an alias shares stays one shared object."""
    return _plain(node, {})


def _plain(node: Node, done: dict[int, Any]) -> Any:
    if isinstance(node, ScalarNode):
        return node.value
    if id(node) not in done:
        if isinstance(node, MappingNode):
            done[id(node)] = {key: _plain(entry.node, done) for key, entry in node.entries.items()}
        else:
            done[id(node)] = [_plain(item.node, done) for item in node.items]
    return done[id(node)]
