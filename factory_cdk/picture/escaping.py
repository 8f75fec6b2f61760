"""Text of users in the formats of pictures: it is shown, and never becomes markup, code or a terminal's command."""

from __future__ import annotations

import html


def printable(text: str) -> str:
    """`text` on one line, with what cannot be printed (controls, line breaks, marks of direction) as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def for_svg(text: str) -> str:
    """`text` as XML's character data or attribute value."""
    return html.escape(printable(text))


_ENTITIES = {
    '"': "quot", "#": "num", "$": "dollar", "%": "percnt", "&": "amp", "'": "apos", ";": "semi", "<": "lt", ">": "gt",
    "@": "commat", "[": "lbrack", "\\": "bsol", "]": "rbrack", "`": "grave", "{": "lbrace", "|": "vert", "}": "rbrace",
}  # fmt: skip


def for_mermaid(text: str) -> str:
    """`text` inside a quoted label of Mermaid, with every mark that Mermaid, its directives, Markdown or HTML read as
    a named HTML entity. Mermaid takes these since labels are HTML; numbered ones it would take for its own.
    """
    return "".join(f"&{_ENTITIES[c]};" if c in _ENTITIES else c for c in printable(text))
