"""Reads workflows: `node := name | [node, …] | {name: node or null, …}`, the root a list or a mapping; a mapping with
the key `steps` is one of steps (steps.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from factory_cdk.plan.cycles import REMOVE_REFERENCE, find_cycles
from factory_cdk.plan.defined import Names
from factory_cdk.plan.findings import Findings
from factory_cdk.plan.model import Edge, Workflow
from factory_cdk.plan.schema.structure import describe
from factory_cdk.plan.steps import is_of_steps, looks_like_steps, read_steps
from factory_cdk.plan.yaml.nodes import Path


class _Reading:
    """One workflow while it is read: its roots and edges so far, and where the edges are."""

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
                message = f"invalid workflow node: {describe(value)}"
                hint = "a node must be the name of a bot, a list of nodes, or a mapping of bots to nodes"
                self.findings.at_value(path, "F301", message, hint)

    def _mention(self, name: str, path: Path, parent: str | None, *, key: bool) -> None:
        report: Callable[..., None] = self.findings.at_key if key else self.findings.at_value
        if self.bots.is_undefined(name):
            message = f"undefined bot `{name}` in the workflow `{path[2]}`"
            report(path, "F201", message, self.findings.suggest(name, self.bots.known))
        if parent is None:
            self.roots[name] = None
            return
        edge = (parent, name)
        if edge in self.edges:
            report(path, "F303", f"duplicate successor: `{parent}` is followed by `{name}` twice", "remove one of them")
            return
        self.edges[edge] = path
        self.is_key[edge] = key


def read_workflow(name: str, value: Any, path: Path, bots: Names, findings: Findings) -> Workflow:
    """The workflow `name` at `path`; `bots` are those that the plan defines."""
    if is_of_steps(value, bots):
        return Workflow(name, (), (), findings.key_position(path), read_steps(value, path, bots, findings))
    if looks_like_steps(value):
        message = f"the workflow `{name}` is read as one of bots, for a bot is named `steps`"
        findings.at_key((*path, "steps"), "F316", message, "give that bot another name to use workflows of steps")
        return Workflow(name, (), (), findings.key_position(path))
    reading = _Reading(bots, findings)
    reading.node(value, path, None)
    for cycle in find_cycles(reading.roots, reading.edges):
        report: Callable[..., None] = findings.at_key if reading.is_key[cycle.edge] else findings.at_value
        message = f"cycle in the workflow `{name}`: {cycle.shown}"
        report(reading.edges[cycle.edge], "F302", message, REMOVE_REFERENCE)
    edges = [Edge(*ends, findings.key_position(spot)) for ends, spot in reading.edges.items()]
    targets = {child for _, child in reading.edges}
    roots = tuple(root for root in reading.roots if root not in targets)
    return Workflow(name, roots, tuple(edges), findings.key_position(path))
