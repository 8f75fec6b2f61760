"""The explanations as a page of the documentation, as text and as data."""

from __future__ import annotations

import re
from pathlib import Path

from factory_cdk.codes import CODES
from factory_cdk.explain.explanations import explanations, groups
from factory_cdk.explain.markdown import page, section

PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"


def test_the_published_page_is_the_one_that_the_command_writes() -> None:
    command = f"factory-cdk explain --list --format markdown -o {PAGE}"
    assert PAGE.read_text(encoding="utf-8") == page(), command


def test_the_page_has_a_section_for_every_code_and_a_link_to_each() -> None:
    assert re.findall(r"^### (F\d+)$", page(), re.MULTILINE) == list(CODES)
    assert re.findall(r"^\| \[(F\d+)\]\(#(f\d+)\) \|", page(), re.MULTILINE) == [(code, code.lower()) for code in CODES]


def test_every_code_is_in_a_group_that_has_a_title() -> None:
    assert {code[:2] for code in CODES} == set(groups())
    assert all(groups().values())


def test_a_section_holds_the_whole_explanation() -> None:
    explanation = explanations()["F302"]
    assert explanation.example is not None
    shown = section(explanation)
    for part in ("F302", explanation.code.title, explanation.meaning, explanation.example.diff, explanation.fix):
        assert part in shown


def test_an_example_is_a_diff_between_what_is_wrong_and_what_is_fixed() -> None:
    example = explanations()["F015"].example
    assert example is not None
    assert "desk: {type: local, bots: {reader: }}\n" in example.wrong
    assert "desk: {type: local, bots: &bots {reader: }}\n" in example.fixed
    assert example.wrong.startswith("factory:\n  name: example\n")
    assert len(example.wrong.splitlines()) == len(example.fixed.splitlines())


def test_prose_is_whole_paragraphs_without_line_breaks() -> None:
    for code, explanation in explanations().items():
        for text in (explanation.meaning, explanation.fix):
            assert text.strip() == text, code
            assert "\n" not in text.replace("\n\n", ""), code
            assert text.endswith((".", ":")), code
