"""`factory-cdk stop`: no more jobs are begun."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.running import built_stage_option, name_option, no_word, say
from factory_cdk.home import find_home
from factory_cdk.local import factory

EXAMPLES = """\b
Examples:
  factory-cdk stop --name works --stage test
"""


@click.command(epilog=EXAMPLES)
@name_option
@built_stage_option
@quiet_option
def command(name: str, stage: str | None, quiet: bool) -> None:
    """Stop the bots of a stage, in the order of its workflow; returns when the jobs in hand are done.

    The workers stay, loaded; jobs wait in their queues until `resume`.
    """
    factory.stop(find_home(), name, stage, no_word if quiet else say)
    if not quiet:
        click.echo(f"{name} is stopped")
