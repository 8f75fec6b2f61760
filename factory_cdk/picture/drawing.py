"""Text in SVG: escaped, in fonts of known width, wrapped where it is too long."""

from __future__ import annotations

import re

from factory_cdk.picture.escaping import for_svg, printable

INK = "#1f2328"
MUTED = "#59636e"
LINE = "#d1d9e0"

MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SANS = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"

_ADVANCE = 0.605
"""How wide a character of a monospaced font is, in parts of its size: the widest of the usual ones."""


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def width_of(text: str, size: float) -> float:
    """How wide `text` is in MONO, in pixels."""
    return len(text) * size * _ADVANCE


def wrapped(text: str, size: float, width: float) -> list[str]:
    """`text` in lines of MONO that are at most `width` wide, broken behind `-`, `_`, `.` and spaces if possible."""
    most = max(int(width / (size * _ADVANCE) + 0.01), 8)
    text = printable(text)
    lines = []
    while len(text) > most:
        ends = [found.end() for found in re.finditer(r"[-_. ]+", text[:most])]
        end = ends[-1] if ends and ends[-1] > most // 3 else most
        lines.append(text[:end].rstrip(" "))
        text = text[end:].lstrip(" ")
    return [*lines, text]


def draw_text(
    x: float, y: float, text: str, *, size: float, fill: str, font: str = MONO, bold: bool = False, end: bool = False
) -> str:
    """One line of text with its baseline at `y`; `x` is where it starts, with `end` where it ends."""
    weight = ' font-weight="600"' if bold else ""
    anchor = ' text-anchor="end"' if end else ""
    family = for_svg(font)
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-family="{family}" font-size="{number(size)}" fill="{fill}"'
        f"{weight}{anchor}>{for_svg(text)}</text>"
    )


def draw_box(x: float, y: float, width: float, height: float, *, stroke: str, fill: str = "#ffffff") -> str:
    """A rectangle with round corners."""
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" rx="6" '
        f'fill="{fill}" stroke="{stroke}"/>'
    )
