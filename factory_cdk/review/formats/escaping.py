"""Text of users in Markdown as GitHub and GitLab render it: it is shown, and never becomes markup, a mention or a link.

Both look for mentions, references to issues, emoji and mathematics in what has been rendered, where a backslash or an
entity is gone already; neither looks into code. So a word that is not harmless for certain is put into a code span.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from factory_cdk.picture.escaping import printable

MOST_BACKTICKS = 8
"""Backticks in a row up to which a code span is written around them; cmark takes no delimiter of more than 80."""

_LEAD = r"(?P<lead>[(\"'“‘]*)"
_TRAIL = r"(?P<trail>[.,;:!?)\"'”’]*)"
_TOKEN = re.compile(rf"{_LEAD}(?P<core>.*?){_TRAIL}", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d{1,6}(?:[.,]\d+)*%?|[→…—–+=]")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,}")
_URL = re.compile(r"https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d{1,5})?(?P<path>/[A-Za-z0-9._~/%+@=?&-]*)?")
_HOST = re.compile(r"https://([^/]+)")


def code(text: str, *, in_table: bool = False) -> str:
    """`text` on one line as a code span."""
    shown = printable(text)
    runs = re.findall("`+", shown)
    if runs and max(map(len, runs)) > MOST_BACKTICKS:
        shown, runs = shown.replace("`", "\\x60"), []
    if in_table:
        shown = shown.replace("|", "\\|")  # cells are parted before code spans are read
    if not shown.strip(" "):
        return f'`"{shown}"`'
    fence = "`" * (max(map(len, runs), default=0) + 1)
    needs_space = shown[0] == "`" or shown[-1] == "`" or (shown[0] == shown[-1] == " ")
    space = " " if needs_space else ""
    return f"{fence}{space}{shown}{space}{fence}"


def prose(text: str, *, in_table: bool = False, first: bool = True) -> str:
    """A sentence on one line: its plain words as they are, all others in code spans. `first` where it starts a line."""
    parts: list[str] = []
    pending: list[str] = []  # words that share a code span

    def flush(trail: str = "") -> None:
        if pending:
            parts[-1] += code(" ".join(pending), in_table=in_table) + trail
            pending.clear()

    for number, token in enumerate(printable(text).split(" ")):
        found = _TOKEN.fullmatch(token)
        if found is None or not token:
            continue
        lead, core, trail = found["lead"], found["core"], found["trail"]
        if _is_harmless(core, trail, first=first and number == 0):
            flush()
            parts.append(token)
            continue
        if not core:  # only quotes, brackets and stops
            lead, core, trail = "", token, ""
        if lead or not pending:
            flush()
            parts.append(lead)
        pending.append(core)
        if trail:
            flush(trail)
    flush()
    return " ".join(parts)


def _is_harmless(core: str, trail: str, *, first: bool) -> bool:
    """Whether neither Markdown nor what GitHub and GitLab add to it reads anything into a word. `1.` starts a list."""
    if not _WORD.fullmatch(core) or _COMMIT.fullmatch(core) or "www" in core.lower():
        return False
    return not (first and (not core[0].isalpha()))


def link_host(url: str) -> str | None:
    """The host of `url` where it may be linked: https, without user, port of its own choice or anything that Markdown
    reads; else None.
    """
    found = _URL.fullmatch(url)
    host = _HOST.match(url)
    return host[1] if found and host and len(url) <= 2000 else None


_NOT_MERMAID = re.compile(
    r"%%\s*\{|(?:^|;)\s*(?:click|href|call|callback|links?|linkStyle|accDescr|accTitle)\b|://|javascript:|data:|@\{|`"
    r"|<(?!(?:br/|b|/b)>)",
    re.IGNORECASE | re.MULTILINE,
)
"""What `picture/mermaid.py` never writes: directives, links, images, HTML and the end of a fence."""


def is_plain_mermaid(text: str) -> bool:
    """Whether `text` draws a flowchart and does nothing else."""
    return not _NOT_MERMAID.search(text) and all(line.isprintable() for line in text.split("\n"))


def fenced(text: str, language: str) -> str:
    """`text` in a fence of Markdown that it cannot end."""
    lines = [printable(line) for line in text.rstrip("\n").split("\n")]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])


def for_comment(text: str) -> str:
    """`text` inside an HTML comment: percent-encoded but for letters, digits and single marks of a path."""
    encoded = quote(text, safe="/._-", errors="surrogatepass")
    return re.sub(r"(?<=-)-|^-|-$", "%2D", encoded)
