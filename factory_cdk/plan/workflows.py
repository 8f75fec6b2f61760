"""Reads workflows: `node := name | [node, …] | {name: node or null, …}`, the root a list or a mapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from factory_cdk.plan.defined import Names
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Edge, Workflow
from factory_cdk.plan.nodes import Path
from factory_cdk.plan.structure import describe


class _Reading:
    """One workflow while it is read: its roots and edges so far, and where the edges stand."""

    def __init__(self, bots: Names, findings: Findings) -> None:
        self.bots = bots
        self.findings = findings
        self.roots: dict[str, None] = {}
        self.edges: dict[tuple[str, str], Path] = {}
        self.is_key: dict[tuple[str, str], bool] = {}

    def node(self, value: Any, path: Path, parent: str | None) -> None:
        """Read the node `value` at `path` under the bot `parent` (None at the root)."""
        match value:
            case str():
                self._mention(value, path, parent, key=False)
            case list():
                for index, item in enumerate(value):
                    self.node(item, (*path, index), parent)
            case dict():
                for name, child in value.items():
                    self._mention(name, (*path, name), parent, key=True)
                    if child is not None:
                        self.node(child, (*path, name), name)
            case _:
                message = f"a bot of a workflow cannot be {describe(value)}"
                hint = "a node is a bot's name, a list of nodes, or a mapping of bots to nodes"
                self.findings.at_value(path, "F301", message, hint)

    def _mention(self, name: str, path: Path, parent: str | None, *, key: bool) -> None:
        report: Callable[..., None] = self.findings.at_key if key else self.findings.at_value
        if self.bots.lack(name):
            message = f"the workflow `{path[2]}` names the bot `{name}`, which `bots` does not define"
            report(path, "F201", message, self.findings.suggest(name, self.bots.known))
        if parent is None:
            self.roots[name] = None
            return
        edge = (parent, name)
        if edge in self.edges:
            report(path, "F303", f"`{parent}` feeds `{name}` twice", "a job goes to each successor once: remove one")
            return
        self.edges[edge] = path
        self.is_key[edge] = key


def read_workflow(name: str, value: Any, path: Path, bots: Names, findings: Findings) -> Workflow:
    """The workflow `name` at `path`; `bots` are those that the plan defines."""
    reading = _Reading(bots, findings)
    reading.node(value, path, None)
    for parent, child in closing_edges(reading.roots, reading.edges):
        edge = (parent, child)
        report: Callable[..., None] = findings.at_key if reading.is_key[edge] else findings.at_value
        message = f"the workflow `{name}` goes round in a circle: `{parent}` feeds "
        message += "itself" if parent == child else f"`{child}`, which leads to `{parent}`"
        report(reading.edges[edge], "F302", message, "a workflow ends somewhere: remove this reference")
    edges = [Edge(*ends, findings.key_position(spot)) for ends, spot in reading.edges.items()]
    targets = {child for _, child in reading.edges}
    roots = tuple(root for root in reading.roots if root not in targets)
    return Workflow(name, roots, tuple(edges), findings.key_position(path))


def closing_edges(
    roots: Collection[str], edges: Mapping[tuple[str, str], Any] | Collection[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """The edges that close a circle when the graph is walked depth-first from `roots` in order."""
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        children[parent].append(child)
    done: set[str] = set()
    for start in (*roots, *list(children)):
        if start in done:
            continue
        on_path = {start}
        stack = [(start, iter(children[start]))]
        while stack:
            bot, following = stack[-1]
            next_bot = next(following, None)
            if next_bot is None:
                stack.pop()
                on_path.discard(bot)
                done.add(bot)
            elif next_bot in on_path:
                yield bot, next_bot
            elif next_bot not in done:
                on_path.add(next_bot)
                stack.append((next_bot, iter(children[next_bot])))
