"""`factory-cdk validate`: everything that is wrong with a plan, offline."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option, region_option
from factory_cdk.cli.output.verdict import print_verdict
from factory_cdk.diagnostics import Diagnostic, PlanError
from factory_cdk.plan.ignores import silenced
from factory_cdk.plan.load import Loaded, load_plan

EXAMPLES = """\b
Examples:
  factory-cdk validate --plan factory-plan.yml
  factory-cdk validate --plan factory-plan.yml --stage prod --strict
  factory-cdk validate --plan factory-plan.yml --format json | jq .diagnostics
"""


@click.command(epilog=EXAMPLES, short_help="Check a plan: every problem in one run, each with its line.")
@click.option("--plan", "plan_file", metavar="FILE", required=True, help="The plan, a YAML file.")
@click.option(
    "--stage", metavar="NAME", help="Check this stage against AWS's limits too; leave out warnings of other stages."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.option("--strict", is_flag=True, help="Refuse the plan for warnings, too.")
@region_option
@quiet_option
def command(plan_file: str, stage: str | None, format_: str, strict: bool, region: str | None, quiet: bool) -> int:
    """Check a plan: every problem in one run, each with its line, a code and what to do.

    A warning is silenced by `# factory: ignore F402` behind what it is about, or on the line above.

    Nothing is fetched and no credentials are needed. Exit code 0: the plan is valid; 1: it is refused.
    """
    loaded = load_plan(plan_file)
    diagnostics = loaded.diagnostics
    if loaded.plan is not None and stage is not None:
        diagnostics = _with_stage(loaded, stage, region)
    found = silenced(diagnostics, loaded.text, loaded.file)
    if stage is not None:
        from factory_cdk.plan.scope import of_stage  # noqa: PLC0415 - only here

        found = of_stage(found, loaded, stage)
    return print_verdict(loaded, found, format_, strict=strict, quiet=quiet)


def _with_stage(loaded: Loaded, name: str, region: str | None) -> tuple[Diagnostic, ...]:
    """The diagnostics of the plan and those of designing one stage of it, in the order of the file."""
    from factory_cdk.compile import compile_stage, stage_lock  # noqa: PLC0415 - imports Jinja2

    if loaded.plan is None:
        return loaded.diagnostics
    try:
        more = compile_stage(loaded.plan, name, lock=stage_lock(loaded.plan, name), region=region).diagnostics
    except PlanError as error:
        more = error.diagnostics
    found = dict.fromkeys((*loaded.diagnostics, *(one for one in more if one.code != "F401")))
    return tuple(sorted(found, key=lambda one: (one.line, one.column, one.code)))
