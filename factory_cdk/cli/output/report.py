"""Writes diagnostics and errors for people, for GitHub and for programs.

Colour is used only on a terminal and never when NO_COLOR is set (click strips it otherwise); output that is no
terminal is never wrapped or cut.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from factory_cdk.codes import HOLDS_SECRET
from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity
from factory_cdk.plain_text import cells_of, printable
from factory_cdk.plan.yaml.text import split_lines
from factory_cdk.workflow_commands import annotation

_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")

MAX_EXCERPT = 200
"""Characters of a plan's line that a diagnostic shows; a plan on one line would be printed once for each."""

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}


def coloured(text: str, *, to_stderr: bool = False, **style: Any) -> str:
    """`text` with a style where the stream is a terminal and NO_COLOR is not set."""
    stream = sys.stderr if to_stderr else sys.stdout
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    return click.style(text, **style)


def print_error(error: FactoryError) -> None:
    """An error and its remedy on stderr; every diagnostic for a refused plan."""
    if isinstance(error, PlanError) and error.diagnostics:
        for found in error.diagnostics:
            print_diagnostic(found)
        click.echo(summary(error.diagnostics), err=True)
        return
    click.echo(f"{coloured('error', to_stderr=True, fg='red', bold=True)}: {printable(error.message)}", err=True)
    if error.remedy:
        click.echo(f"  {coloured('help', to_stderr=True, fg='cyan')}: {printable(error.remedy)}", err=True)


def print_diagnostic(found: Diagnostic) -> None:
    """A diagnostic on stderr."""
    click.echo(as_text(found, None, to_stderr=True), err=True)


def print_log_line(line: str) -> None:
    """A line of a log on stdout, harmless where that is a terminal."""
    click.echo(harmless(line) if sys.stdout.isatty() else line)


def harmless(line: str) -> str:
    """A line of a log for a terminal: its colours stay and end with it; what else a terminal obeys is escaped."""
    if line.isprintable():
        return line
    parts = _COLOUR.split(line)  # every second one is a colour
    shown = "".join(part if number % 2 else printable(part) for number, part in enumerate(parts))
    return f"{shown}\x1b[0m" if len(parts) > 1 else shown


def lines_to_show(text: str, found: Iterable[Diagnostic]) -> list[str | None]:
    """The lines of a plan's text for `as_text`; None where `found` says that one may hold a secret."""
    lines: list[str | None] = [*split_lines(text)]
    for one in found:
        if one.code in HOLDS_SECRET and one.line <= len(lines):
            lines[one.line - 1] = None
    return lines


def as_text(found: Diagnostic, lines: Sequence[str | None] | None, *, to_stderr: bool = False) -> str:
    """A diagnostic as a compiler writes it; with the plan's `lines`, the line in question and a caret."""

    def paint(text: str, **style: Any) -> str:
        return coloured(text, to_stderr=to_stderr, **style)

    label = paint(f"{found.severity}[{found.code}]", fg=_COLOURS[found.severity], bold=True)
    shown = [f"{printable(found.file)}:{found.line}:{found.column}: {label}: {printable(found.message)}"]
    line = lines[found.line - 1] if lines is not None and found.line <= len(lines) else None
    if line is not None:
        number = str(found.line)
        excerpt, cells = _excerpt(line, found.column)
        caret = f" {' ' * len(number)} | {' ' * cells}{paint('^', fg='green')}"
        shown += [f" {number} | {excerpt}".rstrip(), caret]
    elif lines is not None and found.code in HOLDS_SECRET:
        shown.append("   (the line is not shown: it may hold a secret)")
    if found.hint:
        shown.append(f"   {paint('help', fg='cyan')}: {printable(found.hint)}")
    return "\n".join(shown)


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """The line, or of a very long one what is around `column`, and how many terminal cells are before it."""
    start, end = 0, len(line)
    if len(line) > MAX_EXCERPT:
        start = max(0, column - 1 - MAX_EXCERPT // 2)
        end = start + MAX_EXCERPT
    before = ("…" if start else "") + printable(line[start : column - 1]).replace("\t", " ")
    after = printable(line[column - 1 : end]).replace("\t", " ") + ("…" if end < len(line) else "")
    return before + after, cells_of(before)


def as_github(found: Diagnostic) -> str:
    """A diagnostic as a workflow command, which GitHub shows at the line in a pull request."""
    text = found.message + (f" ({found.hint})" if found.hint else "")
    return annotation(found.severity, text, file=found.file, line=found.line, column=found.column, title=found.code)


def summary(found: Iterable[Diagnostic]) -> str:
    """How many errors, warnings and notices there are, in words."""
    severities = [one.severity for one in found]
    counts = [(severities.count(severity), severity) for severity in Severity]
    parts = [f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts if count]
    return ", ".join(parts) or "no problems"


def print_json(value: Any) -> None:
    """`value` as JSON on stdout, what a terminal would obey or cannot show in JSON's own escapes."""
    click.echo(_json(value, indent=2))


def print_json_rows(rows: Iterable[Any]) -> None:
    """A JSON array on stdout, every element on a line of its own, printed as it comes."""
    separator = "["
    for row in rows:
        click.echo(f"{separator}\n{_json(row)}", nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")


def one_line_json(value: Any) -> str:
    """`value` as JSON on one line, escaped like that of `print_json`."""
    return _json(value)


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e\n]", _json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]
