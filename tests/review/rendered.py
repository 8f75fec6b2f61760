"""Markdown as GitHub's own parser renders it: its tags, links and comments, and the text that is outside of code."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt

_CODE = frozenset({"code", "pre"})


def by_github(markdown: str) -> str:
    """HTML of cmark-gfm, raw HTML included: nothing that got out is hidden by a filter."""
    extensions = ["table", "autolink", "strikethrough", "tasklist"]
    return cmarkgfm.markdown_to_html_with_extensions(markdown, Options.CMARK_OPT_UNSAFE, extensions)


def by_markdown_it(markdown: str) -> str:
    """HTML of a second implementation of CommonMark, with tables."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


@dataclass
class Rendered(HTMLParser):
    """What a reader's browser is given."""

    tags: list[tuple[str, ...]] = field(default_factory=list)
    """Every start and end of an element with its attributes, but for code spans."""

    links: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    """Texts outside of code, in which GitHub and GitLab look for mentions and references."""

    code: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag in _CODE:
            self.inside.append(tag)
        if tag != "code":
            self.tags.append((tag, *(f"{key}={value}" for key, value in attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in _CODE:
            self.inside.remove(tag)
        if tag != "code":
            self.tags.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_decl(self, decl: str) -> None:
        self.tags.append(("!", decl))

    def handle_pi(self, data: str) -> None:
        self.tags.append(("?", data))

    def unknown_decl(self, data: str) -> None:
        self.tags.append(("!", data))

    def handle_data(self, data: str) -> None:
        (self.code if self.inside else self.plain).append(data)


def rendered(html: str) -> Rendered:
    found = Rendered()
    found.feed(html)
    found.close()
    return found
