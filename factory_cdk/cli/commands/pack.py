"""`factory-cdk pack`: the code of a plan's bots, fetched, checked and locked."""

from __future__ import annotations

from functools import partial

import click

from factory_cdk.cli.options import locked_option, plan_option, quiet_option
from factory_cdk.cli.output.pack_progress import PACK_DIR, pack_folder, packed, print_packed
from factory_cdk.lifecycle.packing import pack_bots
from factory_cdk.plan.load import read_plan

EXAMPLES = """\b
Examples:
  factory-cdk pack --plan factory-plan.yml
  factory-cdk pack --plan factory-plan.yml --stage prod --locked
  FACTORY_PACK_DIR=/tmp/bots factory-cdk pack --plan factory-plan.yml --no-delete
"""


@click.command(epilog=EXAMPLES, short_help="Fetch the bots' code and lock what it requires.")
@plan_option
@click.option("--stage", metavar="NAME", help="Pack the bots of this stage only.")
@click.option("--no-delete", is_flag=True, help=f"Leave every bot's tree, unpacked, in {PACK_DIR}.")
@locked_option
@quiet_option
def command(plan_file: str, stage: str | None, no_delete: bool, locked: bool, quiet: bool) -> int:
    """Validate a plan, then make a bundle of every bot: its files and its locked requirements.

    Git repositories are fetched with your git and its credentials, packages with uv under uv's and pip's
    configuration. Bundles are kept in a cache: what did not change is not fetched again. With a plan.lock its
    commits and versions are packed; without one, branches are asked for their commits each time.
    """
    keep = pack_folder() if no_delete else None
    report = pack_bots(read_plan(plan_file), stage, locked=locked, pack=partial(packed, keep=keep, quiet=quiet))
    print_packed(report, quiet=quiet)
    if keep is not None and not quiet:
        click.echo(f"\nunpacked in {keep}")
    return 0
