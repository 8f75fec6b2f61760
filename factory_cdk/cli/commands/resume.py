"""`factory-cdk resume`: work goes on."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.shared_options import built_stage_option, name_option, no_word, say
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.stages import find

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
    chosen = find(find_home(), name, stage).folder
    factory.resume(find_home(), name, chosen.stage, no_word if quiet else say)
    if not quiet:
        click.echo(f"{chosen.name} goes on")
