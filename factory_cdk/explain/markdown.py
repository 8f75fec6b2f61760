"""Writes the explanations as one page of Markdown: docs/diagnostics.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factory_cdk.explain.explanations import Explanation, explanations, groups

_INTRODUCTION = """# Diagnostics

Every problem in a plan is reported with its position, a code that never changes its meaning, and a hint. An *error*
refuses the plan, a *warning* does so with `--strict` only, a *notice* never does. `factory-cdk explain CODE` shows the
same text.

In the examples, lines with `-` cause the diagnostic and lines with `+` fix it. Warnings and notices can be silenced
with a comment on the same line, or on the line above: `# factory: ignore F402 -- the reason`.

This page is generated: `factory-cdk explain --list --format markdown -o docs/diagnostics.md`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines(explanations())) + "\n"


def section(explanation: Explanation) -> str:
    """One explanation as a section of the page."""
    return "\n".join(_entry(explanation)) + "\n"


def _lines(explained: Mapping[str, Explanation]) -> Iterator[str]:
    yield _INTRODUCTION
    for group, title in groups().items():
        yield f"## {group}: {title}\n"
        entries = [one for code, one in explained.items() if code.startswith(group)]
        yield "| code | severity | meaning |\n|---|---|---|"
        for one in entries:
            code = one.code.code
            yield f"| [{code}](#{code.lower()}) | {one.code.severity} | {one.code.title} |"
        yield ""
        for one in entries:
            yield from _entry(one)
            yield ""


def _entry(explanation: Explanation) -> Iterator[str]:
    code = explanation.code
    yield f"### {code.code}\n"
    yield f"**{code.severity}: {code.title}**\n"
    yield f"{explanation.meaning}\n"
    if explanation.example is not None:
        yield f"```diff\n{explanation.example.diff}```\n"
    yield explanation.fix
