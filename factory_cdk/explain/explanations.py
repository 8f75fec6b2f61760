"""Reads the explanations out of `pages/`, Markdown files of one form.

Under `## F101`: what the code means, a fenced example as a diff, how to fix it. In the diff, lines with `-` cause the
diagnostic and lines with `+` fix it. The fence says what its lines are: a `plan`, shell `commands` in a folder with a
valid plan, or a `sketch` of something that is too large to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

from factory_cdk.codes import CODES, Code

Kind = Literal["plan", "commands", "sketch"]

_ENTRY = re.compile(
    r"^## (?P<code>F\d{3})\n\n(?P<meaning>.+?)\n\n(?:```diff (?P<kind>plan|commands|sketch)\n(?P<diff>.+?)```\n\n)?"
    r"(?P<fix>[^`#].*?)\n*(?=^## |\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Example:
    """Something that causes a diagnostic and its fix, as the lines of a diff."""

    kind: Kind
    diff: str

    @property
    def wrong(self) -> str:
        """The text that causes the diagnostic."""
        return self._without("+")

    @property
    def fixed(self) -> str:
        """The text that does not."""
        return self._without("-")

    def _without(self, sign: str) -> str:
        return "".join(f"{line[2:]}\n" for line in self.diff.splitlines() if line[:1] != sign)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code, what it means, an example of it, and how to fix it. No plan causes a code without an example."""

    code: Code
    meaning: str
    example: Example | None
    fix: str

    def as_json(self) -> dict[str, Any]:
        """The explanation as the plain mapping that `explain --format json` prints."""
        example = self.example
        shown = example and {"kind": example.kind, "wrong": example.wrong, "fixed": example.fixed}
        return {
            "code": self.code.code,
            "severity": str(self.code.severity),
            "title": self.code.title,
            "meaning": self.meaning,
            "example": shown,
            "fix": self.fix,
        }


@cache
def explanations() -> Mapping[str, Explanation]:
    """Every explanation by its code, in the order of the codes."""
    pages = files("factory_cdk.explain") / "pages"
    found = {
        explanation.code.code: explanation
        for page in pages.iterdir()
        if page.name.endswith(".md")
        for explanation in _read(page.read_text(encoding="utf-8"))
    }
    return {code: found[code] for code in CODES if code in found}


def groups() -> Mapping[str, str]:
    """The titles of the groups of codes by what their codes start with (`{"F1": "structure", …}`)."""
    pages = files("factory_cdk.explain") / "pages"
    titles = {}
    for page in sorted(pages.iterdir(), key=lambda page: page.name):
        if page.name.endswith(".md"):
            group, _, title = page.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ").partition(": ")
            titles[group] = title
    return titles


def _read(page: str) -> Iterator[Explanation]:
    for entry in _ENTRY.finditer(page):
        example = Example(cast(Kind, entry["kind"]), entry["diff"]) if entry["diff"] else None
        yield Explanation(CODES[entry["code"]], _unwrapped(entry["meaning"]), example, _unwrapped(entry["fix"]))


def _unwrapped(text: str) -> str:
    """Each paragraph as one long line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
