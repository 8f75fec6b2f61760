"""Pictures of whole stages in every format, as they were reviewed by eye.

`UPDATE_GOLDEN=1 pytest tests/picture/test_pictures.py` writes them anew; look at them before they are committed.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_stages import STAGES, design, picture

from factory_cdk.diagnostics import FactoryError
from factory_cdk.picture.mermaid import as_mermaid
from factory_cdk.picture.model import HERE, Arrow, Card, Picture, Place, SectorPart, picture_of
from factory_cdk.picture.svg import MAX_CARDS, as_svg
from factory_cdk.picture.text import as_text

GOLDEN = Path(__file__).parent / "golden"
FORMATS: dict[str, Callable[[Picture], str]] = {"txt": as_text, "mmd": as_mermaid, "svg": as_svg}
SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = "</text><script>alert(1)</script>\"'`;%%{init}%%\n]|#\x1b[31m\u202e&"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_drawn_as_it_was_reviewed(stage: str, format_: str) -> None:
    drawn = FORMATS[format_](picture(stage))
    golden = GOLDEN / f"{stage}.{format_}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(drawn.encode())
    assert drawn.encode() == golden.read_bytes()


def shown(svg: str) -> str:
    """All text of an SVG document, line ends inside names taken away."""
    return "".join(element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text"))  # noqa: S314 - our own


@pytest.mark.parametrize("stage", STAGES)
def test_every_format_names_every_bot_queue_sector_and_region(stage: str) -> None:
    drawn = picture(stage)
    texts = [as_text(drawn), unescape(as_mermaid(drawn)), shown(as_svg(drawn))]
    for card in drawn.cards:
        for text in texts:
            assert card.bot in text
            assert card.queue in text
    for region, sectors in drawn.regions.items():
        for text in texts:
            assert region in text
        for sector in sectors:
            assert sector.name in texts[0]
            assert sector.name in texts[2]


def test_a_card_is_a_bot_with_one_of_its_queues_and_an_arrow_says_when_only_some_sectors_feed_it() -> None:
    drawn = picture("split")
    assert [(card.bot, card.queue, len(card.places)) for card in drawn.cards] == [
        ("reader", "reader", 2),
        ("solver", "solve-here", 1),
        ("alone", "alone", 7),
        ("solver", "solve-in-the-laboratory-behind-the-house", 1),
    ]
    assert drawn.arrows == (Arrow(0, 1, ("desk",)), Arrow(0, 3, ("lab",)))
    assert drawn.cards[0].root
    assert drawn.summary == "3 bots, 4 queues, 7 sectors"


def test_a_region_is_where_its_aws_sectors_are_and_this_machine_where_the_local_ones_are() -> None:
    regions = picture("reference-dev").regions
    assert {region: [sector.name for sector in sectors] for region, sectors in regions.items()} == {
        HERE: ["local_sector", "another_local_sector"],
        "eu-west-2": ["ec2_box_1", "ec2_box_2", "ec2_box_3"],
        "eu-west-1": ["ec2_box_4"],
    }


@pytest.mark.parametrize("region", [None, HOSTILE])
def test_text_of_users_never_becomes_markup_or_a_terminal_s_command(region: str | None) -> None:
    drawn = picture_of(design(HOSTILE, {HOSTILE: {HOSTILE: ("next",), "next": ()}}, region))
    elements = {element.tag for element in ET.fromstring(as_svg(drawn)).iter()}  # noqa: S314 - our own
    assert elements <= {f"{SVG}{name}" for name in ("svg", "title", "rect", "text", "g", "path", "circle")}
    for drawing in (as_text(drawn), as_mermaid(drawn), as_svg(drawn)):
        assert all(c.isprintable() or c == "\n" for c in drawing)
    mermaid = as_mermaid(drawn)
    assert "script>" not in mermaid
    assert mermaid.count("%%") == 1  # our own comment
    for line in mermaid.splitlines():
        if '["' in line:
            label = re.fullmatch(r'  bot\d+\["(.*)"\]:::\w+', line)
            assert label is not None
            assert set(re.findall(r"<[^>]*>", label[1])) <= {"<b>", "</b>", "<br/>"}
            assert not set(label[1]) & set('"`#|[]{}\\')


@settings(max_examples=100)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=3, max_size=3, unique=True))
def test_any_text_is_drawn_and_read_back_whole(names: list[str]) -> None:
    first, second, sector = names
    drawn = picture_of(design("factory", {sector: {first: (second,), second: ()}}))
    text = shown(as_svg(drawn))
    for name in names:
        seen = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
        assert seen.replace(" ", "") in text.replace(" ", "")
        assert seen in as_text(drawn)
        assert seen in unescape(as_mermaid(drawn))


def chain(cards: int, *, closed: bool = False) -> Picture:
    """Bots in a row; with `closed` the last feeds the first."""
    arrows = [Arrow(number, number + 1) for number in range(cards - 1)]
    return Picture(
        "long",
        "test",
        tuple(Card(f"bot_{n}", f"bot_{n}", (Place("desk", HERE, 1),)) for n in range(cards)),
        (*arrows, *([Arrow(cards - 1, 0)] if closed else [])),
        {HERE: (SectorPart("desk", tuple((f"bot_{n}", 1) for n in range(cards))),)},
    )


def test_a_workflow_of_thousands_is_told_as_text_and_refused_as_a_drawing() -> None:
    drawn = chain(5000)
    workflow, _, sectors = as_text(drawn).partition("\n\nsectors\n")
    assert sum("bot_" in line for line in workflow.splitlines()) == 5000
    assert sectors.count("bot_") == 5000 and max(map(len, sectors.splitlines())) <= 80
    assert as_mermaid(drawn).count(" --> ") == 4999
    with pytest.raises(FactoryError) as refused:
        as_svg(drawn)
    assert "5,000 queues" in refused.value.message
    assert refused.value.remedy is not None


def test_the_largest_drawing_that_is_taken_is_drawn() -> None:
    assert as_svg(chain(MAX_CARDS)).count("▶ start") == 0


def test_a_long_workflow_runs_from_top_to_bottom_and_a_short_one_from_left_to_right() -> None:
    sizes = [re.search(r'width="([\d.]+)" height="([\d.]+)"', as_svg(chain(cards))) for cards in (4, 30)]
    (flat_width, flat_height), (tall_width, tall_height) = [
        (float(size[1]), float(size[2])) for size in sizes if size is not None
    ]
    assert flat_width > flat_height
    assert tall_width < 1000 < tall_height


def test_a_circle_is_drawn_all_the_same() -> None:
    drawn = chain(3, closed=True)
    assert as_text(drawn).count("bot_0 ↑") == 1
    assert as_svg(drawn).count("<path d=") >= 6


def test_a_stage_without_a_workflow_shows_its_bots_in_rows() -> None:
    drawn = picture_of(design("factory", {"desk": {f"bot-{number}": () for number in range(12)}}))
    svg = as_svg(drawn)
    assert "in no workflow" not in svg
    assert len(set(re.findall(r'<circle cx="([\d.]+)"', svg))) > 3
