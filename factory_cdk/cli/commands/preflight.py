"""`factory-cdk preflight`: whether an AWS account has what a stage needs."""

from __future__ import annotations

from dataclasses import asdict

import click

from factory_cdk.cli.options import locked_option, plan_option, region_option, stage_option
from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import aws_profile_option, format_option, use_profile
from factory_cdk.compile import compile_at_hand
from factory_cdk.home import pack_cache
from factory_cdk.plan.load import read_plan

EXAMPLES = """\b
Examples:
  factory-cdk preflight --plan factory-plan.yml --stage prod
  factory-cdk preflight --plan factory-plan.yml --stage prod --aws-profile work --format json
"""


@click.command(epilog=EXAMPLES, short_help="Check that the AWS account has what a stage needs.")
@plan_option
@stage_option
@format_option
@locked_option
@region_option
@aws_profile_option
def command(plan_file: str, stage: str, format_: str, locked: bool, region: str | None, aws_profile: str | None) -> int:
    """Check that the AWS account has what a stage needs, before it is built; nothing is made.

    Looked at: credentials and their permissions, the bootstrap stack of CDK in every region, and of every instance the
    image, its platform and architecture, the key pair, subnet and security groups, whether the type is offered there,
    and the quota of vCPUs. `build` does the same, and refuses to begin when something is missing.

    Exit code 1 when something is missing; what AWS does not tell is `unknown`.
    """
    use_profile(aws_profile)
    design = compile_at_hand(read_plan(plan_file), stage, cache=pack_cache(), region=region, locked=locked)
    from factory_cdk.deploy.account import Account  # noqa: PLC0415 - with what talks to AWS
    from factory_cdk.deploy.check_rows import State  # noqa: PLC0415
    from factory_cdk.deploy.preflight import preflight  # noqa: PLC0415

    rows = preflight(design, Account())
    if format_ == "json":
        print_json([asdict(row) for row in rows])
    else:
        print_table(
            ("state", "check", "region", "subject", "detail", "remedy"),
            [(one.state, one.check, one.region or "-", one.subject, one.detail, one.remedy or "-") for one in rows],
            folds=("subject", "detail", "remedy"),
        )
    return int(any(one.state is State.MISSING for one in rows))
