"""A key that does not count, for it is duplicate or no text, is told once: what lacks without it is not told."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_texts import AWS, LOCAL, load, unmarked

BOTS = LOCAL[LOCAL.index("  bots:\n") : LOCAL.index("  stages:")]
HERE = LOCAL[LOCAL.index("      here:\n") : LOCAL.index("  workflows:")]
TWO = "{first: {source: {path: .}, bot_path: 'a:b'}, second: {source: {path: .}, bot_path: 'a:b'}}"


def changed(old: str, new: str, base: str = LOCAL) -> str:
    assert base.count(old) == 1
    return base.replace(old, new)


TWICE = {
    "the factory": "factory: {name: demo}\n§" + LOCAL,
    "bots, none in the first": changed("  bots:\n    first:", "  bots: {}\n  §bots:\n    first:"),
    "bots, some in each": changed("    second:\n      source", "  §bots:\n    second:\n      source"),
    "bots, the second behind an alias": "x-bots: &bots " + TWO + "\n" + changed(BOTS, "  bots: {}\n  §bots: *bots\n"),
    "bots, in what is merged": "x-base: &base\n  bots: {}\n  §bots: " + TWO + "\n" + changed(BOTS, "  <<: *base\n"),
    "a bot": changed("    second:\n      source", "    §first:\n      source"),
    "a bot, in what is merged": "x-two: &two {first: &a {source: {path: .}, bot_path: 'a:b'}, §first: *a}\n"
    + changed(BOTS, "  bots: {<<: *two}\n"),
    "bots where workflows is meant": changed("  workflows:", "  §bots:"),
    "bots where alarms is meant": changed("  alarms:", "  §bots:", AWS),
    "workflows": changed("  name: demo\n", "  name: demo\n  workflows: {}\n").replace(
        "  workflows:\n", "  §workflows:\n"
    ),
    "a workflow": changed("    flow:\n", "    flow: [second]\n    §flow:\n"),
    "a bot in a workflow": changed("      first: second\n", "      first:\n      §first: second\n"),
    "alarms": changed("  name: demo\n", "  name: demo\n  alarms: {}\n", AWS).replace("  alarms:\n", "  §alarms:\n"),
    "an alarm": changed("    idle:\n", "    idle: {}\n    §idle:\n", AWS),
    "stages, none in the first": changed("  stages:", "  stages: {}\n  §stages:"),
    "stages, some in each": changed(
        "  stages:", "  stages: {live: {there: {type: local, bots: {first: }}}}\n  §stages:"
    ),
    "a stage": changed(
        "    test:\n", "    test: {workflow: flow, there: {type: local, bots: {first: }}}\n    §test:\n"
    ),
    "a stage without a sector": changed("    test:\n", "    test: {workflow: flow}\n    §test:\n"),
    "a sector": changed("      here:\n", "      here: {type: local, bots: {first: }}\n      §here:\n"),
    "a sector that lacks all": changed("      here:\n", "      here: {}\n      §here:\n"),
    "the bots of a sector": changed("        bots:\n", "        bots: {second: }\n        §bots:\n"),
    "the bots of a sector behind an alias": "x-here: &here {type: local, bots: {first: }, §bots: {second: }}\n"
    + changed(HERE, "      here: *here\n"),
    "the alarm of a sector": changed(
        "        alarm: idle\n",
        "        alarm: idle\n        §alarm: other\n",
        changed("    idle:\n", "    idle: &idle\n", AWS) + "    other: *idle\n",
    ),
    "the workflow of a stage": changed(
        "      workflow: flow\n",
        "      workflow: other\n      §workflow: flow\n",
        LOCAL.replace("    flow:\n", "    other: [first]\n    flow:\n"),
    ),
}
"""What is duplicate, and a plan in which it is, with § before the second."""

NO_TEXT = {
    "a bot": changed(
        "'no':\n      source", "§no:\n      source", LOCAL.replace("second:", "'no':").replace(": second", ": 'no'")
    ),
    "workflows": changed("  workflows:", "  §5:"),
    "a list for alarms": changed("  alarms:", "  §[alarms]:", AWS),
}
"""What has a key that is no text, and a plan in which it has, with § before the key."""


@pytest.mark.parametrize(
    ("code", "marked"),
    [
        *(pytest.param("F012", text, id=title) for title, text in TWICE.items()),
        *(pytest.param("F016", text, id=f"{title}, no text") for title, text in NO_TEXT.items()),
    ],
)
def test_a_key_that_does_not_count_is_told_once(code: str, marked: str, tmp_path: Path) -> None:
    text, line, column = unmarked(marked)
    loaded = load(text, tmp_path)
    assert [(one.code, one.line, one.column) for one in loaded.diagnostics] == [(code, line, column)]
    assert loaded.plan is None


def test_what_is_wrong_beside_a_duplicate_is_told(tmp_path: Path) -> None:
    text = (
        changed("    test:\n", "    test: {there: {type: local, bots: {thrid: }}}\n    test:\n")
        .replace("workflow: flow", "workflow: flwo")
        .replace("first: second", "first: secnod")
    )
    found = [(one.code, one.line) for one in load(text, tmp_path).diagnostics]
    assert found == [("F201", 11), ("F012", 12), ("F201", 22)]


def test_a_key_that_a_duplicate_has_replaced_is_told_as_missing(tmp_path: Path) -> None:
    found = load(changed("        type: local\n", "        bots: {first: }\n"), tmp_path).diagnostics
    assert [(one.code, one.line) for one in found] == [("F101", 13), ("F012", 15)]


def test_names_that_would_be_one_on_aws_are_told_beside_a_duplicate(tmp_path: Path) -> None:
    bot = "{source: {path: .}, bot_path: 'a:b'}"
    text = changed("  bots:\n    first:", f"  bots:\n    First: {bot}\n    third: {bot}\n    third: {bot}\n    first:")
    found = [(one.code, one.line) for one in load(text, tmp_path).diagnostics]
    assert found == [("F311", 4), ("F311", 5), ("F012", 6), ("F511", 7)]
