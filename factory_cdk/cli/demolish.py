"""`factory-cdk demolish`: a built stage is taken down, losing nothing unasked."""

from __future__ import annotations

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.running import confirmed, name_option, no_word, say
from factory_cdk.cli.table import print_table
from factory_cdk.diagnostics import FactoryError
from factory_cdk.home import find_home
from factory_cdk.local import factory
from factory_cdk.local.draining import drain as empty_queues

EXAMPLES = """\b
Examples:
  factory-cdk demolish --name works
  factory-cdk demolish --name works --stage test --yes
  factory-cdk demolish --name works --drain --timeout 600 --yes
"""


@click.command(epilog=EXAMPLES)
@name_option
@click.option("--stage", metavar="NAME", help="The stage; without it, the one that matches, or you choose.")
@click.option("--yes", is_flag=True, help="Ask nothing, and discard the jobs that are left in the queues.")
@click.option("--drain", is_flag=True, help="First let the bots work on until their queues are empty.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="With --drain: wait no longer; the stage goes on.",
)
@quiet_option
def command(name: str, stage: str | None, yes: bool, drain: bool, timeout: float | None, quiet: bool) -> int:
    """Take a stage down: finish the jobs in hand, bot after bot along the workflow, end it, delete its state.

    Jobs that are left in the queues are counted, and discarded only with --yes or when you say so. Exit code 1:
    nothing matches, or you said no; 2: several stages match and --yes does not say which; with --drain 3: not
    empty in time, 4: the runner is gone.
    """
    if timeout is not None and not drain:
        raise click.UsageError("--timeout goes with --drain")
    home = find_home()
    found = factory.matches(home, name, stage)
    if not found:
        factory.find(home, name, stage)  # says what is built instead
    if len(found) > 1 and yes:
        stages = ", ".join(one.stage for one in found)
        raise FactoryError(f"{name} has several stages: {stages}", "choose one with --stage", exit_code=2)
    if not quiet or not yes:
        columns = ("factory", "stage", "standing", "workers", "built", "plan")
        rows = [factory.summary(one) for one in found]
        print_table(
            (*columns, "left in queues"),
            [(*(row[column] for column in columns), factory.left(one)) for row, one in zip(rows, found, strict=True)],
        )
    chosen = found[0] if len(found) == 1 else _choose(found)
    if not yes and not confirmed(f"demolish {chosen.state.name}?"):
        return 1

    if drain:
        empty_queues(chosen, no_word if quiet else say, timeout)

    def discard(left: factory.Left) -> bool:
        if yes:
            say(f"discarding {left}")
            return True
        return confirmed(f"{left} are left in its queues: discard them?")

    if not factory.demolish(chosen, no_word if quiet else say, discard):
        say(f"{chosen.state.name} goes on")
        return 1
    if not quiet:
        click.echo(f"{chosen.state.name} is demolished")
    return 0


def _choose(found: list[factory.Factory]) -> factory.Factory:
    stages = [one.stage for one in found]
    stage = click.prompt("which stage", type=click.Choice(stages), err=True)
    return found[stages.index(stage)]
