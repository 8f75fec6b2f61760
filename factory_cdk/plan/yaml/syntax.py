"""Reports libyaml's syntax errors in words for the author of the plan."""

from __future__ import annotations

import re

import yaml

from factory_cdk.plan.findings import Findings
from factory_cdk.plan.yaml.lookalikes import fix, in_lines, named
from factory_cdk.plan.yaml.text import Places, split_lines

_INDENT = "indent this line"
_NEARLY = re.compile(r" *(?:- +)?([A-Za-z_][A-Za-z0-9_.-]{0,40})(?: *(=) |(:)(?=[^\s:/\\]))")

_HINTS = (
    ("mapping values are not allowed", "quote the value if it contains `: `, or check the indentation of this line"),
    ("found character that cannot start any token", "quote the value: in YAML it cannot start with this character"),
    (
        "found unknown escape character",
        "in double quotes a backslash starts an escape sequence: use single quotes, or write `\\\\`",
    ),
    (
        "did not find expected hexdecimal number",
        "in double quotes `\\x`, `\\u` and `\\U` start an escape sequence: use single quotes",
    ),
    ("while scanning an alias", "quote the value: `*` at its start makes it an alias"),
    ("while scanning an anchor", "quote the value: `&` at its start makes it an anchor"),
    ("did not find expected node content", "add the missing value, or remove the extra comma"),
    ("invalid Unicode character escape code", "a surrogate is not a character: write the character itself"),
    ("could not find expected ':'", "a key needs a colon after it; check the end of the line before, too"),
    ("did not find expected key", "indent this line like the other keys of its mapping"),
    ("did not find expected '-' indicator", "indent this line like the other elements of the list"),
    ("did not find expected ',' or", "close the bracket, add the missing comma, or quote the value"),
    ("block sequence entries are not allowed", "start the list on a line of its own"),
    ("did not find expected whitespace or line break", "put a space after the tag, anchor or alias"),
    ("did not find expected <document start>", "remove the text before `---`, or indent it"),
)


def report_syntax(error: yaml.MarkedYAMLError, text: str, places: Places, findings: Findings) -> None:
    """Add F011 for a tab in the indentation, else F010 with libyaml's own message and the usual fix."""
    mark = error.problem_mark or error.context_mark
    line, column = places.of(mark) if mark else (1, 1)
    lines = split_lines(text)
    for number in (line, line - 1):
        found = re.match(r"[ -]*\t", lines[number - 1]) if 1 <= number <= len(lines) else None
        if found:
            hint = "indent with spaces: YAML does not allow tabs here"
            findings.add("F011", "tab used for indentation", hint, line=number, column=found.end())
            return
    odd = in_lines(lines, line)
    if odd is not None:
        number, column, character = odd
        message = f"look-alike character {named(character)} outside quotes: YAML reads it as part of the text"
        findings.add("F024", message, fix(character), line=number, column=column)
        return
    parts = [part for part in (error.context, error.problem) if part]
    message = "YAML syntax error: " + ", ".join(parts)
    if error.context_mark and error.problem_mark:
        began, _ = places.of(error.context_mark)
        message += f" (it started on line {began})" if began != line else ""
    if "found unexpected end of stream" in message and error.context_mark:
        line, column = places.of(error.context_mark)  # the quote that opens, not the end of the file
        message = "YAML syntax error: this quote is never closed"
        findings.add("F010", message, "close it, or write it twice if it is part of the text", line=line, column=column)
        return
    fallback = "check the indentation and the quotes on this line and the one before"
    hint = next((hint for words, hint in _HINTS if words in message), fallback)
    holder = _holder(lines, line) if hint.startswith(_INDENT) else None
    if "mapping values are not allowed" in message:
        hint = _no_mapping(lines, line) or hint
    if holder is not None:
        hint += f", and check the indentation of line {holder} above it"
    findings.add("F010", message, hint, line=line, column=column)


def _no_mapping(lines: list[str], line: int) -> str | None:
    """The hint for a line that is no mapping because a line just before it is none: `key:value` or `key = value`."""
    for number in range(line, max(line - 2, 0), -1):
        found = _NEARLY.match(lines[number - 1]) if number <= len(lines) else None
        if found and found[3]:
            return f"put a space after the colon in line {number}: `{found[1]}: …`"
        if found:
            return f"write a colon and a space in line {number}: `{found[1]}: …`"
    return None


def _holder(lines: list[str], line: int) -> int | None:
    """The nearest line above `line` that is indented less: where one has slipped, those behind it do not fit."""
    depth = _indentation(lines[line - 1]) if line <= len(lines) else None
    for number in range(line - 1, 0, -1):
        above = _indentation(lines[number - 1])
        if above is not None and depth is not None and above < depth:
            return number
    return None


def _indentation(line: str) -> int | None:
    """How many spaces a line starts with; None when it holds nothing but a comment."""
    content = line.lstrip(" ")
    return None if not content.strip() or content.startswith("#") else len(line) - len(content)
