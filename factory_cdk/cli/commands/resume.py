"""`factory-cdk resume`: work goes on."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.shared_options import StageSearch, built_stage_option, name_option, say_unless, search_options
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs

EXAMPLES = """\b
Examples:
  factory-cdk resume --name works --stage test
"""


@click.command(epilog=EXAMPLES, short_help="Resume a stopped stage, or start its runner again.")
@name_option
@built_stage_option
@search_options
@quiet_option
def command(name: str, stage: str | None, search: StageSearch, quiet: bool) -> None:
    """Let the bots of a stopped stage take jobs again, also those with `stop: true`; start the runner if it has ended.

    Bots that are broken (a crash loop) are started again.
    """
    resumed = verbs.resume(find_home(), name, stage, say_unless(quiet), backends=search.backends(name, stage))
    if not quiet:
        click.echo(f"{resumed.stage} goes on")
