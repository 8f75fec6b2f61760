"""`factory-cdk synth`: a stage as a cloud assembly, offline."""

from __future__ import annotations

from pathlib import Path

import click

from factory_cdk.cli.options import locked_option, plan_option, quiet_option, region_option, stage_option
from factory_cdk.cli.output.report import print_diagnostic, summary
from factory_cdk.cli.output.table import print_table
from factory_cdk.compile import compile_at_hand
from factory_cdk.design.model import StageDesign
from factory_cdk.home import pack_cache
from factory_cdk.plan.load import read_plan

EXAMPLES = """\b
Examples:
  factory-cdk synth --plan factory-plan.yml --stage dev
  factory-cdk synth --plan factory-plan.yml --stage prod -o build/prod --region eu-west-2
  cdk deploy --all --app cdk.out
"""


@click.command(epilog=EXAMPLES, short_help="Turn a stage into CloudFormation templates, offline.")
@plan_option
@stage_option
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    default="cdk.out",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the cloud assembly goes; an assembly that is there is replaced.",
)
@locked_option
@region_option
@quiet_option
def command(plan_file: str, stage: str, output: Path, locked: bool, region: str | None, quiet: bool) -> None:
    """Turn a stage into CloudFormation templates: a CDK cloud assembly to review or deploy.

    Nothing is fetched: bots are taken from plan.lock, from what has been packed, and from path sources. No
    account, credentials or network are needed. `cdk diff|deploy|destroy --app DIR` work on what comes out.
    Needs the extra `[cdk]`.
    """
    design = compile_at_hand(read_plan(plan_file), stage, cache=pack_cache(), region=region, locked=locked)
    if not quiet:
        for found in design.diagnostics:
            print_diagnostic(found)
        if design.diagnostics:
            click.echo(f"{summary(design.diagnostics)}\n", err=True)
    if not design.stacks:
        click.echo(f"stage {stage} has no aws sector: there is nothing to synthesize")
        return
    from factory_cdk.stacks.assembly import write_assembly  # noqa: PLC0415 - imports aws_cdk, 1.5 s

    write_assembly(design, output)
    if not quiet:
        _print_stacks(design, output)


def _print_stacks(design: StageDesign, output: Path) -> None:
    rows = []
    for stack in design.stacks:
        size = (output / f"{stack.name}.template.json").stat().st_size
        sectors = ", ".join(dict.fromkeys(one.sector for one in stack.resources if one.sector)) or "(queues)"
        rows.append((stack.name, stack.region, len(stack.resources), f"{size:,}", sectors))
    print_table(("stack", "region", "resources", "bytes", "sectors"), rows, folds=("sectors",), whole=("stack",))
    click.echo(f"\nwritten to {output}")
