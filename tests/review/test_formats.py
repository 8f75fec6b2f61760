"""Reports in every format, as they were reviewed by eye.

`UPDATE_GOLDEN=1 pytest tests/review/test_formats.py -n 0` writes them anew; read them before they are committed.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rendered import by_github, rendered
from reports import EXAMPLES, four_hundred, four_hundred_ways, mixed, one_line, unchanged

from factory_cdk.cli.output.report import one_line_json
from factory_cdk.review.formats.github import as_github
from factory_cdk.review.formats.json_report import as_json
from factory_cdk.review.formats.markdown import as_markdown, marker
from factory_cdk.review.formats.text import as_text
from factory_cdk.review.model import AccessReport, BotReport, Files, Report, Verdict, Violation

GOLDEN = Path(__file__).parent / "golden"
FORMATS: dict[str, Callable[[Report], str]] = {
    "txt": lambda report: as_text(report, width=None, colour=False),
    "md": as_markdown,
    "github": as_github,
    "json": lambda report: json.dumps(as_json(report), indent=1, ensure_ascii=True) + "\n",
}
LARGE = {("four-hundred-ways", "md"), ("four-hundred-ways", "txt"), ("hostile", "txt")} | {
    (name, "json") for name in ("four-hundred", "four-hundred-ways", "hostile")
}
"""Nobody would read them; other tests look at what is in them."""


@pytest.mark.parametrize(
    ("name", "format_"), [(name, format_) for name in EXAMPLES for format_ in FORMATS if (name, format_) not in LARGE]
)
def test_a_report_is_written_as_it_was_reviewed(name: str, format_: str) -> None:
    written = FORMATS[format_](EXAMPLES[name]())
    golden = GOLDEN / f"{name}.{format_}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(written.encode())
    assert written.encode() == golden.read_bytes()


def test_when_nothing_changes_a_report_is_one_line() -> None:
    first, empty, line, end = as_markdown(unchanged()).split("\n")
    assert first == marker("plans/factory-plan.yml")
    assert (empty, end) == ("", "")
    assert line.startswith("✔️ nothing changes")
    assert as_text(unchanged(), width=None, colour=False).count("\n") == 1
    assert as_github(unchanged()) == ""


def shown_lines(markdown: str) -> int:
    """The lines that a reader sees, details closed and long lines whole."""
    closed = re.sub(r"(<details>.*?</summary>).*?</details>", r"\1", markdown, flags=re.DOTALL)
    return sum(bool(line) and not line.startswith(("<!--", "| ---")) for line in closed.split("\n"))


@pytest.mark.parametrize("report", [one_line(), four_hundred()])
def test_what_changes_in_one_way_fits_one_screen(report: Report) -> None:
    assert shown_lines(as_markdown(report)) <= 15


def test_four_hundred_sectors_changed_alike_are_one_row() -> None:
    rows = [line for line in as_markdown(four_hundred()).split("\n") if line.startswith("| ♻️ replaced ")]
    assert len(rows) == 1
    assert "`box_0` … `box_399` (400 sectors)" in rows[0]
    assert as_github(four_hundred()).count("::warning") == 1


def test_four_hundred_sectors_changed_in_as_many_ways_leave_the_first_open() -> None:
    markdown = as_markdown(four_hundred_ways())
    assert shown_lines(markdown) <= 40
    assert "380 more sectors in which something changes" in markdown
    assert all(f"`box_{number}`" in markdown for number in range(400))


def test_of_more_annotations_than_github_shows_the_last_says_how_many_there_are() -> None:
    lines = as_github(four_hundred_ways()).splitlines()
    assert len(lines) == 10
    assert lines[-1].endswith("::391 more of this kind are in the report")


def test_what_is_refused_for_one_reason_is_one_line() -> None:
    report = replace(
        four_hundred(),
        violations=tuple(Violation("replace", "prod", f"sector box_{number} is replaced", 31) for number in range(400)),
    )
    (line,) = [line for line in as_markdown(report).split("\n") if "refused" in line]
    assert line.endswith("sector `box_0` is replaced; sector `box_1` is replaced; and 398 more")
    (error,) = [line for line in as_github(report).split("\n") if line.startswith("::error")]
    assert error.endswith("sector box_0 is replaced (and 399 more)")


def test_workers_and_bots_that_fare_alike_are_one_line() -> None:
    stage = four_hundred().stages[0]
    changed = BotReport("reader", Verdict.CHANGED, "path code", "path code", files=Files((), ("reader.py",), ()))
    stage = replace(
        stage,
        workers=(*stage.workers, *(replace(one, bot="solver") for one in stage.workers)),
        bots=(changed, replace(changed, name="solver")),
    )
    markdown = as_markdown(replace(four_hundred(), stages=(stage,)))
    assert markdown.count("workers of `reader`, `solver` on `box_0` … `box_399` (400 sectors)") == 1
    assert markdown.count("changed: `reader`, `solver`, 1 file") == 1
    assert markdown.count("`reader.py`") == 1


def test_a_long_list_in_the_details_ends_with_how_much_more_there_is() -> None:
    access = tuple(AccessReport(f"box_{number}", (f"read parameter {number}",)) for number in range(400))
    stage = replace(four_hundred().stages[0], access=access)
    markdown = as_markdown(replace(four_hundred(), stages=(stage,)))
    assert markdown.count("gained: ") == 100
    assert "- and 300 more lines" in markdown


def test_a_workflow_that_mermaid_would_not_draw_is_not_given_to_it() -> None:
    stage = mixed().stages[1]
    assert stage.workflow is not None
    edges = "flowchart LR\n" + "  bot0 --> bot1\n" * 501
    long = f'flowchart LR\n  bot0["{"x" * 50_000}"]\n'
    huge = replace(stage, workflow=replace(stage.workflow, before=edges, after=long))
    markdown = as_markdown(replace(mixed(), stages=(huge,)))
    assert "```mermaid" not in markdown
    assert markdown.count("too large to be drawn here") == 2
    assert "`solver` feeds `checker`" in markdown


def test_the_head_says_first_what_matters_most() -> None:
    lines = as_markdown(mixed()).split("\n")
    head = lines[: lines.index("#### Stage `prod`")]
    order = (
        "removed, jobs are lost", "`--fail-on replace`", "stage `prod`", "12 sectors replaced", "may be replaced",
        "jobs in 1 queue are lost", "+194.48 USD a month", "no price known", "less protected", "stage `dev`",
    )  # fmt: skip
    places = ["\n".join(head).index(words) for words in order]
    assert places == sorted(places)


def test_every_verdict_has_a_sign_and_a_word() -> None:
    signs = (r"(❌|-) removed", r"(♻️|-/\+) replaced", r"(🔄|!) restarted", r"(➕|\+) added", r"(✏️|~) changed")
    for written in (as_markdown(mixed()), as_text(mixed(), width=None, colour=False)):
        for sign_and_word in signs:
            assert re.search(rf"(^|[ |]){sign_and_word}", written, re.MULTILINE), sign_and_word


def test_text_without_a_terminal_is_whole_and_plain() -> None:
    plain = as_text(mixed(), width=None, colour=False)
    assert "\x1b" not in plain
    assert max(map(len, plain.split("\n"))) > 200
    assert "subnet-19d539c3545e11aa0 → subnet-0aa539c3545e11bb9" in plain


@pytest.mark.parametrize("width", [70, 80, 120])
def test_tables_fit_a_terminal(width: int) -> None:
    shown = as_text(one_line(), width=width, colour=False)
    table = shown[shown.index("verdict ") : shown.index("Jobs:")]
    assert max(map(len, table.split("\n"))) <= width


def test_colour_adds_nothing_but_colour() -> None:
    coloured = as_text(mixed(), width=100, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == as_text(mixed(), width=100, colour=False)
    assert "\x1b[31m-/+ replaced" in coloured


def test_long_values_are_shortened_where_they_do_not_differ() -> None:
    markdown = as_markdown(EXAMPLES["long-values"]())
    assert "`…" in markdown
    before, after = re.findall(r"(`[^`]*`) → (`[^`]*`)", markdown)[1]
    assert before != after
    assert max(len(before), len(after)) <= 52
    assert "port 22" in before
    assert "port 2022" in after


@pytest.mark.parametrize("name", EXAMPLES)
def test_both_sorts_of_emphasis_and_headings_are_our_own(name: str) -> None:
    found = rendered(by_github(as_markdown(EXAMPLES[name]())))
    assert ("h3",) in found.tags or name == "unchanged"
    assert not [tag for tag in found.tags if tag[0] in {"em", "del", "img", "input", "script"}]


def test_the_marker_is_that_of_the_plan_however_its_path_is_written() -> None:
    assert marker("./plans//factory-plan.yml") == marker("plans/factory-plan.yml")
    assert marker("a.yml", "prod") != marker("a.yml", "dev") != marker("a.yml")
    for path in ("--><b>", "a--b", "-", "->", "x\n-->", "\u202e", "é@b", "-" * 300):
        assert re.fullmatch(r"<!-- factory-cdk review: (?!>|->)(?:(?!--)[A-Za-z0-9./_%~-])+ -->", marker(path)), path


def test_formatting_takes_no_time() -> None:
    """Four hundred sectors in 0.1 s of this process's own time; ten reports, for a clock that ticks slowly."""
    for format_ in FORMATS.values():
        for report in (four_hundred(), four_hundred_ways()):
            format_(report)
            start = time.process_time()
            for _ in range(10):
                format_(report)
            assert time.process_time() - start < 1


def test_json_has_no_character_that_a_terminal_obeys() -> None:
    assert one_line_json(as_json(EXAMPLES["hostile"]())).isprintable()
