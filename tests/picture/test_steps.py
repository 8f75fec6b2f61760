"""Workflows of steps in pictures: each format names every step, what it needs and what it takes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape

from picture_stages import picture

from factory_cdk.picture.mermaid import as_mermaid
from factory_cdk.picture.model import Picture
from factory_cdk.picture.steps import steps_parts
from factory_cdk.picture.svg import as_svg
from factory_cdk.picture.text import as_text
from factory_cdk.runs.conditions import parse
from factory_cdk.runs.definition import Definition, to_json
from factory_cdk.runs.graph import Graph, OnFailure, Step

GRAPH = Graph(
    (
        Step("extract", items=2, max_parallel=1),
        Step("load", parse("extract"), acquire=(("database", 2),), on_failure=OnFailure.CONTINUE),
        Step("publish", parse("load"), (Step("render"), Step("send", parse("render"), delay=600.0)), repeat=2),
        Step("alert", parse("load.failed or extract.failed")),
    ),
    max_concurrent=8,
)
LEAVES = ("extract", "load", "publish/render", "publish/send", "alert")
DEFINITION = Definition(
    GRAPH, {path: {"bot": f"bot-{path[-4:]}", "queue": "q", "given": None} for path in LEAVES}, {"extract": ["a", "b"]}
)

DRAWN = [
    "steps of nightly (6 steps, 8 at a time)",
    "  extract    bot bot-ract, for each of 2, 1 at a time",
    "  load       bot bot-load, takes 2 of database, on failure continue, needs extract",
    "  publish    2 times, needs load",
    "    render   bot bot-nder",
    "    send     bot bot-send, after 600 s, needs render",
    "  alert      bot bot-lert, needs load.failed or extract.failed",
]


def drawn() -> Picture:
    return replace(picture("split"), workflows=steps_parts({"nightly": json.loads(to_json(DEFINITION))}))


def test_text_has_a_line_for_each_step() -> None:
    lines = as_text(drawn()).splitlines()
    first = lines.index(DRAWN[0])
    assert lines[first : first + len(DRAWN)] == DRAWN


def test_mermaid_has_an_arrow_for_each_step_that_another_names_and_a_box_for_each_container() -> None:
    text = unescape(as_mermaid(drawn()))
    assert 'subgraph run0["nightly: 6 steps, 8 at a time"]' in text
    assert 'subgraph step0_2["publish: 2 times"]' in text
    arrows = [line.strip() for line in text.splitlines() if "-->" in line and "step0" in line]
    assert arrows == [
        "step0_0 --> step0_1",
        "step0_1 --> step0_2",
        "step0_3 --> step0_4",
        'step0_1 -->|"failed"| step0_5',
        'step0_0 -->|"failed"| step0_5',
    ]
    assert text.count("subgraph") == text.count("  end\n")


def test_svg_shows_the_same_lines_as_text() -> None:
    svg = as_svg(drawn())
    shown = [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert [line.strip() for line in DRAWN] == [line for line in shown if line in {one.strip() for one in DRAWN}]
