"""The layout of any directed graph: nothing overlaps, every edge runs forwards and around the nodes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_cdk.picture.layout import LANE, Layout, Node, lay_out
from factory_cdk.picture.ordering import crossings, order_layers
from factory_cdk.picture.spacing import spread

GAP, SPACE = 60.0, 20.0
Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], Edges]:
    """Up to twelve nodes of different sizes, and edges between different ones; circles allowed."""
    nodes = draw(st.lists(st.builds(Node, st.integers(40, 300), st.integers(20, 120)), min_size=1, max_size=12))
    ends = st.integers(0, len(nodes) - 1)
    edges = draw(st.lists(st.tuples(ends, ends).filter(lambda edge: edge[0] != edge[1]), max_size=20, unique=True))
    return nodes, edges


def boxes(nodes: list[Node], layout: Layout) -> list[tuple[float, float, float, float]]:
    """Start, end, upper and lower edge of every node."""
    return [
        (along, along + node.length, across - node.breadth / 2, across + node.breadth / 2)
        for node, (along, across) in zip(nodes, layout.nodes, strict=True)
    ]


@pytest.mark.slow
@settings(max_examples=150)
@given(graphs())
def test_no_two_nodes_overlap_and_all_are_inside_the_drawing(graph: tuple[list[Node], Edges]) -> None:
    nodes, edges = graph
    layout = lay_out(nodes, edges, gap=GAP, space=SPACE)
    placed = boxes(nodes, layout)
    for number, (start, end, upper, lower) in enumerate(placed):
        assert -0.1 <= start <= end <= layout.length + 0.1
        assert -0.1 <= upper <= lower <= layout.breadth + 0.1
        for other_start, other_end, other_upper, other_lower in placed[:number]:
            apart = end < other_start or other_end < start
            assert apart or upper >= other_lower + SPACE - 0.2 or other_upper >= lower + SPACE - 0.2


@pytest.mark.slow
@settings(max_examples=150)
@given(graphs())
def test_every_edge_starts_and_ends_at_its_nodes_and_passes_no_other(graph: tuple[list[Node], Edges]) -> None:
    nodes, edges = graph
    layout = lay_out(nodes, edges, gap=GAP, space=SPACE)
    placed = boxes(nodes, layout)
    for (source, target), route in zip(edges, layout.routes, strict=True):
        forwards = route[0][0] < route[-1][0]
        first, last = (source, target) if forwards else (target, source)
        ends = (route[0], route[-1]) if forwards else (route[-1], route[0])
        assert ends[0] == (placed[first][1], layout.nodes[first][1])
        assert ends[1] == (placed[last][0], layout.nodes[last][1])
        # Straight lines lead through layers; there an edge keeps its distance from every node.
        for (start, across), (end, same) in zip(route[1:-1:2], route[2:-1:2], strict=True):
            assert across == same
            for node_start, node_end, upper, lower in placed:
                passes = max(min(start, end), node_start) < min(max(start, end), node_end)
                assert not passes or across <= upper - LANE / 2 or across >= lower + LANE / 2


@pytest.mark.slow
@given(graphs())
@settings(max_examples=100)
def test_without_circles_every_edge_runs_forwards(graph: tuple[list[Node], Edges]) -> None:
    nodes, edges = graph
    layout = lay_out(nodes, forwards := [(min(edge), max(edge)) for edge in edges], gap=GAP, space=SPACE)
    for (source, target), route in zip(forwards, layout.routes, strict=True):
        assert layout.nodes[source][0] + nodes[source].length <= layout.nodes[target][0]
        assert [along for along, _ in route] == sorted(along for along, _ in route)


def test_the_same_graph_is_laid_out_the_same() -> None:
    nodes = [Node(100, 30 + number % 3 * 20) for number in range(12)]
    edges = [(number, (number * 7 + 3) % 12) for number in range(12) if number != (number * 7 + 3) % 12]
    assert lay_out(nodes, edges, gap=GAP, space=SPACE) == lay_out(nodes, edges, gap=GAP, space=SPACE)


def test_a_graph_without_nodes_takes_no_room() -> None:
    assert lay_out([], [], gap=GAP, space=SPACE) == Layout((), (), 0.0, 0.0)


def test_a_chain_is_one_straight_line() -> None:
    layout = lay_out([Node(100, 40)] * 4, [(0, 1), (1, 2), (2, 3)], gap=GAP, space=SPACE)
    assert layout.nodes == ((0, 20), (160, 20), (320, 20), (480, 20))


def test_edges_that_need_not_cross_do_not() -> None:
    below = {0: [5], 1: [4], 2: [3]}
    above = {5: [0], 4: [1], 3: [2]}
    layers = order_layers([[0, 1, 2], [3, 4, 5]], above, below)
    assert crossings([[0, 1, 2], [3, 4, 5]], below) == 3
    assert crossings(layers, below) == 0


def test_the_order_given_stays_where_nothing_would_cross_less() -> None:
    assert order_layers([[0, 1], [2, 3]], {2: [0], 3: [1]}, {0: [2], 1: [3]}) == [[0, 1], [2, 3]]


def test_nodes_of_a_layer_keep_their_order_and_distance() -> None:
    layers = [[0], [1, 2, 3]]
    centres = spread(layers, {1: [0], 2: [0], 3: [0]}, {0: [1, 2, 3]}, lambda _: 40.0, SPACE, real=4)
    assert [centres[node] for node in (1, 2, 3)] == [20.0, 80.0, 140.0]
    assert centres[0] == 80.0
