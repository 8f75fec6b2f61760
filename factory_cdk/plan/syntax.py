"""Words what libyaml says of a text that is no YAML, for the person who wrote it."""

from __future__ import annotations

import re

import yaml

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.text import Places, split_lines

_HINTS = (
    ("mapping values are not allowed", "quote the value if it holds a `: `, or check this line's indentation"),
    ("found character that cannot start any token", "quote the value: YAML reserves this character at its start"),
    ("found unexpected end of stream", "a quote was opened and not closed"),
    (
        "found unknown escape character",
        "in double quotes a backslash starts an escape: use single quotes, or double it",
    ),
    ("invalid Unicode character escape code", "a surrogate is no character: write the character itself"),
    ("could not find expected ':'", "a key needs a colon behind it; does the line before end as it should?"),
    ("did not find expected key", "is this line indented like the ones that it belongs to?"),
    ("did not find expected '-' indicator", "is this line indented like the other elements of the list?"),
    ("did not find expected ',' or", "a bracket was opened and not closed, or a comma is missing"),
    ("block sequence entries are not allowed", "start the list on a line of its own"),
    ("did not find expected whitespace or line break", "put a space behind the tag, anchor or alias"),
    ("did not find expected <document start>", "remove what stands before `---`, or indent it"),
)


def report_syntax(error: yaml.MarkedYAMLError, text: str, places: Places, findings: Findings) -> None:
    """Add F011 for a tab that indents, else F010 with libyaml's own words and what they usually mean."""
    mark = error.problem_mark or error.context_mark
    line, column = places.of(mark) if mark else (1, 1)
    lines = split_lines(text)
    for number in (line, line - 1):
        found = re.match(r"[ -]*\t", lines[number - 1]) if 1 <= number <= len(lines) else None
        if found:
            hint = "YAML indents with spaces: set your editor to write them"
            findings.add("F011", "a tab is used to indent", hint, line=number, column=found.end())
            return
    parts = [part for part in (error.context, error.problem) if part]
    message = "the YAML does not parse: " + ", ".join(parts)
    if error.context_mark and error.problem_mark:
        began, _ = places.of(error.context_mark)
        message += f" (it began on line {began})" if began != line else ""
    fallback = "check the indentation and the quotes on this line and the one before"
    hint = next((hint for words, hint in _HINTS if words in message), fallback)
    findings.add("F010", message, hint, line=line, column=column)
