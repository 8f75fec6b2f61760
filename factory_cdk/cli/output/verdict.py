"""The verdict on a plan, as `validate` and `lint` print it: every diagnostic, and whether the plan is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from factory_cdk.cli.output.report import as_github, as_text, lines_to_show, print_json, summary
from factory_cdk.diagnostics import Diagnostic, Severity
from factory_cdk.plain_text import printable
from factory_cdk.plan.load import Loaded

_REFUSING = {False: (Severity.ERROR,), True: (Severity.ERROR, Severity.WARNING)}


def refuses(found: Sequence[Diagnostic], *, strict: bool) -> bool:
    """Whether `found` refuses the plan: an error does, a warning only when `strict`, a notice never."""
    return any(one.severity in _REFUSING[strict] for one in found)


def print_verdict(
    loaded: Loaded,
    found: Sequence[Diagnostic],
    format_: str,
    *,
    strict: bool,
    quiet: bool,
    more: Mapping[str, Any] | None = None,
) -> int:
    """Print `found` as `format_` (text, json or github), and the verdict; returns the exit code, 0 or 1.

    `more` are further keys of the JSON. Lines of the plan are shown where the diagnostics are about it.
    """
    refused = refuses(found, strict=strict)
    if format_ == "json":
        diagnostics = [one.as_json() for one in found]
        print_json({"plan": loaded.file, **(more or {}), "valid": not refused, "diagnostics": diagnostics})
    elif format_ == "github":
        for one in found:
            click.echo(as_github(one))
    else:
        _print_text(loaded, found, refused=refused, strict=strict, quiet=quiet)
    return int(refused)


def _print_text(loaded: Loaded, found: Sequence[Diagnostic], *, refused: bool, strict: bool, quiet: bool) -> None:
    of_plan = [one for one in found if one.file == loaded.file]
    lines = lines_to_show(loaded.text, of_plan) if loaded.text else None
    for one in found:
        if not quiet or one.severity in _REFUSING[strict]:
            click.echo(as_text(one, lines if one.file == loaded.file else None))
    if not quiet:
        verdict = "refused" if refused else "valid"
        because = " (--strict refuses warnings)" if refused and not refuses(found, strict=False) else ""
        click.echo(f"{printable(loaded.file)}: {verdict}, {summary(found)}{because}")
