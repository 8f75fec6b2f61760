"""Which parts of a plan's file are about which of its stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.ignores import find_ignores
from factory_cdk.plan.load import Loaded
from factory_cdk.plan.yaml.compose import compose
from factory_cdk.plan.yaml.nodes import MappingNode, Node, Path, SequenceNode, locate

Place = tuple[int, int]
"""A line and a column of the file."""


def of_stage(found: Iterable[Diagnostic], loaded: Loaded, stage: str) -> tuple[Diagnostic, ...]:
    """`found` without the warnings and notices that are about other stages of the plan alone.

    What another stage writes and `stage` takes over (an alias, a merge key) is of both. Errors refuse the whole plan,
    wherever they stand.
    """
    root = compose(loaded.text, Findings(loaded.file))
    stages = locate(root, ("factory", "stages")).node if root is not None else None
    if root is None or not isinstance(stages, MappingNode) or stage not in stages.entries:
        return tuple(found)
    own, others = (
        {
            place
            for name, entry in stages.entries.items()
            if (name == stage) is is_own
            for place in _places(name, stages)
        }
        for is_own in (True, False)
    )
    comments = {(one.line, one.column): one.about for one in find_ignores(loaded.text)}

    def is_ours(one: Diagnostic) -> bool:
        place = (one.line, one.column)
        if one.severity is Severity.ERROR or one.file != loaded.file or place in own:
            return True
        if place in comments:
            about = path_at(root, comments[place])
            return about[:2] != ("factory", "stages") or about[2:3] in ((), (stage,))
        return place not in others

    return tuple(filter(is_ours, found))


def _places(name: str, stages: MappingNode) -> Iterator[Place]:
    """Where everything of a stage stands: keys and values, those behind aliases too, each once."""
    entry = stages.entries[name]
    yield entry.key.line, entry.key.column
    waiting: list[Node] = [entry.node]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node.line, node.column
        if isinstance(node, MappingNode):
            for below in node.entries.values():
                yield below.key.line, below.key.column
                waiting.append(below.node)
        elif isinstance(node, SequenceNode):
            waiting += [item.node for item in node.items]


def path_at(root: Node, line: int) -> Path:
    """The path of the last key or element that starts on `line` or before it, as the file is indented."""
    path: list[str | int] = []
    node: Node | None = root
    while node is not None:
        best: tuple[int, str | int, Node] | None = None
        if isinstance(node, MappingNode):
            for key, entry in node.entries.items():
                if not entry.merged and entry.key.line <= line and (best is None or entry.key.line >= best[0]):
                    best = entry.key.line, key, entry.node if entry.alias is None else MappingNode()
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.items):
                if item.alias is None and item.node.line <= line:
                    best = item.node.line, index, item.node
        if best is None:
            break
        path.append(best[1])
        node = best[2]
    return tuple(path)
