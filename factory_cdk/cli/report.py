"""Writes diagnostics and errors for people, for GitHub and for programs.

Colour is used only on a terminal and never when NO_COLOR is set (click strips it otherwise); output that is no
terminal is never wrapped or cut.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from factory_cdk.diagnostics import Diagnostic, FactoryError, PlanError, Severity

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


def coloured(text: str, *, to_stderr: bool = False, **style: Any) -> str:
    """`text` with a style where the stream is a terminal and NO_COLOR is not set."""
    stream: TextIO = click.get_text_stream("stderr" if to_stderr else "stdout")
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    return click.style(text, **style)


def print_error(error: FactoryError) -> None:
    """An error and its remedy on stderr; every diagnostic for a refused plan."""
    if isinstance(error, PlanError) and error.diagnostics:
        for found in error.diagnostics:
            click.echo(as_text(found, None, to_stderr=True), err=True)
        click.echo(summary(error.diagnostics), err=True)
        return
    click.echo(f"{coloured('error', to_stderr=True, fg='red', bold=True)}: {printable(error.message)}", err=True)
    if error.remedy:
        click.echo(f"  {coloured('help', to_stderr=True, fg='cyan')}: {printable(error.remedy)}", err=True)


def printable(text: str) -> str:
    """`text` without control characters, which could rewrite a terminal; line breaks and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def as_text(found: Diagnostic, lines: Sequence[str] | None, *, to_stderr: bool = False) -> str:
    """A diagnostic as a compiler writes it; with the plan's `lines`, the line in question and a caret."""

    def paint(text: str, **style: Any) -> str:
        return coloured(text, to_stderr=to_stderr, **style)

    label = paint(f"{found.severity}[{found.code}]", fg=_COLOURS[found.severity], bold=True)
    shown = [f"{printable(found.file)}:{found.line}:{found.column}: {label}: {printable(found.message)}"]
    if lines is not None and found.line <= len(lines):
        number = str(found.line)
        line = printable(lines[found.line - 1].rstrip("\r")).expandtabs(1)
        shown += [f" {number} | {line}", f" {' ' * len(number)} | {' ' * (found.column - 1)}{paint('^', fg='green')}"]
    if found.hint:
        shown.append(f"   {paint('help', fg='cyan')}: {printable(found.hint)}")
    return "\n".join(shown)


def as_github(found: Diagnostic) -> str:
    """A diagnostic as a workflow command, which GitHub shows at the line in a pull request.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """
    text = found.message + (f" ({found.hint})" if found.hint else "")
    place = f"file={_property(found.file)},line={found.line},col={found.column},title={found.code}"
    return f"::{found.severity} {place}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(found: Iterable[Diagnostic]) -> str:
    """How many errors and warnings there are, in words."""
    severities = [one.severity for one in found]
    counts = [(severities.count(severity), severity) for severity in Severity]
    parts = [f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts if count]
    return ", ".join(parts) or "no problems"


def print_json(value: Any) -> None:
    """`value` as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
