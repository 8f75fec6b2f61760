"""`factory-cdk logs`: what the processes of a stage print."""

from __future__ import annotations

import sys

import click

from factory_cdk.cli.running import built_stage_option, name_option
from factory_cdk.home import find_home
from factory_cdk.local import factory

EXAMPLES = """\b
Examples:
  factory-cdk logs --name works
  factory-cdk logs --name works --bot greet -f
"""


@click.command(epilog=EXAMPLES)
@name_option
@built_stage_option
@click.option("--bot", metavar="NAME", help="This bot's lines alone.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the runner is gone.")
def command(name: str, stage: str | None, bot: str | None, follow: bool) -> None:
    """Print the log of a stage: time, sector/bot.worker, the job in hand (or -), and what was printed.

    `info` says where the files are: one per process, and this stream of all of them.
    """
    for line in factory.logs(find_home(), name, stage, bot, follow=follow):
        click.echo(line)
        if follow:
            sys.stdout.flush()
