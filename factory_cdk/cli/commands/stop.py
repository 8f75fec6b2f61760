"""`factory-cdk stop`: no more jobs are begun."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.shared_options import (
    StageSearch,
    built_stage_option,
    name_option,
    say_unless,
    search_options,
    timeout_option,
)
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs

EXAMPLES = """\b
Examples:
  factory-cdk stop --name works --stage test
  factory-cdk stop --name works --timeout 60 || factory-cdk stop --name works --cold
"""


@click.command(epilog=EXAMPLES, short_help="Stop the bots of a stage; jobs wait in their queues.")
@name_option
@built_stage_option
@timeout_option
@click.option(
    "--cold", is_flag=True, help="Do not wait for jobs in hand: put them back into their queues, and end the runner."
)
@search_options
@quiet_option
def command(name: str, stage: str | None, timeout: float | None, cold: bool, search: StageSearch, quiet: bool) -> None:
    """Stop the bots of a stage, in the order of its workflow; returns when the jobs in hand are done.

    The workers stay loaded; jobs wait in their queues until `resume`. Ctrl-C ends the waiting, not the stopping. Exit
    code 3: jobs are still in hand after --timeout.

    On AWS all sectors stop at once, and within each bot after bot; instances read it within 20 seconds.
    """
    backends = search.backends(name, stage)
    stopped = verbs.stop(find_home(), name, stage, say_unless(quiet), timeout=timeout, cold=cold, backends=backends)
    if not quiet:
        ends = stopped.runner is None and (cold or not stopped.on_instances)
        what = "its workers have" if stopped.on_instances else "its runner has"
        ended = f", {what} ended; resume starts {'them' if stopped.on_instances else 'it'} again" if ends else ""
        click.echo(f"{stopped.stage} is stopped{ended}")
