"""Characters that only look like a space, colon, dash or quote: named, with their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import LOCAL, Case, load, prove

TYPE = "        type: local\n"
NAME = "  name: demo\n"


def case(title: str, code: str, old: str, new: str, character: str, hint: str, also: tuple[str, ...] = ()) -> Case:
    return Case(title, code, old, new, (character,), hint, also)


CASES = [
    # the structure depends on it
    case(
        "a no-break space that indents",
        "F024",
        TYPE,
        "§\u00a0       type: local\n",
        "U+00A0 (no-break space)",
        "ordinary space",
    ),
    case(
        "an ideographic space that indents",
        "F024",
        TYPE,
        "§\u3000       type: local\n",
        "U+3000 (ideographic space)",
        "ordinary space",
    ),
    case("one among the spaces", "F024", TYPE, "       §\u00a0type: local\n", "U+00A0", "ordinary space"),
    case("a fullwidth colon", "F024", TYPE, "        type§： local\n", "U+FF1A (fullwidth colon)", "colon `:`"),
    case("a no-break space behind the colon", "F024", TYPE, "        type:§\u00a0local\n", "U+00A0", "ordinary space"),
    case(
        "a zero-width space before a key",
        "F024",
        TYPE,
        "        §\u200btype: local\n",
        "U+200B (zero width space)",
        "remove it",
    ),
    case("a zero-width space in a key", "F024", TYPE, "        §ty\u200bpe: local\n", "U+200B", "remove it"),
    case(
        "a word joiner behind a key", "F024", TYPE, "        §type\u2060: local\n", "U+2060 (word joiner)", "remove it"
    ),
    case("a soft hyphen in a key", "F024", TYPE, "        §ty\u00adpe: local\n", "U+00AD (soft hyphen)", "remove it"),
    case(
        "quotes of a word processor around a key",
        "F024",
        TYPE,
        "        §“type”: local\n",
        "U+201C (left double quotation mark)",
        "quote",
    ),
    case(
        "a dash of a list",
        "F024",
        NAME,
        NAME + "  secrets:\n    – TOKEN\n    §– OTHER: x\n",
        "U+2013 (en dash)",
        "hyphen `-`",
    ),
    # only a value has it
    case("a zero-width space in a value", "F025", NAME, NAME + "  config: {A: §a\u200bb}\n", "U+200B", "remove it"),
    case("quotes of a word processor", "F025", NAME, NAME + "  config: {A: §“debug”}\n", "U+201C", "quote"),
    case(
        "a no-break space at the end",
        "F025",
        NAME,
        NAME + "  config:\n    A: §debug\u00a0\n",
        "U+00A0",
        "ordinary space",
    ),
    case("an element of a list", "F025", NAME, NAME + "  meta: {a: [§‘b’]}\n", "U+2018", "quote"),
    case("a value of a fixed set", "F025", TYPE, "        type: §local\u200b\n", "U+200B", "remove it", ("F104",)),
    case(
        "a fullwidth colon at the end of a mapping",
        "F025",
        NAME,
        NAME + "  config:\n    A: §b： c\n",
        "U+FF1A",
        "colon",
    ),
    # what YAML itself does not allow
    case(
        "a byte order mark in the middle",
        "F005",
        NAME,
        "  §\ufeffname: demo\n",
        "U+FEFF (zero width no-break space)",
        "remove it",
    ),
    case("a tab that indents", "F011", TYPE, "§\t       type: local\n", "tab", "spaces"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_named_at_its_place(case: Case, tmp_path: Path) -> None:
    prove(case, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        LOCAL.replace(NAME, NAME + "  config: {A: '\u00a0b', B: \"“c”\", C: d\u00a0e}\n"),
        LOCAL.replace(NAME, NAME + "  meta: {Größe – alt: 5\u202f000 €, 注意：火気: 厳禁, d’or: l’été}\n"),
        LOCAL.replace(NAME, NAME + "  meta:\n    text: |\n      \u3000indented：text\n"),
        LOCAL.replace(NAME, NAME + "  # \u00a0“comment”：\n"),
    ],
    ids=["in quotes", "in words", "in a block", "in a comment"],
)
def test_what_may_be_meant_is_left_alone(text: str, tmp_path: Path) -> None:
    assert load(text, tmp_path).diagnostics == ()


def test_one_that_is_far_from_the_error_is_not_blamed(tmp_path: Path) -> None:
    text = LOCAL.replace(NAME, NAME + "  meta: {a: b\u00a0c}\n").replace(
        "      first: second\n", "      first: 'second\n"
    )
    (error,) = load(text, tmp_path).diagnostics
    assert error.code == "F010"
