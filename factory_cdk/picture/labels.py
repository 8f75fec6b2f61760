"""Draws what an arrow is about when not every sector of a card sends its jobs that way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factory_cdk.picture.drawing import MUTED, draw_text, number, width_of, wrapped
from factory_cdk.picture.model import Arrow

SIZE = 10.5

_WIDEST = 170.0
_LEADING = 13.0
_MOST = 3


def label_lines(arrow: Arrow) -> list[str]:
    """The lines of an arrow's label: the first sectors that send jobs along it; none when all do."""
    if not arrow.sectors:
        return []
    more = len(arrow.sectors) - _MOST
    named = list(arrow.sectors[:_MOST]) + ([f"and {more} more"] if more > 0 else [])
    return ["only from", *(line for name in named for line in wrapped(name, SIZE, _WIDEST))]


def label_width(arrow: Arrow) -> float:
    """How wide an arrow's label is, in pixels; 0 without one."""
    return max((width_of(line, SIZE) for line in label_lines(arrow)), default=0.0)


def draw_label(arrow: Arrow, route: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The label on white, in the middle of the first curve of the arrow's route."""
    lines = label_lines(arrow)
    if not lines:
        return
    (x, y), (next_x, next_y), *_ = route
    middle, width, height = (x + next_x) / 2, label_width(arrow), _LEADING * len(lines)
    top = (y + next_y) / 2 - height / 2
    yield (
        f'<rect x="{number(middle - width / 2 - 4)}" y="{number(top - 2)}" width="{number(width + 8)}" '
        f'height="{number(height + 4)}" rx="3" fill="#ffffff" fill-opacity="0.92"/>'
    )
    for index, line in enumerate(lines):
        left = middle - width_of(line, SIZE) / 2
        yield draw_text(left, top + _LEADING * index + 9.5, line, size=SIZE, fill=MUTED)
