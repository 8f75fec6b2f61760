"""Where the cards of a picture go: the workflow in layers, and below it the bots that are in no workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from factory_cdk.picture.cards import CardText
from factory_cdk.picture.labels import label_width
from factory_cdk.picture.layout import Layout, Node, lay_out
from factory_cdk.picture.model import Arrow

Point = tuple[float, float]

_WIDEST = 1500.0
"""Up to this width the workflow runs from left to right, as people read; wider ones are tried from top to bottom."""

_CAPTION = 34.0


@dataclass(frozen=True, slots=True)
class Placing:
    """The upper left corner of every card, the points of every arrow, and the size of it all, in pixels.

    `vertical`: the workflow runs from top to bottom. `caption` is where the title of the cards without arrows goes,
    None when all or none have arrows.
    """

    cards: Mapping[int, Point]
    routes: Sequence[Sequence[Point]]
    vertical: bool
    width: float
    height: float
    caption: float | None


def place(cards: Sequence[CardText], arrows: Sequence[Arrow]) -> Placing:
    """Place the cards and route the arrows between them."""
    linked = sorted({number for arrow in arrows for number in (arrow.source, arrow.target)})
    alone = [number for number in range(len(cards)) if number not in set(linked)]
    labels = max((label_width(arrow) for arrow in arrows), default=0.0)
    layout, vertical = _workflow([cards[number] for number in linked], _renumbered(arrows, linked), labels)
    corners: dict[int, Point] = {}
    for number, (along, across) in zip(linked, layout.nodes, strict=True):
        card = cards[number]
        corners[number] = (across - card.width / 2, along) if vertical else (along, across - card.height / 2)
    routes = [[(across, along) if vertical else (along, across) for along, across in route] for route in layout.routes]
    width, height = (layout.breadth, layout.length) if vertical else (layout.length, layout.breadth)
    caption = height + _CAPTION - 10 if alone and linked else None
    rows = _rows([cards[number] for number in alone], max(width, 900.0), height + (_CAPTION if linked else 0.0))
    corners |= dict(zip(alone, rows, strict=True))
    for number in alone:
        left, top = corners[number]
        width, height = max(width, left + cards[number].width), max(height, top + cards[number].height)
    return Placing(corners, routes, vertical, width, height, caption)


def _renumbered(arrows: Sequence[Arrow], linked: Sequence[int]) -> list[tuple[int, int]]:
    place = {number: index for index, number in enumerate(linked)}
    return [(place[arrow.source], place[arrow.target]) for arrow in arrows]


def _workflow(cards: Sequence[CardText], edges: Sequence[tuple[int, int]], labels: float) -> tuple[Layout, bool]:
    """The layout of the cards that have arrows, and whether its layers follow each other from top to bottom.

    `labels` is the width of the widest label of an arrow, which is between two layers.
    """
    flat = lay_out([Node(card.width, card.height) for card in cards], edges, gap=64 + labels, space=20)
    if flat.length <= _WIDEST:
        return flat, False
    tall = lay_out([Node(card.height, card.width) for card in cards], edges, gap=56 + (40 if labels else 0), space=24)
    return (tall, True) if tall.breadth < flat.length else (flat, False)


def _rows(cards: Sequence[CardText], width: float, top: float) -> list[Point]:
    """Corners of cards set in rows, as words are."""
    corners: list[Point] = []
    left = lowest = 0.0
    for card in cards:
        if left and left + card.width > width:
            left, top, lowest = 0.0, top + lowest + 20, 0.0
        corners.append((left, top))
        left += card.width + 20
        lowest = max(lowest, card.height)
    return corners
