"""Places the nodes of a directed graph in layers and routes its edges between them (after Sugiyama).

Our own, because graphviz is a program that users would have to install, and the libraries that lay graphs out in
layers are compiled, unmaintained or under the GPL. Deterministic: no randomness, ties go to the order given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from factory_cdk.picture.ordering import order_layers
from factory_cdk.picture.spacing import spread

LANE = 18.0
"""How much room an edge takes that passes through a layer, in pixels."""


@dataclass(frozen=True, slots=True)
class Node:
    """What is placed: its extent along the layers' axis (`length`) and along a layer (`breadth`), in pixels."""

    length: float
    breadth: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: `along` is the axis from layer to layer, `across` the axis in a layer, from 0 both.

    `nodes` are centres (across) and starts (along) as `(along, across)`; `routes` are the points of every edge, by
    its index: pairs of points between which it bends, and a straight line from pair to pair through a layer.
    """

    nodes: tuple[tuple[float, float], ...]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    length: float
    breadth: float


@dataclass(slots=True)
class _Graph:
    """The graph while it is laid out. Numbers from `len(nodes)` on are bends: where an edge passes a layer."""

    nodes: Sequence[Node]
    layer: list[int]
    below: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    above: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def breadth(self, number: int) -> float:
        return self.nodes[number].breadth if number < len(self.nodes) else LANE

    def connect(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)


def lay_out(nodes: Sequence[Node], edges: Sequence[tuple[int, int]], *, gap: float, space: float) -> Layout:
    """Lay out `nodes` with `edges` between their numbers; `gap` is between layers, `space` between neighbours.

    Cycles are drawn, too: the edges that close them run against the layers.
    """
    down = _acyclic(len(nodes), edges)
    graph = _Graph(nodes, _layers(len(nodes), down))
    paths = [_bend(graph, upper, lower) for upper, lower in down]
    layers: list[list[int]] = [[] for _ in range(max(graph.layer, default=-1) + 1)]
    for number, layer in enumerate(graph.layer):
        layers[layer].append(number)
    layers = order_layers(layers, graph.above, graph.below)
    across = spread(layers, graph.above, graph.below, graph.breadth, space, real=len(nodes))
    lengths = [max((nodes[n].length for n in layer if n < len(nodes)), default=0.0) for layer in layers]
    starts = [sum(lengths[:index]) + gap * index for index in range(len(layers))]
    placed = tuple(
        (starts[graph.layer[n]] + (lengths[graph.layer[n]] - node.length) / 2, across[n])
        for n, node in enumerate(nodes)
    )
    routes = []
    for path, edge, (upper, lower) in zip(paths, edges, down, strict=True):
        route = [(placed[upper][0] + nodes[upper].length, across[upper])]
        for bend in path:
            start = starts[graph.layer[bend]]
            route += [(start, across[bend]), (start + lengths[graph.layer[bend]], across[bend])]
        route.append((placed[lower][0], across[lower]))
        routes.append(tuple(route if edge == (upper, lower) else reversed(route)))
    length = starts[-1] + lengths[-1] if layers else 0.0
    breadth = max((across[n] + graph.breadth(n) / 2 for layer in layers for n in layer), default=0.0)
    return Layout(placed, tuple(routes), length, breadth)


def _acyclic(count: int, edges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges, with those turned round that lead back to a node on the path of a depth-first search."""
    following: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        following[source].append(target)
    back: set[tuple[int, int]] = set()
    done: set[int] = set()
    for start in range(count):
        path = {start}
        stack = [] if start in done else [(start, iter(following[start]))]
        while stack:
            node, ahead = stack[-1]
            child = next(ahead, None)
            if child is None:
                stack.pop()
                path.discard(node)
                done.add(node)
            elif child in path:
                back.add((node, child))
            elif child not in done:
                path.add(child)
                stack.append((child, iter(following[child])))
    return [(target, source) if (source, target) in back else (source, target) for source, target in edges]


def _layers(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """The layer of every node: one below its lowest predecessor; nodes without any just above their successors."""
    above: dict[int, list[int]] = defaultdict(list)
    below: dict[int, list[int]] = defaultdict(list)
    for upper, lower in edges:
        if upper != lower:
            above[lower].append(upper)
            below[upper].append(lower)
    waiting = {node: len(above[node]) for node in range(count)}
    ready = [node for node in range(count) if not waiting[node]]
    layer = [0] * count
    for node in ready:
        for lower in below[node]:
            layer[lower] = max(layer[lower], layer[node] + 1)
            waiting[lower] -= 1
            if not waiting[lower]:
                ready.append(lower)
    for node in range(count):
        if below[node] and not above[node]:
            layer[node] = min(layer[lower] for lower in below[node]) - 1
    return layer


def _bend(graph: _Graph, upper: int, lower: int) -> list[int]:
    """Connect two nodes with a bend in every layer between them; the bends."""
    bends = []
    last = upper
    for layer in range(graph.layer[upper] + 1, graph.layer[lower]):
        graph.layer.append(layer)
        bend = len(graph.layer) - 1
        graph.connect(last, bend)
        bends.append(bend)
        last = bend
    graph.connect(last, lower)
    return bends
