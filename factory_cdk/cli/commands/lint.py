"""`factory-cdk lint`: validation, then what CDK, cfn-lint and our own checks find in a stage."""

from __future__ import annotations

import sys

import click

from factory_cdk.cli.options import plan_option, quiet_option, region_option, stage_option
from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.verdict import print_verdict, refuses
from factory_cdk.compile import compile_at_hand
from factory_cdk.diagnostics import Diagnostic, PlanError
from factory_cdk.home import pack_cache
from factory_cdk.plan.ignores import silenced
from factory_cdk.plan.load import Loaded, load_plan
from factory_cdk.plan.scope import of_stage

EXAMPLES = """\b
Examples:
  factory-cdk lint --plan factory-plan.yml --stage prod
  factory-cdk lint --plan factory-plan.yml --stage prod --strict --format github
  factory-cdk lint --plan factory-plan.yml --stage prod --format sarif > lint.sarif

\b
A warning or notice is silenced in the plan, behind what it is about or on the line above:
  InstanceType: m4.large  # factory: ignore F706 -- the licence is bound to it
"""


@click.command(epilog=EXAMPLES, short_help="Check a stage: cfn-lint, CDK's validation, security rules.")
@plan_option
@stage_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.option("--strict", is_flag=True, help="Refuse the plan for warnings, too.")
@region_option
@quiet_option
def command(plan_file: str, stage: str, format_: str, strict: bool, region: str | None, quiet: bool) -> int:
    """Check a stage for what AWS would refuse and for likely mistakes; each problem with its line in the plan.

    First comes everything that `validate` checks, without warnings of other stages. If the plan is valid, the templates
    of the stage are checked by CDK's validation, by cfn-lint and by our own rules: literal secrets, IMDSv1, public
    addresses, unencrypted volumes, deprecated instance families, alarms that cannot work. A problem in a part of the
    template that is not in the plan is reported with the template of `factory-cdk synth` and the path in it.

    Nothing is fetched and no credentials are needed. Stages with aws sectors need the extra `[cdk]`. Exit code 0: the
    plan is accepted; 1: it is refused.
    """
    loaded = load_plan(plan_file)
    found = of_stage(_found(loaded, stage, region, quiet=quiet), loaded, stage)
    if format_ == "sarif":
        from factory_cdk.lint.sarif import as_sarif  # noqa: PLC0415 - only here

        print_json(as_sarif(found))
        return int(refuses(found, strict=strict))
    return print_verdict(loaded, found, format_, strict=strict, quiet=quiet, more={"stage": stage})


def _found(loaded: Loaded, stage: str, region: str | None, *, quiet: bool) -> tuple[Diagnostic, ...]:
    """What validation finds and, unless it refuses the plan, what linting finds, without what is silenced."""
    if loaded.plan is None:
        return silenced(loaded.diagnostics, loaded.text, loaded.file)
    try:
        design = compile_at_hand(loaded.plan, stage, cache=pack_cache(), region=region)
    except PlanError as error:
        return silenced(_together(loaded, error.diagnostics), loaded.text, loaded.file)
    from factory_cdk.lint.linting import lint_stage  # noqa: PLC0415 - its modules are for valid plans only
    from factory_cdk.lint.scope import judge  # noqa: PLC0415

    if design.stacks and not quiet and sys.stderr.isatty():
        click.echo("validating the templates with CDK and cfn-lint …", err=True)
    # Whether a bot is packed (F401) is a matter of this machine's cache, not of the plan.
    designed = (one for one in design.diagnostics if one.code != "F401")
    found = _together(loaded, (*designed, *lint_stage(loaded, design)))
    return silenced(found, loaded.text, loaded.file, judge(loaded, design))


def _together(loaded: Loaded, more: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """The plan's diagnostics and `more`, each once: in the order of the file, then what is in templates."""
    found = dict.fromkeys((*loaded.diagnostics, *more))
    return tuple(sorted(found, key=lambda one: (one.file != loaded.file, one.file, one.line, one.column, one.code)))
