"""A stage as a Mermaid flowchart, which GitHub, GitLab and many editors draw inside Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from factory_cdk.picture.colours import colours_of
from factory_cdk.picture.escaping import for_mermaid
from factory_cdk.picture.model import HERE, Card, Picture, place_lines
from factory_cdk.picture.steps import steps_as_mermaid

_CONFIG = """---
config:
  flowchart:
    wrappingWidth: 480
---"""
"""Mermaid would break names at 200 pixels."""


def as_mermaid(picture: Picture) -> str:
    """The picture as the text of a Mermaid flowchart, without a Markdown fence around it."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield _CONFIG
    yield "flowchart LR"
    # Mermaid looks for directives (`%%{`) in comments, too.
    yield f"  %% {for_mermaid(picture.title)}: {for_mermaid(picture.summary)}"
    regions = [HERE, *(region for region in picture.regions if region != HERE)]
    classes = {region: f"region{index}" for index, region in enumerate(regions)}
    for number, card in enumerate(picture.cards):
        here = {place.region for place in card.places}
        class_ = classes[here.pop()] if len(here) == 1 else "several"
        yield f'  bot{number}["{_label(card)}"]:::{class_}'
    for arrow in picture.arrows:
        of = f'|"only from {for_mermaid(", ".join(arrow.sectors))}"|' if arrow.sectors else ""
        yield f"  bot{arrow.source} -->{of} bot{arrow.target}"
    for number, part in enumerate(picture.workflows):
        yield from steps_as_mermaid(part, number)
    for region, colour in colours_of(picture.regions).items():
        if region in picture.regions:
            yield f"  classDef {classes[region]} fill:#ffffff,stroke:{colour},stroke-width:2px,color:#1f2328"
    yield "  classDef several fill:#ffffff,stroke:#1f2328,stroke-width:2px,color:#1f2328"


def _label(card: Card) -> str:
    start = " (start)" if card.root else ""
    lines = [f"<b>{for_mermaid(card.bot)}</b>{start}", f"queue {for_mermaid(card.queue)}"]
    return "<br/>".join([*lines, *(for_mermaid(line) for _, line in place_lines(card))])
