"""Draws a card: a bot, the queue that it reads, and where it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from factory_cdk.picture.drawing import INK, LINE, MUTED, SANS, draw_box, draw_text, number, width_of, wrapped
from factory_cdk.picture.model import Card, place_lines

NAME, SMALL = 13.0, 11.0
PAD = 12.0
QUEUE_INDENT, PLACE_INDENT = 18.0, 14.0

_NARROWEST, _WIDEST = 150.0, 290.0


@dataclass(frozen=True, slots=True)
class CardText:
    """The lines of a card: its name, its queue and its places (each with its region), wrapped to its width."""

    card: Card
    width: float
    name: tuple[str, ...]
    queue: tuple[str, ...]
    places: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def height(self) -> float:
        """How high the card is, in pixels."""
        lines = len(self.queue) + sum(len(lines) for _, lines in self.places)
        return 2 * PAD + len(self.name) * 17 + 10 + lines * 16 - 4


def card_texts(cards: Iterable[Card]) -> list[CardText]:
    """The cards with their text, all of one width: that of the longest line within bounds."""
    cards = list(cards)
    wanted = _NARROWEST
    for card in cards:
        start = 48 if card.root else 0
        wanted = max(wanted, width_of(card.bot, NAME) + start, width_of(card.queue, SMALL) + QUEUE_INDENT)
        wanted = max([wanted, *(width_of(line, SMALL) + PLACE_INDENT for _, line in place_lines(card))])
    width = min(wanted, _WIDEST - 2 * PAD)
    return [
        CardText(
            card,
            ceil(width + 2 * PAD),
            tuple(wrapped(card.bot, NAME, width - (48 if card.root else 0))),
            tuple(wrapped(card.queue, SMALL, width - QUEUE_INDENT)),
            tuple((region, tuple(wrapped(line, SMALL, width - PLACE_INDENT))) for region, line in place_lines(card)),
        )
        for card in cards
    ]


def draw_card(text: CardText, left: float, top: float, colours: Mapping[str, str]) -> Iterator[str]:
    """The card with its upper left corner at `left`, `top`."""
    regions = {place.region for place in text.card.places}
    stroke = colours[min(regions)] if len(regions) == 1 else MUTED
    yield draw_box(left, top, text.width, text.height, stroke=stroke)
    if text.card.root:
        yield draw_text(left + text.width - PAD, top + PAD + 10, "▶ start", size=SMALL, fill=MUTED, font=SANS, end=True)
    y = top + PAD + 11
    for line in text.name:
        yield draw_text(left + PAD, y, line, size=NAME, fill=INK, bold=True)
        y += 17
    y += 2
    yield _queue_sign(left + PAD, y - 8)
    for line in text.queue:
        yield draw_text(left + PAD + QUEUE_INDENT, y, line, size=SMALL, fill=MUTED)
        y += 16
    y += 4
    yield f'<path d="M{number(left)} {number(y - 12)} h{number(text.width)}" stroke="{LINE}"/>'
    y += 4
    for region, lines in text.places:
        yield f'<circle cx="{number(left + PAD + 4)}" cy="{number(y - 4)}" r="4" fill="{colours[region]}"/>'
        for line in lines:
            yield draw_text(left + PAD + PLACE_INDENT, y, line, size=SMALL, fill=INK)
            y += 16


def _queue_sign(x: float, y: float) -> str:
    """Three jobs in a row: the queue that the bot reads."""
    bars = "".join(f"M{number(x + 5 * bar)} {number(y)} h3 v8 h-3 z " for bar in range(3))
    return f'<path d="{bars.strip()}" fill="{MUTED}"/>'
