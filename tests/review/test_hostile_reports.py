"""Whatever a plan's author writes, a comment shows it: it becomes no markup, link, mention, reference or command."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rendered import Rendered, by_github, by_markdown_it, rendered
from reports import HOSTILE, filled_with, hostile

from factory_cdk.review.formats.cutting import cut
from factory_cdk.review.formats.escaping import code, fenced, is_plain_mermaid, link_host, prose
from factory_cdk.review.formats.github import as_github
from factory_cdk.review.formats.markdown import as_markdown
from factory_cdk.review.formats.text import as_text

RENDERERS = (by_github, by_markdown_it)

PIECES = st.one_of(
    st.sampled_from(HOSTILE.split(" ")),
    st.sampled_from(["`", "``", "`" * 90, "|", "\\", "\\|", " ", "  ", "\n", "\n\n", "\r", "\t", "\0"]),
    st.sampled_from(["-->", "<!--", "</details>", "<script>", "]]>", "<?x", "&#64;x", "&lt;", "```mermaid", "~~~"]),
    st.sampled_from(["1. x", "- x", "> x", "# x", "/assign @x", "GH-12", "ABC-12", "deadbeef", "http:", "---"]),
    st.sampled_from(["(", ")", "!", "@", "[x]:", "\u202e", "\u2066", "\u200b", "\ufeff", "\x85", "\u2028", "\ud800"]),
    st.text(max_size=8),
    st.from_regex(r"[a-z@#!$~:/.<>`\\|_*\[\]()-]{1,12}", fullmatch=True),
)
TEXTS = st.lists(PIECES, min_size=1, max_size=8).map("".join).filter(bool)

READ = re.compile(
    r"[@#$`<>\[\]{}|~^*_\\&]|!\d|\bGH-\d|\b[A-Z]+-\d|://|www\.|:[\w+-]+:|%%|\b[0-9a-f]{7,}\b|^\s*/\w",
    re.IGNORECASE | re.MULTILINE,
)
"""What GitHub or GitLab would read something into, outside of code."""

OWN = re.compile(r"factory_cdk")
"""Our own name, the only word of ours with such a mark."""


def structure(markdown: str) -> Rendered:
    """What both parsers make of it; they agree."""
    first, second = (rendered(render(markdown)) for render in RENDERERS)
    assert first.links == second.links
    assert first.comments == second.comments
    assert [tag[0] for tag in first.tags] == [tag[0] for tag in second.tags]
    return first


HARMLESS = structure(as_markdown(filled_with("word")))


@given(TEXTS)
@example(HOSTILE)
@example("`" * 100)
@example("a`\\")
@example("\\|")
def test_a_hostile_report_has_the_tags_and_links_of_a_harmless_one(text: str) -> None:
    found = structure(as_markdown(filled_with(text)))
    assert found.tags == HARMLESS.tags
    assert found.links == []
    assert len(found.comments) == 1
    assert found.comments[0].startswith(" factory-cdk review: ")
    plain = OWN.sub("", "".join(found.plain))
    assert not READ.search(plain), READ.search(plain)


@given(TEXTS)
@example(HOSTILE)
def test_what_was_written_is_what_is_shown(text: str) -> None:
    from factory_cdk.picture.escaping import printable

    for render in RENDERERS:
        cell = rendered(render(f"| a |\n| --- |\n| x{code(text, in_table=True)} |"))
        line = rendered(render(f"- x{code(text)}"))
        shown = printable(text)
        if "`" * 9 in text:
            shown = shown.replace("`", "\\x60")
        if not shown.strip(" "):
            shown = f'"{shown}"'
        assert cell.code == line.code == [shown]
        said = rendered(render(f"- x {prose(text)}"))
        if "`" * 9 not in text:
            parts = "".join((*said.plain, *said.code)).replace(" ", "").replace("\n", "")
            assert sorted(parts) == sorted("x" + printable(text).replace(" ", ""))


def test_words_that_are_plain_stay_plain() -> None:
    sentence = "an instance's type, \"small\" until now (4 of 10), can't be changed: 80% of it."
    assert prose(sentence, first=False) == sentence
    assert prose("asks ami-12 to notify @ops, please.") == "asks `ami-12` to notify `@ops`, please."


@given(TEXTS)
@example("x\n::error::y")
@example("%0A::error::y")
def test_no_text_starts_a_workflow_command_or_another_property(text: str) -> None:
    report = filled_with(text)
    lines = as_github(report).splitlines()
    assert len(lines) == len(as_github(filled_with("word")).splitlines())
    for line in lines:
        assert re.fullmatch(r"::(error|warning|notice) file=[^,:]*(,line=\d+)?,title=[^,:]*::.*", line), line
    assert not [
        line for line in as_text(report, width=None, colour=False).split("\n") if line.lstrip().startswith("::")
    ]


@given(TEXTS)
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    for colour in (False, True):
        shown = as_text(filled_with(text), width=None, colour=colour)
        assert all(c.isprintable() or c == "\n" for c in re.sub(r"\x1b\[\d+m", "", shown) if colour or c != "\x1b")
    shown = as_text(filled_with(text), width=None, colour=False)
    assert shown.count("\n") == as_text(filled_with("word"), width=None, colour=False).count("\n")


@given(TEXTS, st.sampled_from(["", "flowchart LR\n"]))
@example("```\n# out", "")
@example("%%{init: {}}%%", "flowchart LR\n")
@example("click a href", "flowchart LR\n  ")
def test_a_diagram_is_drawn_only_when_it_does_nothing_else_and_ends_where_it_ends(text: str, start: str) -> None:
    mermaid = start + text
    for render in RENDERERS:
        found = rendered(render(f"{fenced(mermaid, 'text')}\n\nafter"))
        assert [tag[0] for tag in found.tags] == ["pre", "/pre", "p", "/p"]
    if is_plain_mermaid(mermaid):
        assert "%%{" not in mermaid
        assert "`" not in mermaid
        assert not re.search(r"\bclick\b", mermaid.split("\n")[-1].split(" ")[0])


def test_what_factory_cdk_draws_is_plain_mermaid() -> None:
    from pathlib import Path

    golden = sorted((Path(__file__).parents[1] / "picture" / "golden").glob("*.mmd"))
    assert golden
    for drawn in golden:
        assert is_plain_mermaid(drawn.read_text()), drawn


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/a/b", "https://user:secret@github.com/a", "https://github.com/a b", "https://github.com/(x)",
        "https://github.com/a\n", "https://github.com/<b>", "javascript:alert(1)", "https://github.com/a)[x](https://b",
        "https:///x", "https://github.com\\@evil.example", "https://github.com/`", "//github.com", "",
    ],
)  # fmt: skip
def test_a_page_is_linked_only_when_its_address_is_plain(url: str) -> None:
    assert link_host(url) is None
    assert structure(as_markdown(filled_with("word", url=url))).links == []


def test_a_plain_page_is_linked_by_its_host() -> None:
    page = "https://github.com/plant/reader/compare/3f2a91c04d...9b1f00c2aa"
    markdown = as_markdown(filled_with("word", url=page))
    assert structure(markdown).links == [page]
    assert f"[`github.com`]({page})" in markdown


@pytest.mark.parametrize("limit", [400, 3000, 5000, 8000, 12000, 20000])
def test_a_hostile_report_that_is_cut_has_all_its_elements_closed(limit: int) -> None:
    markdown = as_markdown(hostile())
    short = cut(markdown, limit, "https://evil.example/](x)")
    found = structure(short)
    for tag in ("details", "summary", "table", "pre", "ul"):
        assert found.tags.count((tag,)) == found.tags.count((f"/{tag}",)), tag
    assert found.links == []
