"""`factory-cdk validate`: everything that is wrong with a plan, offline."""

from __future__ import annotations

import click

from factory_cdk.awsconfig import default_region
from factory_cdk.cli.options import quiet_option, region_option
from factory_cdk.cli.report import as_github, as_text, lines_to_show, print_json, printable, summary
from factory_cdk.diagnostics import Diagnostic, PlanError, Severity
from factory_cdk.plan.load import Loaded, load_plan

EXAMPLES = """\b
Examples:
  factory-cdk validate --plan factory-plan.yml
  factory-cdk validate --plan factory-plan.yml --stage prod --strict
  factory-cdk validate --plan factory-plan.yml --format json | jq .diagnostics
"""


@click.command(epilog=EXAMPLES)
@click.option("--plan", "plan_file", metavar="FILE", required=True, help="The plan, a YAML file.")
@click.option("--stage", metavar="NAME", help="Check this stage against AWS's limits too.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How to print what was found.",
)
@click.option("--strict", is_flag=True, help="Refuse the plan for warnings, too.")
@region_option
@quiet_option
def command(plan_file: str, stage: str | None, format_: str, strict: bool, region: str | None, quiet: bool) -> int:
    """Check a plan: every problem in one run, each with its line, a code and what to do.

    Nothing is fetched and no credentials are needed. Exit code 0: the plan is valid; 1: it is refused.
    """
    loaded = load_plan(plan_file)
    diagnostics = loaded.diagnostics
    if loaded.plan is not None and stage is not None:
        diagnostics = _with_stage(loaded, stage, region)
    refused = any(strict or found.severity is Severity.ERROR for found in diagnostics)
    if format_ == "json":
        found = [one.as_json() for one in diagnostics]
        print_json({"plan": plan_file, "valid": not refused, "diagnostics": found})
    elif format_ == "github":
        for one in diagnostics:
            click.echo(as_github(one))
    else:
        _print_text(loaded, diagnostics, refused=refused, strict=strict, quiet=quiet)
    return int(refused)


def _with_stage(loaded: Loaded, name: str, region: str | None) -> tuple[Diagnostic, ...]:
    """The diagnostics of the plan and those of designing one stage of it, in the order of the file."""
    from factory_cdk.design.designing import design_stage  # noqa: PLC0415 - imports Jinja2
    from factory_cdk.plan.stage import find_stage, needs_region, resolve_stage  # noqa: PLC0415

    if loaded.plan is None:
        return loaded.diagnostics
    try:
        stage = find_stage(loaded.plan, name)
        default = default_region(region, needed=needs_region(stage))
        more = design_stage(resolve_stage(loaded.plan, name, region=default)).diagnostics
    except PlanError as error:
        more = error.diagnostics
    found = dict.fromkeys((*loaded.diagnostics, *(one for one in more if one.code != "F401")))
    return tuple(sorted(found, key=lambda one: (one.line, one.column, one.code)))


def _print_text(
    loaded: Loaded, diagnostics: tuple[Diagnostic, ...], *, refused: bool, strict: bool, quiet: bool
) -> None:
    lines = lines_to_show(loaded.text, diagnostics) if loaded.text else None
    for found in diagnostics:
        if not quiet or strict or found.severity is Severity.ERROR:
            click.echo(as_text(found, lines))
    if not quiet:
        verdict = "refused" if refused else "valid"
        only_strict = refused and not any(found.severity is Severity.ERROR for found in diagnostics)
        because = " (--strict refuses warnings)" if only_strict else ""
        click.echo(f"{printable(loaded.file)}: {verdict}, {summary(diagnostics)}{because}")
