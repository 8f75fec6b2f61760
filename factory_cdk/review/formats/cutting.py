"""A report's Markdown made as short as a comment may be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from factory_cdk.review.formats.escaping import link_host

GITHUB = 65_536
"""Characters that GitHub takes in a comment."""

GITLAB = 1_000_000
"""Characters that GitLab takes in a note."""

_FENCE = re.compile(r"(`{3,})\w*")
_NOTHING_FOLLOWS = re.compile(r"|#+ .*|\*\*.*\*\*|<details><summary>.*|\|( --- \|)+")
"""A line that only introduces what follows it."""


def cut(markdown: str, limit: int, full_report_url: str | None = None) -> str:
    """`markdown`, which `as_markdown` wrote, or as much of it as fits into `limit` characters: whole lines, with the
    details closed, and a last line that says that it was cut and where the whole of it is. The first lines are always
    there, so that the result is longer than a `limit` that has no room for them.
    """
    if size(markdown) <= limit:
        return markdown
    notice = _notice(full_report_url)
    lines = markdown.split("\n")
    closing = "\n\n</details>"
    room = limit - size(notice) - size(closing) - 2
    kept, used = 0, 0
    for number, line in enumerate(lines):
        used += size(line) + 1
        if used > room:
            break
        kept = number + 1
    kept = max(_out_of_fence(lines, kept), 1)
    while kept > 1 and (_NOTHING_FOLLOWS.fullmatch(lines[kept - 1]) or _heads_a_table(lines, kept)):
        kept -= 1
    shown = "\n".join(lines[:kept])
    opened = sum(line.startswith("<details>") for line in lines[:kept]) - lines[:kept].count("</details>")
    return f"{shown}{closing * opened}\n\n{notice}\n"


def size(text: str) -> int:
    """Characters as the stricter of those who count them do: in UTF-16."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _out_of_fence(lines: Sequence[str], kept: int) -> int:
    """`kept`, or the number of lines before the fence that they would not close."""
    fence: str | None = None
    start = 0
    for number, line in enumerate(lines[:kept]):
        if fence is None and (found := _FENCE.fullmatch(line)):
            fence, start = found[1], number
        elif line == fence:
            fence = None
    return kept if fence is None else start


def _heads_a_table(lines: Sequence[str], kept: int) -> bool:
    """Whether the last of the lines kept is the header of a table without its rows."""
    return kept < len(lines) and lines[kept].startswith("| --- |")


def _notice(full_report_url: str | None) -> str:
    cut_here = "✂️ **This report was cut here, for it is longer than a comment may be.**"
    if full_report_url is None:
        return f"{cut_here} `factory-cdk review` prints the whole of it."
    if link_host(full_report_url) is None:
        return f"{cut_here} The job’s artefacts have the whole of it."
    return f"{cut_here} [The whole report]({full_report_url})"
