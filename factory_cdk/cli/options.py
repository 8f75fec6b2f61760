"""Options that several commands share, so that one thing has one name everywhere."""

from __future__ import annotations

import os

import click

plan_option = click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    required=True,
    help="The plan, a YAML file.",
)

stage_option = click.option("--stage", metavar="NAME", required=True, help="A stage of the plan.")

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")

region_option = click.option(
    "--region",
    metavar="REGION",
    help="The region of aws sectors without `region_name` [default: AWS_REGION, AWS_DEFAULT_REGION, the profile's].",
)


def resolve_region(region: str | None, *, needed: bool) -> str | None:
    """The default region: the option's, AWS_REGION, AWS_DEFAULT_REGION, else that of the AWS profile.

    The profile is only looked up when `needed`, since it takes botocore; None when there is none.
    """
    found = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if found or not needed:
        return found
    from factory_cdk.awsconfig import profile_region  # noqa: PLC0415 - imports botocore

    return profile_region()
