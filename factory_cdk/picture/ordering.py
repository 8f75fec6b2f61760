"""Orders the nodes of every layer so that few edges cross: medians, then swaps of neighbours."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise

Layers = list[list[int]]
Neighbours = Mapping[int, Sequence[int]]

SWEEPS = 12
"""How often the layers are gone through, down and up again; more than about ten changes little."""

MAX_SWAPPED = 400
"""Layers with more nodes than this keep the order of the medians: trying swaps takes the square of their size."""


def order_layers(layers: Layers, above: Neighbours, below: Neighbours) -> Layers:
    """The layers with their nodes in an order of few crossings; the order given decides ties."""
    best = current = [list(layer) for layer in layers]
    fewest = crossings(current, below)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        current = _by_medians(current, above if sweep % 2 == 0 else below, downwards=sweep % 2 == 0)
        current = _swapped(current, above, below)
        number = crossings(current, below)
        if number < fewest:
            best, fewest = [list(layer) for layer in current], number
    return best


def crossings(layers: Layers, below: Neighbours) -> int:
    """How many edges between neighbouring layers cross."""
    total = 0
    for upper, lower in pairwise(layers):
        place = {node: index for index, node in enumerate(lower)}
        passed: list[int] = []
        for node in upper:
            ends = sorted(place[end] for end in below.get(node, ()))
            total += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return total


def _by_medians(layers: Layers, neighbours: Neighbours, *, downwards: bool) -> Layers:
    ordered = list(layers)
    steps = range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1)
    for index in steps:
        place = {node: at for at, node in enumerate(ordered[index - 1 if downwards else index + 1])}
        wanted = {}
        for at, node in enumerate(layers[index]):
            ends = sorted(place[end] for end in neighbours.get(node, ()))
            wanted[node] = (ends[(len(ends) - 1) // 2] + ends[len(ends) // 2]) / 2 if ends else float(at)
        ordered[index] = sorted(layers[index], key=lambda node: wanted[node])
    return ordered


def _swapped(layers: Layers, above: Neighbours, below: Neighbours) -> Layers:
    """The layers with neighbours swapped as long as that removes crossings."""
    layers = [list(layer) for layer in layers]
    for index, layer in enumerate(layers):
        if len(layer) > MAX_SWAPPED:
            continue
        sides = [
            ({node: at for at, node in enumerate(layers[other])}, neighbours)
            for other, neighbours in ((index - 1, above), (index + 1, below))
            if 0 <= other < len(layers)
        ]
        improved = True
        while improved:
            improved = False
            for at in range(len(layer) - 1):
                left, right = layer[at], layer[at + 1]
                if _crossed(left, right, sides) > _crossed(right, left, sides):
                    layer[at], layer[at + 1] = right, left
                    improved = True
    return layers


def _crossed(left: int, right: int, sides: Sequence[tuple[Mapping[int, int], Neighbours]]) -> int:
    """How many edges of two neighbours cross in the order `left`, `right`."""
    return sum(
        place[one] > place[other]
        for place, neighbours in sides
        for one in neighbours.get(left, ())
        for other in neighbours.get(right, ())
    )
