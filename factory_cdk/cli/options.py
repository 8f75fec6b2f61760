"""Options that several commands share, so that one thing has one name everywhere."""

from __future__ import annotations

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

locked_option = click.option("--locked", is_flag=True, help="Fail if plan.lock is missing or out of date.")
