"""`factory-cdk resume`: work goes on."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.shared_options import built_stage_option, name_option, say_unless
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs

EXAMPLES = """\b
Examples:
  factory-cdk resume --name works --stage test
"""


@click.command(epilog=EXAMPLES, short_help="Let a stopped stage go on, or start its runner again.")
@name_option
@built_stage_option
@quiet_option
def command(name: str, stage: str | None, quiet: bool) -> None:
    """Let a stopped stage go on, bots with `stop: true` included; start its runner again if that is gone.

    Bots that were given up (a crash loop) get a new chance.
    """
    resumed = verbs.resume(find_home(), name, stage, say_unless(quiet))
    if not quiet:
        click.echo(f"{resumed.stage} goes on")
