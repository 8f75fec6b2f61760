"""Places the nodes of every layer so that edges run straight, in their order and without overlapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

ROUNDS = 24
"""How often every layer is drawn towards its neighbours; after that nothing moves by a whole pixel."""

_BEND_WEIGHT = 4.0
"""How much more a bend of an edge counts than an end of one: long edges are to be straight."""


def spread(
    layers: Sequence[Sequence[int]],
    above: Mapping[int, Sequence[int]],
    below: Mapping[int, Sequence[int]],
    breadth: Callable[[int], float],
    space: float,
    *,
    real: int,
) -> dict[int, float]:
    """The centre of every node along its layer, from 0 on. Numbers from `real` on are bends of edges."""
    centre: dict[int, float] = {}
    offsets: list[list[float]] = []
    for layer in layers:
        offset, places = 0.0, []
        for index, node in enumerate(layer):
            if index:
                between = space if node < real or layer[index - 1] < real else space / 3
                offset += (breadth(layer[index - 1]) + breadth(node)) / 2 + between
            places.append(offset)
        offsets.append(places)
        centre |= {node: place - offset / 2 for node, place in zip(layer, places, strict=True)}
    for turn in range(ROUNDS):
        downwards = turn % 2 == 0
        for index in range(len(layers)) if downwards else range(len(layers) - 1, -1, -1):
            layer = layers[index]
            sides = (above, below) if turn >= ROUNDS // 2 else (above,) if downwards else (below,)
            wanted, weights = [], []
            for node in layer:
                place, weight = _pull(node, sides, centre, real)
                wanted.append(place)
                weights.append(weight)
            fitted = _in_order([w - o for w, o in zip(wanted, offsets[index], strict=True)], weights)
            centre |= {n: f + o for n, f, o in zip(layer, fitted, offsets[index], strict=True)}
    first = min((centre[node] - breadth(node) / 2 for node in centre), default=0.0)
    return {node: round(place - first, 1) for node, place in centre.items()}


def _pull(
    node: int, sides: Sequence[Mapping[int, Sequence[int]]], centre: Mapping[int, float], real: int
) -> tuple[float, float]:
    """Where the neighbours of `node` draw it, and how strongly; gently to where it is when it has none."""
    total = weights = 0.0
    for side in sides:
        for end in side.get(node, ()):
            weight = _BEND_WEIGHT if node >= real and end >= real else 1.0
            total += centre[end] * weight
            weights += weight
    return (total / weights, weights) if weights else (centre[node], 0.01)


def _in_order(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising numbers nearest to `wanted` (least weighted squares, by pooling neighbours that are too close)."""
    pools: list[tuple[float, float, int]] = []
    for want, weight in zip(wanted, weights, strict=True):
        pool = (want, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, heavy, count = pools.pop()
            both = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / both, both, count + pool[2])
        pools.append(pool)
    return [mean for mean, _, count in pools for _ in range(count)]
