"""A report that is longer than a comment may be is cut where a reader can still read it."""

from __future__ import annotations

import pytest
from rendered import by_github, by_markdown_it, rendered
from reports import EXAMPLES, four_hundred_ways, mixed

from factory_cdk.review.formats.cutting import GITHUB, cut, size
from factory_cdk.review.formats.markdown import as_markdown

ARTEFACT = "https://github.com/plant/factory/actions/runs/1/artifacts/2"


def test_a_report_that_fits_is_whole() -> None:
    whole = as_markdown(mixed())
    assert as_markdown(mixed(), limit=size(whole), full_report_url=ARTEFACT) == whole
    assert as_markdown(mixed(), limit=GITHUB) == whole


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"unchanged", "hostile"}))
@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 0.999])
def test_a_report_that_is_cut_fits_and_is_closed_and_says_so(name: str, share: float) -> None:
    whole = as_markdown(EXAMPLES[name]())
    limit = max(600, int(size(whole) * share))
    if limit >= size(whole):
        limit = size(whole) - 1
    short = as_markdown(EXAMPLES[name](), limit=limit, full_report_url=ARTEFACT)
    assert size(short) <= limit
    assert short.split("\n")[0] == whole.split("\n")[0]
    for render in (by_github, by_markdown_it):
        found = rendered(render(short))
        for tag in ("details", "summary", "table", "pre"):
            assert found.tags.count((tag,)) == found.tags.count((f"/{tag}",)), tag
        assert found.tags.count(("summary",)) == found.tags.count(("details",))
        assert found.links[-1] == ARTEFACT
        assert "This report was cut here" in "".join(found.plain[-4:])
    kept = short[: short.index("✂️")].rstrip().removesuffix("</details>").rstrip().split("\n")
    assert [line for line in kept if line not in whole.split("\n")] == []


@pytest.mark.parametrize("limit", range(700, 6000, 37))
def test_wherever_it_is_cut_nothing_is_announced_that_does_not_follow(limit: int) -> None:
    short = as_markdown(mixed(), limit=limit, full_report_url=ARTEFACT)
    if "✂️" not in short:
        return
    assert size(short) <= limit
    last = short[: short.index("✂️")].rstrip().removesuffix("</details>").rstrip().split("\n")[-1]
    assert not last.startswith(("#", "| ---", "<details>", "**", "| verdict", "```mermaid")), last


def test_a_report_of_many_different_sectors_fits_into_a_comment_of_github() -> None:
    stage = four_hundred_ways().stages[0]
    from dataclasses import replace

    stages = tuple(replace(stage, name=f"prod-{number}") for number in range(4))
    report = replace(four_hundred_ways(), stages=stages)
    assert size(as_markdown(report)) > GITHUB
    short = as_markdown(report, limit=GITHUB, full_report_url=ARTEFACT)
    assert GITHUB * 0.9 < size(short) <= GITHUB


def test_without_a_page_of_the_whole_it_is_said_where_it_is() -> None:
    whole = as_markdown(mixed())
    assert "`factory-cdk review` prints the whole" in cut(whole, 1000)
    assert "artefacts have the whole" in cut(whole, 1000, "http://plain.example")


def test_characters_outside_of_the_basic_plane_count_twice() -> None:
    assert size("🔓a") == 3
