"""`factory-cdk permissions`: the least IAM policy for whoever builds, operates and demolishes a stage."""

from __future__ import annotations

import re

import click

from factory_cdk.cli.options import locked_option, plan_option, region_option, stage_option
from factory_cdk.cli.output.report import print_json
from factory_cdk.cli.shared_options import format_option, say
from factory_cdk.compile import compile_at_hand
from factory_cdk.deploy.permissions import ANY_ACCOUNT, policies, size_of
from factory_cdk.home import pack_cache
from factory_cdk.plan.load import read_plan

EXAMPLES = """\b
Examples:
  factory-cdk permissions --plan factory-plan.yml --stage prod > policy.json
  factory-cdk permissions --plan factory-plan.yml --stage prod --account 123456789012
  aws iam create-policy --policy-name works-prod --policy-document file://policy.json
"""


def _account(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value != ANY_ACCOUNT and not re.fullmatch(r"[0-9]{12}", value):
        raise click.BadParameter(f"{value!r} is no account id: write its 12 digits, without hyphens")
    return value


@click.command(epilog=EXAMPLES, short_help="Print the least IAM policy that a stage needs.")
@plan_option
@stage_option
@click.option(
    "--account",
    metavar="ID",
    default=ANY_ACCOUNT,
    show_default=True,
    callback=_account,
    help="The account that is written into ARNs, 12 digits; `*` is the account that the policy is in.",
)
@format_option
@locked_option
@region_option
def command(plan_file: str, stage: str, account: str, format_: str, locked: bool, region: str | None) -> None:
    """Print the least IAM policy for whoever builds, updates, operates and demolishes a stage on AWS.

    It has what these commands call themselves (build, demolish, stop, resume, secrets, list, info, ps, top, logs,
    submit, jobs, preflight) and what CloudFormation calls with the same credentials, for the regions of the stage.
    AWS is not asked. A policy of IAM holds 6,144 characters: where that is not enough, several are printed, one after
    the other, which are needed together; `--format json` prints an array of them.
    """
    design = compile_at_hand(read_plan(plan_file), stage, cache=pack_cache(), region=region, locked=locked)
    found = policies(design, account)
    if format_ == "json":
        print_json(found)
        return
    for number, document in enumerate(found, start=1):
        if len(found) > 1:
            say(f"policy {number} of {len(found)}, {size_of(document):,} characters:")
        print_json(document)
