"""Draws what runs where: a box for every sector, region by region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from factory_cdk.picture.drawing import INK, MUTED, SANS, draw_box, draw_text, number, width_of, wrapped
from factory_cdk.picture.model import Picture, SectorPart

NAME, SMALL = 12.0, 11.0
PAD = 10.0

_NARROWEST, _WIDEST = 130.0, 330.0
_GAP = 14.0
_REGION_GAP = 20.0


@dataclass(frozen=True, slots=True)
class _Box:
    """A sector's box: its lines and where it stands."""

    region: str
    name: list[str]
    bots: list[str]
    left: float
    top: float
    width: float

    @property
    def height(self) -> float:
        return _height(self.name, self.bots)


@dataclass(frozen=True, slots=True)
class SectorsDrawing:
    """The boxes of all sectors and the headings of their regions (with their places), from the upper left corner on."""

    headings: tuple[tuple[str, float, float], ...]
    boxes: tuple[_Box, ...]
    height: float


def place_sectors(picture: Picture, width: float) -> SectorsDrawing:
    """Set the regions in rows of at most `width`, each a heading with the boxes of its sectors below."""
    headings: list[tuple[str, float, float]] = []
    boxes: list[_Box] = []
    left = top = lowest = 0.0
    for region, sectors in picture.regions.items():
        box_width = max(_wanted(sector) for sector in sectors)
        wanted = len(sectors) * (box_width + _GAP) - _GAP
        if left and left + wanted > width:
            left, top = 0.0, lowest + _REGION_GAP
        headings.append((region, left, top + 14))
        x, y, right, row = left, top + 26, left, 0.0
        for sector in sectors:
            if x > left and x + box_width > width:
                x, y, row = left, y + row + _GAP, 0.0
            inner = box_width - 2 * PAD
            name = wrapped(sector.name + (" (windows)" if sector.windows else ""), NAME, inner)
            bots = [line for bot in _bots(sector) for line in wrapped(bot, SMALL, inner)]
            boxes.append(_Box(region, name, bots, x, y, box_width))
            row = max(row, boxes[-1].height)
            right, lowest = max(right, x + box_width), max(lowest, y + row)
            x += box_width + _GAP
        left = right + 2 * _REGION_GAP
    return SectorsDrawing(tuple(headings), tuple(boxes), lowest)


def draw_sectors(drawing: SectorsDrawing, left: float, top: float, colours: Mapping[str, str]) -> Iterator[str]:
    """The drawing with its upper left corner at `left`, `top`."""
    for region, x, y in drawing.headings:
        yield f'<circle cx="{number(left + x + 5)}" cy="{number(top + y - 5)}" r="5" fill="{colours[region]}"/>'
        yield draw_text(left + x + 16, top + y, region, size=13, fill=INK, font=SANS, bold=True)
    for box in drawing.boxes:
        yield draw_box(left + box.left, top + box.top, box.width, box.height, stroke=colours[box.region])
        y = top + box.top + PAD + 9
        for line in box.name:
            yield draw_text(left + box.left + PAD, y, line, size=NAME, fill=INK, bold=True)
            y += 15
        y += 3
        for line in box.bots:
            yield draw_text(left + box.left + PAD, y, line, size=SMALL, fill=MUTED)
            y += 15


def _bots(sector: SectorPart) -> list[str]:
    return [f"{bot} ×{processes}" for bot, processes in sector.bots]


def _wanted(sector: SectorPart) -> float:
    lines = [width_of(line, SMALL) for line in _bots(sector)]
    title = width_of(sector.name + (" (windows)" if sector.windows else ""), NAME)
    return ceil(min(max([_NARROWEST, title, *lines]), _WIDEST) + 2 * PAD)


def _height(name: list[str], bots: list[str]) -> float:
    return 2 * PAD + 15 * (len(name) + len(bots)) - 1
