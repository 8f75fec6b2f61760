"""`factory-cdk demolish`: a built stage is taken down, losing nothing unasked."""

from __future__ import annotations

import time

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import confirmed, name_option, no_word, say, shown_path, stage_names, timeout_option
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs as factory
from factory_cdk.lifecycle.local.drain import drain as empty_queues
from factory_cdk.state.outdated import outdated

EXAMPLES = """\b
Examples:
  factory-cdk demolish --name works
  factory-cdk demolish --name works --stage test --yes
  factory-cdk demolish --name works --drain --timeout 600 --yes
  factory-cdk demolish --name works --cold --yes
"""


@click.command(epilog=EXAMPLES, short_help="Take a stage down, and delete its state.")
@name_option
@click.option(
    "--stage",
    metavar="NAME",
    shell_complete=stage_names,
    help="The stage [default: the one that matches, or you choose].",
)
@click.option("--yes", is_flag=True, help="Ask nothing, and discard the jobs that are left in the queues.")
@click.option("--drain", is_flag=True, help="First let the bots work on until their queues are empty.")
@click.option("--cold", is_flag=True, help="Wait for no job in hand: they go back to their queues.")
@timeout_option
@quiet_option
def command(
    name: str, stage: str | None, yes: bool, drain: bool, cold: bool, timeout: float | None, quiet: bool
) -> int:
    """Take a stage down: finish the jobs in hand, bot after bot along the workflow, end it, delete its state.

    Jobs that are left in the queues are counted, and discarded only with --yes or when you say so. What is waited for
    is said after a moment; Ctrl-C, or --timeout, lets the stage go on. Exit code 1: nothing matches, or you said no;
    2: several stages match and --yes does not say which; 3: not done in time; 4: with --drain, the runner is gone.
    """
    if drain and cold:
        raise click.UsageError("--drain and --cold do not go together")
    home = find_home()
    found = factory.matches(home, name, stage)
    if not found:
        factory.find(home, name, stage)  # says what is built instead
    if len(found) > 1 and yes:
        stages = ", ".join(one.stage for one in found)
        raise FactoryError(f"{name} has several stages: {stages}", "choose one with --stage", exit_code=2)
    if not quiet or not yes:
        columns = ("factory", "stage", "state", "workers", "built", "plan")
        rows = [{**row, "plan": shown_path(row["plan"])} for row in map(factory.summary, found)]
        print_table(
            (*columns, "left in queues"),
            [(*(row[column] for column in columns), factory.left(one)) for row, one in zip(rows, found, strict=True)],
            folds=("plan",),
            spare=("plan", "built", "workers"),
        )
    chosen = found[0] if len(found) == 1 else _choose(found)
    if chosen.state == "outdated" and not cold:
        raise outdated(chosen.folder)
    if not yes and not confirmed(f"demolish {chosen.folder.name}?"):
        return 1

    began = time.monotonic()
    if drain:
        empty_queues(chosen, no_word if quiet else say, timeout)
    rest = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))

    def discard(left: factory.Left) -> bool:
        if yes:
            say(f"discarding {left}")
            return True
        return confirmed(f"{left} are left in its queues: discard them?")

    if not factory.demolish(chosen, no_word if quiet else say, discard, timeout=rest, cold=cold):
        say(f"{chosen.folder.name} goes on")
        return 1
    if not quiet:
        click.echo(f"{chosen.folder.name} is demolished")
    return 0


def _choose(found: list[factory.Factory]) -> factory.Factory:
    stages = [one.stage for one in found]
    stage = click.prompt("which stage", type=click.Choice(stages), err=True)
    return found[stages.index(stage)]
