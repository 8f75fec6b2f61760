"""`factory-cdk demolish`: a built stage is taken down, losing nothing unasked."""

from __future__ import annotations

from pathlib import Path

import click

from factory_cdk.cli.options import quiet_option
from factory_cdk.cli.output.table import print_table
from factory_cdk.cli.shared_options import (
    StageSearch,
    confirmed,
    name_option,
    say,
    say_unless,
    search_options,
    shown_path,
    stage_names,
    timeout_option,
)
from factory_cdk.home import find_home
from factory_cdk.lifecycle import verbs
from factory_cdk.lifecycle.backend import Backends
from factory_cdk.state.outdated import outdated
from factory_cdk.views.stages import stage_row

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
@click.option("--yes", is_flag=True, help="Do not ask, and delete the jobs that are left in the queues.")
@click.option("--drain", is_flag=True, help="Process all jobs in the queues first.")
@click.option("--cold", is_flag=True, help="Do not wait for jobs in hand: put them back into their queues.")
@click.option(
    "--local-sectors", is_flag=True, help="Of a stage with aws sectors: end what is on this machine, and no more."
)
@timeout_option
@search_options
@quiet_option
def command(
    name: str,
    stage: str | None,
    yes: bool,
    drain: bool,
    cold: bool,
    local_sectors: bool,
    timeout: float | None,
    search: StageSearch,
    quiet: bool,
) -> int:
    """Take a stage down: finish the jobs in hand, bot after bot along the workflow, end it, delete its state.

    Jobs that are left in the queues are counted, and deleted only with --yes or after you have confirmed. After Ctrl-C
    or --timeout the stage continues as before.

    Of a stage on AWS, every stack in every region is deleted, and what stacks keep: secrets, log groups, and last of
    all queues, history and payloads. What cannot be deleted is named; run it again, and it goes on.

    Exit code 1: nothing matches, or you answered no; 2: several stages match and --yes needs --stage; 3: timed out; 4:
    with --drain, the runner does not run.
    """
    if drain and cold:
        raise click.UsageError("--drain and --cold do not go together")
    home = find_home()
    backends = search.backends(name, stage, changes=True)
    found = verbs.matches(home, name, stage, backends=backends)
    if not found:
        verbs.find(home, name, stage, backends=backends)  # says what is built instead
    if len(found) > 1 and yes:
        verbs.find(home, name, backends=backends)  # says that there are several
    if not quiet or not yes:
        _print_found(home, found, backends)
    chosen = found[0] if len(found) == 1 else _choose(found)
    if chosen.state == "outdated" and not cold:
        raise outdated(chosen.folder)
    where = f" and its stacks in {_regions(chosen)}" if chosen.stacks and not local_sectors else ""
    if not yes and not confirmed(f"demolish {chosen.folder.name}{where}?"):
        return 1

    def agree(left: verbs.Left) -> bool:
        if yes:
            say(f"discarding {left}")
            return True
        return confirmed(f"{left} are left in its queues: discard them?")

    tell = say_unless(quiet)
    done = verbs.demolish(
        home,
        name,
        chosen.stage,
        tell,
        agree,
        drain=drain,
        timeout=timeout,
        cold=cold,
        local_sectors=local_sectors,
        backends=backends,
    )
    if not done.gone:
        say(f"{done.stage} goes on")
        return 1
    if not quiet:
        click.echo(f"{done.stage} is demolished")
    return 0


def _regions(factory: verbs.Factory) -> str:
    return ", ".join(dict.fromkeys(stack.region for stack in factory.stacks))


def _print_found(home: Path, found: list[verbs.Factory], backends: Backends) -> None:
    print_table(
        ("factory", "stage", "state", "workers", "built", "plan", "left in queues"),
        [
            (
                row.factory,
                row.stage,
                row.state,
                row.workers,
                row.built,
                shown_path(row.plan),
                verbs.left(home, row.factory, row.stage, backends=backends),
            )
            for row in map(stage_row, found)
        ],
        folds=("plan",),
        spare=("plan", "built", "workers"),
    )


def _choose(found: list[verbs.Factory]) -> verbs.Factory:
    stages = [one.stage for one in found]
    stage = click.prompt("which stage", type=click.Choice(stages), err=True)
    return found[stages.index(stage)]
