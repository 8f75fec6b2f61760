"""`factory-cdk explain`: what a diagnostic means, an example and how to fix it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from factory_cdk.cli.output.destination import output_option, write_output
from factory_cdk.cli.output.report import coloured
from factory_cdk.codes import CODES
from factory_cdk.diagnostics import Severity
from factory_cdk.explain.explanations import Explanation, explanations
from factory_cdk.explain.markdown import page, section
from factory_cdk.plan.spelling import did_you_mean

EXAMPLES = """\b
Examples:
  factory-cdk explain F302
  factory-cdk explain --list
  factory-cdk explain F302 --format json | jq -r .example.fixed
"""

_COLOURS = {
    Severity.ERROR: "red",
    Severity.WARNING: "yellow",
    Severity.NOTICE: "cyan",
}

_SIGNS = {"-": "red", "+": "green"}

_WIDEST = 100
"""Paragraphs are wrapped on a terminal only, and there at most to this width, in columns."""


@click.command(epilog=EXAMPLES, short_help="Explain a diagnostic, with an example and how to fix it.")
@click.argument("code", required=False)
@click.option(
    "--list", "all_", is_flag=True, help="Every code, as without CODE: a table, or everything as JSON or Markdown."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@output_option
def command(code: str | None, all_: bool, format_: str, output: Path | None) -> None:
    """Explain the diagnostic CODE: what it means, and an example with its fix. Without CODE, list all.

    In the example, lines with - cause the diagnostic and lines with + fix it. Exit code 2: no such code.
    """
    if code is not None and all_:
        raise click.UsageError("name one code, or write --list for all of them")
    if code is None:
        text = {"text": _table, "json": _all_json, "markdown": page}[format_]()
    else:
        text = _one(_find(code), format_, to_terminal=output is None)
    write_output(text, output)


def _find(code: str) -> Explanation:
    known = explanations()
    wanted = code.upper()
    if wanted not in known:
        hint = did_you_mean(wanted, known) or "factory-cdk explain --list shows every code"
        raise click.BadParameter(f"there is no code `{code}`: {hint}", param_hint="CODE")
    return known[wanted]


def _one(explanation: Explanation, format_: str, *, to_terminal: bool) -> str:
    if format_ == "json":
        return _json(explanation.as_json())
    if format_ == "markdown":
        return section(explanation)
    return "\n".join(_text(explanation, to_terminal=to_terminal)) + "\n"


def _text(explanation: Explanation, *, to_terminal: bool) -> Iterator[str]:
    code = explanation.code

    def paint(text: str, colour: str | None, *, bold: bool = False) -> str:
        return coloured(text, fg=colour, bold=bold) if to_terminal and colour else text

    yield f"{paint(f'{code.severity}[{code.code}]', _COLOURS[code.severity], bold=True)}: {code.title}"
    yield ""
    yield _paragraph(explanation.meaning, to_terminal=to_terminal)
    if explanation.example is not None:
        yield ""
        for line in explanation.example.diff.splitlines():
            yield f"  {paint(line, _SIGNS.get(line[:1]))}"
    yield ""
    yield _paragraph(explanation.fix, to_terminal=to_terminal)


def _paragraph(text: str, *, to_terminal: bool) -> str:
    if not to_terminal or not sys.stdout.isatty():
        return text
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    return click.wrap_text(text, width=width, preserve_paragraphs=True)


def _table() -> str:
    rows = [(code.code, str(code.severity), code.title) for code in CODES.values()]
    width = max(len(severity) for _, severity, _ in rows)
    return "".join(f"{name}  {severity.ljust(width)}  {title}\n" for name, severity, title in rows)


def _all_json() -> str:
    return _json([one.as_json() for one in explanations().values()])


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
