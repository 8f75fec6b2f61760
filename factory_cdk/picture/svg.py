"""A stage as an SVG document: the workflow between its bots, and below it what runs on each sector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factory_cdk.diagnostics import FactoryError
from factory_cdk.picture.cards import card_texts, draw_card
from factory_cdk.picture.colours import colours_of
from factory_cdk.picture.drawing import INK, LINE, MUTED, SANS, draw_text, number, width_of
from factory_cdk.picture.escaping import for_svg
from factory_cdk.picture.labels import draw_label
from factory_cdk.picture.model import Picture
from factory_cdk.picture.placing import Placing, Point, place
from factory_cdk.picture.sectors import draw_sectors, place_sectors
from factory_cdk.picture.steps import steps_as_text

MAX_CARDS = 300
MAX_ARROWS = 1000
"""More queues or arrows than this make no picture that anybody could read, and take seconds to lay out."""

_MARGIN = 28.0
_HEADER = 76.0
_NARROWEST = 640.0
_STEP_SIZE = 12.0
_STEP_LINE = 18.0


def as_svg(picture: Picture) -> str:
    """The picture as an SVG document of its own, without scripts or references. FactoryError when it is too large."""
    cards, arrows = len(picture.cards), len(picture.arrows)
    if cards > MAX_CARDS or arrows > MAX_ARROWS:
        message = f"the stage {picture.stage} is too large for a drawing: {cards:,} queues, {arrows:,} connections"
        raise FactoryError(message, f"the limits are {MAX_CARDS:,} and {MAX_ARROWS:,}: use `--format text`")
    return "\n".join(_document(picture)) + "\n"


def _document(picture: Picture) -> Iterator[str]:
    colours = colours_of(picture.regions)
    cards = card_texts(picture.cards)
    placing = place(cards, picture.arrows)
    inner = max(placing.width, _NARROWEST, width_of(picture.title, 20))
    sectors = place_sectors(picture, inner)
    below = _HEADER + placing.height + 40
    steps = [line for part in picture.workflows for line in ("", *steps_as_text(part))]
    inner = max(inner, *(width_of(line, _STEP_SIZE) for line in steps), 0.0)
    steps_height = len(steps) * _STEP_LINE
    width, height = number(inner + 2 * _MARGIN), number(below + 20 + sectors.height + steps_height + _MARGIN)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">'
    )
    yield f"<title>{for_svg(picture.title)}: {for_svg(picture.summary)}</title>"
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield draw_text(_MARGIN, 36, picture.title, size=18, fill=INK, font=SANS, bold=True)
    yield draw_text(_MARGIN, 56, picture.summary, size=12, fill=MUTED, font=SANS)
    yield f'<g transform="translate({number(_MARGIN)} {number(_HEADER)})">'
    for route in placing.routes:
        yield _arrow(route, vertical=placing.vertical)
    for number_, (left, top) in sorted(placing.cards.items()):
        yield from draw_card(cards[number_], left, top, colours)
    for arrow, route in zip(picture.arrows, placing.routes, strict=True):
        yield from draw_label(arrow, route)
    yield from _caption(placing)
    yield "</g>"
    yield f'<path d="M{number(_MARGIN)} {number(below)} h{number(inner)}" stroke="{LINE}"/>'
    yield from draw_sectors(sectors, _MARGIN, below + 20, colours)
    for place_, line in enumerate(steps, 1):
        if line:
            indent = (len(line) - len(line.lstrip())) * width_of(" ", _STEP_SIZE)
            top = below + 20 + sectors.height + place_ * _STEP_LINE
            yield draw_text(_MARGIN + indent, top, line.strip(), size=_STEP_SIZE, fill=INK)
    yield "</svg>"


def _caption(placing: Placing) -> Iterator[str]:
    if placing.caption is not None:
        yield draw_text(0, placing.caption, "in no workflow", size=12, fill=MUTED, font=SANS)


def _arrow(route: Sequence[Point], *, vertical: bool) -> str:
    """An arrow: curves between the layers, straight lines through them, and a head that points along them."""
    (x, y), *points = route
    parts = [f"M{number(x)} {number(y)}"]
    for index, (next_x, next_y) in enumerate(points):
        if index % 2:
            parts.append(f"L{number(next_x)} {number(next_y)}")
        elif vertical:
            middle = (y + next_y) / 2
            parts.append(f"C{number(x)} {number(middle)} {number(next_x)} {number(middle)} {_pair(next_x, next_y)}")
        else:
            middle = (x + next_x) / 2
            parts.append(f"C{number(middle)} {number(y)} {number(middle)} {number(next_y)} {_pair(next_x, next_y)}")
        x, y = next_x, next_y
    head = f"M{_pair(x - 4, y - 8)} L{_pair(x, y)} L{_pair(x + 4, y - 8)} z"
    if not vertical:
        head = f"M{_pair(x - 8, y - 4)} L{_pair(x, y)} L{_pair(x - 8, y + 4)} z"
    return (
        f'<path d="{" ".join(parts)}" fill="none" stroke="{MUTED}" stroke-width="1.3"/>'
        f'<path d="{head}" fill="{MUTED}"/>'
    )


def _pair(x: float, y: float) -> str:
    return f"{number(x)} {number(y)}"
